"""A colleague's click while somebody else does what costs the server much, and how long the server takes to stop then.

Run: PYTHONPATH=tests python benchmarks/colleague.py [--only NAME ...] [--clicks 40] [--real-model] [--json OUT]

For each state of the table `STATES`: a server of its own (`wsisam serve`), clicks of a colleague on a slide of their
own before, during and after it, and at last SIGTERM while it lasts. Each click is at a new place, so that it reads the
slide. Printed are the median and the 95th percentile in milliseconds, the ratio to those before in the same run, and
the seconds from SIGTERM to the process's end. Must be reached: a median of at most `RATIO` times that before, during
and after; an end within `drain_seconds` (`DRAIN`, here) and 5 s.

A state is a function of a `Place`: it begins to do its harm, with clients and threads of its own, and returns; the harm
goes on until `Place.over` is set. To add one, write such a function and enter it in `STATES`.

The model finds what is dark and costs nothing, so that what is measured is the server; --real-model takes the default
model instead.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import json
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import grpc
import numpy as np
import psutil

from support.heavy import huge_slide, jpeg_of_many_scans
from support.server_process import ServerProcess, Starter, command
from wsisam.v1 import geometry_pb2 as geo
from wsisam.v1 import segmentation_pb2 as pb
from wsisam_server.client import Client, ServerError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

DRAIN = 2.0
STOP = DRAIN + 5.0
RATIO = 2.0
SIDE = 16_384
"""Of the colleague's slide: room for places that were not read yet."""


@dataclass(frozen=True)
class Place:
    """What a state has to work with: the server's address, its folder of slides, and what its end sets."""

    target: str
    folder: Path
    over: threading.Event

    def repeat(self, what: Callable[[Client], object], threads: int = 1, pause: float = 0.0) -> None:
        """Does something again and again, each thread with a client of its own; what the server refuses is fine."""

        def run() -> None:
            with Client(self.target, timeout=60) as client:
                while not self.over.is_set():
                    # At the end, the server is gone.
                    with contextlib.suppress(ServerError):
                        what(client)
                    self.over.wait(pause)

        for _ in range(threads):
            threading.Thread(target=run, daemon=True).start()


def box(x: float, y: float, side: float) -> pb.Prompt:
    return pb.Prompt(box=geo.Box(x0=x, y0=y, x1=x + side, y1=y + side))


def nothing(place: Place) -> None:
    """For comparison."""


def zoomed_out_boxes(place: Place) -> None:
    """Boxes over all of a slide of one huge level, given up after a second and asked again."""
    huge_slide(place.folder / "huge.svs", 131_072)
    hasty_boxes(place, "huge.svs", 131_072)


def boxes_at_the_limit(place: Place) -> None:
    """As many pixels of one level as one window may take."""
    huge_slide(place.folder / "limit.svs", 16_384)
    hasty_boxes(place, "limit.svs", 16_384)


def hasty_boxes(place: Place, name: str, side: int) -> None:
    offsets = itertools.count()

    def ask(client: Client) -> None:
        slide_id = client.open_slide(name).slide_id
        prompt = box(100 + next(offsets) % 400, 100, side - 1000)
        client.stub.Segment(pb.SegmentRequest(slide_id=slide_id, prompt=prompt), timeout=1.0)

    def give_up(client: Client) -> None:
        try:
            ask(client)
        except Exception:  # noqa: BLE001 - given up, or refused; a refusal comes at once
            time.sleep(0.05)

    place.repeat(give_up, threads=3)


def costly_tiles(place: Place) -> None:
    """Tiles of 15 MB that take long to decode, sent in pixel mode: four of them each second.

    Not as many as a line carries: then the messages' bytes are what costs, whatever is in them.
    """
    made = threading.local()

    def request(client: Client) -> bytes:
        """Made once a thread: what the sender spends is not the question."""
        opened = client.open_slide("nowhere.svs", pixels=pb.PixelSource(width=4096, height=4096))
        asked = pb.SegmentRequest(slide_id=opened.slide_id, prompt=box(1000, 1000, 200))
        try:
            client.segment(asked)
        except ServerError as error:
            if error.pixels_needed is None:
                raise
            for window in error.pixels_needed.windows:
                data = jpeg_of_many_scans(window.tile_width, 1_000_000)
                asked.tiles.add(window=window, encoding=pb.TILE_ENCODING_JPEG, data=data)
        return asked.SerializeToString()

    def send(client: Client) -> None:
        if not hasattr(made, "call"):
            made.request = request(client)
            options = [("grpc.max_send_message_length", -1)]
            made.call = grpc.insecure_channel(place.target, options).unary_unary("/wsisam.v1.Segmentation/Segment")
        with contextlib.suppress(grpc.RpcError):
            made.call(made.request, timeout=120)

    place.repeat(send, threads=4, pause=1.0)


