"""One table for all that is claimed about speed: what each script found, as ratios of one run.

    python benchmarks/claims.py [SLIDE] [--threads N]

Runs the scripts one after the other, each in a process of its own, and shows what they print as it comes. At the end
there is one table, and the exit status says whether all that must be reached is. What needs a slide is left out without
one, what needs Ray where that is not installed, and the line below the table says so. Half an hour on two cores, nearly
half of it the batch of 10,000.
"""

from __future__ import annotations

import argparse
import datetime as dt
import importlib.util
import json
import os
import platform
import subprocess
import sys
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

HERE = Path(__file__).parent
ALWAYS = ("polygon_cost.py", "click_overhead.py")
WITH_SLIDE = ("profile_click.py", "number_types.py", "speed.py", "embedding_store.py", "growth.py")
WITH_RAY = ("ray_engine.py",)


@dataclass(frozen=True)
class Claim:
    """A ratio that was measured.

    Attributes:
        what: of what to what; for people.
        ratio: greater is better.
        needed: what must be reached; None where nothing was promised.
    """

    what: str
    ratio: float
    needed: float | None = None

    @property
    def holds(self) -> bool:
        """Whether what must be reached is."""
        return self.needed is None or self.ratio >= self.needed


def note(claims: list[Claim]) -> None:
    """Hands claims to the process that asked for them, if one did."""
    if path := os.environ.get("WSISAM_CLAIMS"):
        Path(path).write_text(json.dumps([asdict(claim) for claim in claims], indent=1) + "\n", encoding="utf-8")


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("slide", type=Path, nargs="?")
    arguments.add_argument("--threads", type=int)
    options = arguments.parse_args()
    runs = [[name] for name in ALWAYS]
    left_out = []
    if options.slide is not None:
        flags = [] if options.threads is None else ["--threads", str(options.threads)]
        runs += [[name, str(options.slide), *flags] for name in WITH_SLIDE]
    else:
        left_out.append(f"they need a slide: {', '.join(WITH_SLIDE)}")
    if importlib.util.find_spec("ray") is not None:
        runs += [[name] for name in WITH_RAY]
    else:
        left_out.append(f"they need Ray: {', '.join(WITH_RAY)}")
    found: list[tuple[str, Claim]] = []
    failed = []
    for script, *rest in runs:
        print(f"\n--- {script}\n", flush=True)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "claims.json"
            command = [sys.executable, str(HERE / script), *rest]
            code = subprocess.run(command, env=os.environ | {"WSISAM_CLAIMS": str(path)}, check=False).returncode
            if path.exists():
                found += [(script, Claim(**claim)) for claim in json.loads(path.read_text(encoding="utf-8"))]
            else:
                failed.append(f"{script} ended with status {code} and found nothing")
    print("\n| claim | ratio | must be | | script |\n|---|---|---|---|---|")
    for script, claim in found:
        needed = "" if claim.needed is None else f"{claim.needed:g}"
        verdict = "" if claim.needed is None else "holds" if claim.holds else "DOES NOT HOLD"
        print(f"| {claim.what} | {claim.ratio:.3g} | {needed} | {verdict} | `{script}` |")
    for why in left_out:
        print(f"\nNot run, {why}")
    print(f"\n{dt.datetime.now(tz=dt.timezone.utc).date()}, {platform.machine()}, {os.cpu_count()} cores")
    if failed:
        raise SystemExit("\n".join(failed))
    sys.exit(0 if all(claim.holds for _, claim in found) else 1)


if __name__ == "__main__":
    main()
