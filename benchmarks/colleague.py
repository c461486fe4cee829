"""A colleague's click and Save while somebody else does what costs the server much, and how long a stop takes then.

Run: PYTHONPATH=tests python benchmarks/colleague.py [--only NAME ...] [--clicks 40] [--real-model] [--json OUT]

For each state of the table `STATES` (colleague_states.py, each in a process of its own): a server of its own (`wsisam
serve`), clicks and Saves of a colleague on a slide of their own before, during and after it, and at last SIGTERM while
it lasts. Each click is at a new place, so that it reads the slide. Printed are the median and the 95th percentile in
milliseconds, the ratio to those before in the same run, and the seconds from SIGTERM to the process's end. Must be
reached: medians of at most `RATIO` times those before, during and after; an end within `drain_seconds` (`DRAIN`, here)
and 5 s. All are without tokens, as on a computer of one's own: then each connection is a user.

The model finds what is dark and costs nothing, so that what is measured is the server; --real-model takes the default
model instead.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import psutil
from colleague_states import STATES, box

from support.annotations import Caller, new
from support.heavy import huge_slide
from support.server_process import ServerProcess, Starter, command
from wsisam.v1 import segmentation_pb2 as pb
from wsisam_server.client import Client

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

DRAIN = 2.0
STOP = DRAIN + 5.0
RATIO = 2.0
SIDE = 16_384
"""Of the colleague's slide: room for places that were not read yet."""

SETTLE = 3.0
"""Seconds between a state's begin, or end, and the next click."""


@contextlib.contextmanager
def server(folder: Path, *, real: bool) -> Iterator[ServerProcess]:
    (folder / "wsisam.toml").write_text(f"[limits]\ndrain_seconds = {DRAIN}\n")
    arguments = ["--config", folder / "wsisam.toml", "--slides", folder, "--port", 0]
    arguments += ["--store", folder / "annotations.sqlite"]
    arguments += ["--tokens", folder / "tokens.json", "--threads", 1, "--embedding-cache-bytes", "256MiB"]
    log = folder / "log"
    if real:
        with command(log, *arguments) as running:
            yield running
    else:
        with Starter(log) as starter:
            yield starter.start(*arguments)


@contextlib.contextmanager
def state(name: str, target: str, folder: Path) -> Iterator[None]:
    """The state lasts as long as the block; its process ends as if its computer was switched off."""
    words = [sys.executable, str(Path(__file__).with_name("colleague_states.py")), name, target, str(folder)]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            if process.stdout.readline() != "begun\n":
                raise RuntimeError(f"{name}: did not begin")
            time.sleep(SETTLE)
            yield
        finally:
            process.kill()


class Colleague:
    """Clicks at places of a slide that nobody has asked for yet, and saves annotations."""

    def __init__(self, client: Client, caller: Caller, seed: int) -> None:
        self._client = client
        self._caller = caller
        self._rng = np.random.default_rng(seed)
        self._slide_id = client.open_slide("own.svs").slide_id

    def click(self) -> None:
        """A box at a place of its own."""
        x, y = self._rng.uniform(500, SIDE - 500, 2)
        self._client.segment(pb.SegmentRequest(slide_id=self._slide_id, prompt=box(x, y, 60)))

    def save(self) -> None:
        """One annotation more."""
        self._caller.save(new(slide_id=self._slide_id))

    def measured(self, count: int) -> dict[str, dict[str, float]]:
        """Milliseconds that clicks and Saves take, in turn: median and 95th percentile."""
        calls: dict[str, Callable[[], None]] = {"click": self.click, "save": self.save}
        taken: dict[str, list[float]] = {name: [] for name in calls}
        for _ in range(count):
            for name, call in calls.items():
                started = time.perf_counter()
                call()
                taken[name].append((time.perf_counter() - started) * 1000)
                time.sleep(0.03)
        return {
            name: {"p50": float(np.percentile(times, 50)), "p95": float(np.percentile(times, 95))}
            for name, times in taken.items()
        }


def measured(name: str, clicks: int, *, real: bool) -> dict[str, Any]:
    """One state: the colleague before, during and after it, and a stop during it."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        huge_slide(folder / "own.svs", SIDE, 256)
        with server(folder, real=real) as running:
            with Client(running.target, timeout=120) as client, closing(Caller(running.target)) as caller:
                colleague = Colleague(client, caller, 1)
                colleague.measured(10)
                found: dict[str, Any] = {"before": colleague.measured(clicks)}
                with state(name, running.target, folder):
                    found["during"] = colleague.measured(clicks)
                time.sleep(SETTLE)
                found["after"] = colleague.measured(clicks)
            with state(name, running.target, folder):
                found["stop"] = seconds_to_end(running.process)
    return found


def seconds_to_end(process: psutil.Process) -> float:
    started = time.perf_counter()
    process.terminate()
    while time.perf_counter() - started < 10 * STOP:
        # The starter, its parent, takes a process that ended away later.
        if not process.is_running() or process.status() == psutil.STATUS_ZOMBIE:
            break
        time.sleep(0.02)
    return time.perf_counter() - started


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--only", nargs="+", choices=STATES, default=list(STATES))
    arguments.add_argument("--clicks", type=int, default=40)
    arguments.add_argument("--real-model", action="store_true")
    arguments.add_argument("--json", type=Path)
    options = arguments.parse_args()
    results, wrong = {}, []
    print(f"{'':48s}{'before':>12s}{'during':>20s}{'after':>20s}{'SIGTERM':>10s}")
    for name in options.only:
        found = results[name] = measured(name, options.clicks, real=options.real_model)
        for call, before in found["before"].items():
            line = f"{name + ', ' + call:48s}{before['p50']:6.0f}{before['p95']:6.0f}"
            for when in ("during", "after"):
                ratio = found[when][call]["p50"] / before["p50"]
                line += f"{found[when][call]['p50']:7.0f}{found[when][call]['p95']:6.0f} ({ratio:.1f}x)"
                if ratio > RATIO:
                    wrong.append(f"{name}, {call}: {when} {ratio:.1f} times the median before")
            print(f"{line}{found['stop']:8.1f} s", flush=True)
        if found["stop"] > STOP:
            wrong.append(f"{name}: stops after {found['stop']:.1f} s")
    if options.json is not None:
        options.json.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    sys.exit("does not hold: " + "; ".join(wrong) if wrong else 0)


if __name__ == "__main__":
    main()