def costly_tiles_of_a_file(place: Place) -> None:
    """A slide whose every tile takes seconds to decode."""
    huge_slide(place.folder / "scans.svs", 16_384, data=jpeg_of_many_scans(1024, 100_000))

    def ask(client: Client) -> None:
        slide_id = client.open_slide("scans.svs").slide_id
        client.segment(pb.SegmentRequest(slide_id=slide_id, prompt=box(2000, 2000, 500)))

    place.repeat(ask, threads=4)


STATES: dict[str, Callable[[Place], None]] = {
    "nothing": nothing,
    "zoomed-out boxes on one huge level": zoomed_out_boxes,
    "boxes of as many pixels as may be read": boxes_at_the_limit,
    "tiles of clients that take long to decode": costly_tiles,
    "tiles of a file that take long to decode": costly_tiles_of_a_file,
}


@contextlib.contextmanager
def server(folder: Path, *, real: bool) -> Iterator[ServerProcess]:
    (folder / "wsisam.toml").write_text(f"[limits]\ndrain_seconds = {DRAIN}\n")
    arguments = ["--config", folder / "wsisam.toml", "--slides", folder, "--port", 0, "--store", "none"]
    arguments += ["--tokens", folder / "tokens.json", "--threads", 1, "--embedding-cache-bytes", "256MiB"]
    log = folder / "log"
    if real:
        with command(log, *arguments) as running:
            yield running
    else:
        with Starter(log) as starter:
            yield starter.start(*arguments)


class Colleague:
    """Clicks at places of a slide that nobody has asked for yet."""

    def __init__(self, client: Client, seed: int) -> None:
        self._client = client
        self._rng = np.random.default_rng(seed)
        self._slide_id = client.open_slide("own.svs").slide_id

    def clicks(self, count: int, pause: float = 0.05) -> dict[str, float]:
        """Milliseconds that clicks take: median and 95th percentile."""
        taken = []
        for _ in range(count):
            x, y = self._rng.uniform(500, SIDE - 500, 2)
            request = pb.SegmentRequest(slide_id=self._slide_id, prompt=box(x, y, 60))
            started = time.perf_counter()
            self._client.segment(request)
            taken.append((time.perf_counter() - started) * 1000)
            time.sleep(pause)
        return {"p50": float(np.percentile(taken, 50)), "p95": float(np.percentile(taken, 95))}


def measured(begin: Callable[[Place], None], clicks: int, *, real: bool) -> dict[str, Any]:
    """One state: clicks before, during and after it, and a stop during it."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        huge_slide(folder / "own.svs", SIDE, 256)
        with server(folder, real=real) as running:
            with Client(running.target, timeout=120) as client:
                colleague = Colleague(client, 1)
                colleague.clicks(10)
                found: dict[str, Any] = {"before": colleague.clicks(clicks)}
                first = Place(running.target, folder, threading.Event())
                begin(first)
                time.sleep(2)
                found["during"] = colleague.clicks(clicks)
                first.over.set()
                time.sleep(3)
                found["after"] = colleague.clicks(clicks)
            second = Place(running.target, folder, threading.Event())
            begin(second)
            time.sleep(2)
            found["stop"] = seconds_to_end(running.process)
            second.over.set()
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
    print(f"{'':44s}{'before':>14s}{'during':>22s}{'after':>22s}{'SIGTERM':>10s}")
    for name in options.only:
        found = results[name] = measured(STATES[name], options.clicks, real=options.real_model)
        before = found["before"]
        line = f"{name:44s}{before['p50']:7.0f}{before['p95']:7.0f}"
        for when in ("during", "after"):
            ratio = found[when]["p50"] / before["p50"]
            line += f"{found[when]['p50']:8.0f}{found[when]['p95']:7.0f} ({ratio:.1f}x)"
            if ratio > RATIO:
                wrong.append(f"{name}: {when} {ratio:.1f} times the median before")
        print(f"{line}{found['stop']:8.1f} s", flush=True)
        if found["stop"] > STOP:
            wrong.append(f"{name}: stops after {found['stop']:.1f} s")
    if options.json is not None:
        options.json.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    sys.exit("does not hold: " + "; ".join(wrong) if wrong else 0)


if __name__ == "__main__":
    main()
