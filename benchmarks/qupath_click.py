"""What QuPath, the script and the jar add to the server's time, from the click to its outline on the screen.

Run: PAQUO_QUPATH_DIR=/path/to/QuPath python benchmarks/qupath_click.py SLIDE [--clicks 30]

In a real QuPath window (on a screen in memory where there is Xvfb), with the jar and the script installed as a user
installs them (make jar first) and a server of its own. SLIDE is CMU-1-Small-Region.svs: the clicks fall on a structure
of it. Each click corrects a box; the pointer is real. Per click, in one run: from the release of the button to the
frame that has the outline, and the server's own time (its timings: queue to outline) of the same click. Must be
reached: their difference is at most 20 ms in the median. Counted, not timed: encoder runs.
"""

from __future__ import annotations

import argparse
import datetime as dt
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))

from support.qupath_program import qupath_or_skip  # noqa: E402 - tests/ is no package
from wsisam_server.qupath import find_bundle  # noqa: E402

LIMIT_MS = 20.0


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("slide", type=Path)
    arguments.add_argument("--clicks", type=int, default=30)
    options = arguments.parse_args()
    slide = options.slide.resolve()
    command = [sys.executable, "-m", "wsisam_server", "serve", "--slides", str(slide.parent), "--port", "0"]
    command += ["--encoder", "torch"]  # no trial of another way beside what is measured
    command += ["--store", "none", "--log-level", "warning"]
    with tempfile.TemporaryDirectory() as name, subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        target = server.stdout.readline().rsplit(" ", 1)[-1].strip()
        try:
            seen = drive(Path(name), slide, target, options.clicks)
        finally:
            server.terminate()
    clicks = seen["clicks"]
    today = dt.datetime.now(tz=dt.timezone.utc).date()
    print(f"{today}, QuPath {seen['qupath']}, Java {seen['java']}, {len(clicks)} clicks")
    row("click to outline on the screen", [one["frame"] for one in clicks])
    row("the server's own time", [one["server"] for one in clicks])
    added = row("added", [one["frame"] - one["server"] for one in clicks])
    row("of that, network and jar", [one["call"] - one["server"] for one in clicks])
    row("of that, QuPath and script until painted", [one["painted"] - one["call"] for one in clicks])
    row("of that, until the next frame", [one["frame"] - one["painted"] for one in clicks])
    print(f"claim, added <= {LIMIT_MS:g} ms: {'holds' if added <= LIMIT_MS else 'does not hold'}")
    if any(one["encoders"] for one in clicks):
        sys.exit("a warm click ran the encoder")


def drive(folder: Path, slide: Path, target: str, clicks: int) -> dict[str, Any]:
    """What the clicks in QuPath's window took."""
    script = next(one for one in find_bundle().scripts if one.name == "WsiSamClicks.groovy")
    properties = {
        "drive.image": slide,
        "drive.script": script,
        "drive.server": target,
        "drive.clicks": clicks,
    }
    seen: dict[str, Any] = qupath_or_skip(folder).drive(
        ROOT / "benchmarks" / "qupath_click.groovy", folder / "seen.json", **properties
    )
    return seen


def row(name: str, values: list[float]) -> float:
    """Prints and returns a median."""
    middle = statistics.median(values)
    low, _, high = statistics.quantiles(values)
    print(f"{name:42s} median {middle:6.1f}  quartiles {low:.1f} to {high:.1f} ms")
    return middle


if __name__ == "__main__":
    main()
