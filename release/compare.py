"""Builds a release twice, in two folders, and compares: `make release-compare`.

Exit status 1 names the files that differ. Options are those of assemble.py.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from assemble import SAME_BYTES


def main() -> None:
    """Builds twice, and compares."""
    program = Path(__file__).with_name("assemble.py")
    with tempfile.TemporaryDirectory() as folder:
        builds = [Path(folder, name) for name in ("first", "a second one")]
        for out in builds:
            subprocess.run([sys.executable, program, *sys.argv[1:], "--no-bill", "--out", out], check=True)
        different = differing(*builds)
    if different:
        sys.exit(f"not the same bytes: {', '.join(different)}")
    print("both builds have the same bytes")


def differing(first: Path, second: Path) -> list[str]:
    """The files that two builds do not have alike."""
    names = sorted({path.name for path in (*first.iterdir(), *second.iterdir()) if path.name.endswith(SAME_BYTES)})
    return [name for name in names if _content(first / name) != _content(second / name)]


def _content(path: Path) -> bytes | None:
    return path.read_bytes() if path.is_file() else None


if __name__ == "__main__":
    main()
