"""A network drive that does not answer: what whoever works on another drive notices, and how long the end takes.

Run: PYTHONPATH=tests python benchmarks/hanging_drive.py [--callers 8] [--json OUT]

`wsisam serve` in a process of its own, with two slide folders and a store; below one of them every call of the file
system waits while a file is there (`tests/support/hanging_server.py`). A colleague clicks, opens and saves on the other
one, before, while callers open slides on the hanging one, and once it is known to hang. Then it answers again, and
hangs once more while the server is told to stop.

The model finds what is dark and costs nothing, so that it is the server's own work that is measured.
"""

from __future__ import annotations

import argparse
import json
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PIL import Image

from support.annotations import Caller, new
from support.server import around, picture
from wsisam.v1 import segmentation_pb2 as pb
from wsisam_server.client import Client, ServerError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ASKED = 40
SECONDS = 5.0
"""That a drive may take, as by default."""


@contextmanager
def server(folder: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    (folder / "wsisam.toml").write_text(f"[limits]\nfile_system_seconds = {SECONDS}\ndrain_seconds = 10\n")
    slow, good = folder / "slow", folder / "good"
    words = [sys.executable, "-m", "support.hanging_server", slow, folder / "hangs", "--port", 0, "--slides", slow]
    words += ["--slides", good, "--config", folder / "wsisam.toml", "--store", folder / "annotations.sqlite"]
    tests = Path(__file__).parents[1] / "tests"
    with (
        (folder / "log").open("w") as log,
        subprocess.Popen(list(map(str, words)), stdout=subprocess.PIPE, stderr=log, text=True, cwd=tests) as process,
    ):
        assert process.stdout is not None
        try:
            yield process, process.stdout.readline().rsplit(" ", 1)[-1].strip()
        finally:
            process.kill()


def timed(call: Callable[[], object]) -> float:
    started = time.monotonic()
    call()
    return time.monotonic() - started


def opened(client: Client, path: Path) -> tuple[str, float]:
    started = time.monotonic()
    try:
        client.open_slide(str(path))
    except ServerError as error:
        return error.reason, time.monotonic() - started
    return "", time.monotonic() - started


def measured(calls: dict[str, Callable[[], object]]) -> dict[str, dict[str, float]]:
    """Median and 95th percentile of each call, in milliseconds."""
    found = {}
    for name, call in calls.items():
        times = sorted(timed(call) * 1000 for _ in range(ASKED))
        found[name] = {"p50": round(statistics.median(times), 1), "p95": round(times[int(0.95 * ASKED)], 1)}
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--callers", type=int, default=8)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    report: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place).resolve()
        for name in ("slow", "good"):
            (folder / name).mkdir()
        Image.fromarray(picture()).save(folder / "good" / "good.png")
        paths = [folder / "slow" / f"{number}.png" for number in range(options.callers)]
        for number, path in enumerate(paths):
            Image.fromarray(picture()[:50, number : number + 50]).save(path)
        with server(folder) as (process, target), Client(target) as client, closing(Caller(target)) as caller:
            slide = client.open_slide("good.png")
            prompt = pb.SegmentRequest(slide_id=slide.slide_id, prompt=around("a"))
            calls: dict[str, Callable[[], object]] = {
                "click": lambda: client.segment(prompt),
                "open": lambda: client.open_slide(str(folder / "good" / "good.png")),
                "save": lambda: caller.save(new(slide_id=slide.slide_id)),
            }
            measured(calls)
            report["before"] = measured(calls)
            with ThreadPoolExecutor(options.callers) as callers:
                (folder / "hangs").touch()
                opening = [callers.submit(opened, client, path) for path in paths]
                report["while it is waited for"] = measured(calls)
                report["waited for to the end of it"] = not any(one.done() for one in opening)
                answers = [one.result() for one in opening]
                report["answers of the drive"] = sorted({reason for reason, _ in answers})
                report["longest, seconds"] = round(max(seconds for _, seconds in answers), 2)
                report["once it is known, milliseconds"] = round(opened(client, paths[0])[1] * 1000, 1)
                report["while it is known"] = measured(calls)
                (folder / "hangs").unlink()
                started = time.monotonic()
                while opened(client, paths[0])[0]:
                    time.sleep(0.05)
                report["answers again after, seconds"] = round(time.monotonic() - started, 2)
                report["after"] = measured(calls)
                (folder / "hangs").touch()
                opening = [callers.submit(opened, client, path) for path in paths]
                time.sleep(0.2)
                process.send_signal(signal.SIGTERM)
                report["SIGTERM, seconds"] = round(timed(process.wait), 2)
                report["exit status"] = process.returncode
    text = json.dumps(report, indent=1)
    print(text)
    if options.json is not None:
        options.json.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
