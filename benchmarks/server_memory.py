"""What a server's memory is made of: what it takes by itself, and what each window, slide, stream and user adds.

    python benchmarks/server_memory.py [--streams 300] [--users 60] [--slides 40] [--windows 24]

A real `wsisam serve` with the default model on the CPU; its resident memory is read from the system. What a thing adds
is the difference over many of them, divided by their number. A cached window's bytes are exact: the server counts them.
"""

from __future__ import annotations

import argparse
import os
import platform
import queue
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import psutil
import tifffile

from wsisam.v1 import geometry_pb2 as geo
from wsisam.v1 import segmentation_pb2 as pb
from wsisam_server.client import Client
from wsisam_server.service.metrics.scrape import Scrape, read

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MIB = 1024 * 1024
SIDE = 4096
REMEMBERED = 32


def slides_in(folder: Path, count: int) -> list[Path]:
    """Tiled pyramids of noise: nothing of them is like the others."""
    rng = np.random.default_rng(0)
    paths = []
    for number in range(count):
        path = folder / f"slide-{number}.tif"
        image = np.repeat(np.repeat(rng.integers(0, 256, (SIDE // 8, SIDE // 8, 3), np.uint8), 8, 0), 8, 1)
        with tifffile.TiffWriter(path) as tiff:
            for level in range(4):
                tiff.write(
                    image[:: 2**level, :: 2**level],
                    tile=(256, 256),
                    photometric="rgb",
                    subfiletype=int(level > 0),
                    metadata=None,
                    compression="deflate",
                )
        paths.append(path)
    return paths


class Server:
    """A running server whose memory is measured."""

    def __init__(self, folder: Path) -> None:
        unlimited = {"STREAMS_PER_USER": "100000", "OPEN_SLIDES": "1000", "MESSAGES_PER_SECOND_PER_USER": "100000"}
        environment = {**os.environ, **{f"WSISAM_LIMITS__{name}": value for name, value in unlimited.items()}}
        command = [sys.executable, "-m", "wsisam_server", "serve", "--slides", str(folder), "--port", "0"]
        command += ["--encoder", "torch"]  # no trial of another way beside what is measured
        command += ["--store", str(folder / "annotations.sqlite"), "--metrics-port", "0", "--log-level", "warning"]
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
        )
        assert self.process.stdout is not None
        assert self.process.stderr is not None
        self.target = self.process.stdout.readline().rsplit(" ", 1)[-1].strip()
        line = next(line for line in self.process.stderr if "metrics are on" in line)
        self._metrics = int(line.rpartition(":")[2])

    def memory(self) -> float:
        """MiB that are resident, once they have settled."""
        time.sleep(1)
        return psutil.Process(self.process.pid).memory_info().rss / MIB

    def numbers(self) -> Scrape:
        """What the server counts."""
        return read("127.0.0.1", self._metrics)

    def added(self, per: int, what: Callable[[], None]) -> float:
        """MiB that something adds, divided by how many there are of it."""
        before = self.memory()
        what()
        return (self.memory() - before) / per


def box(x: float, y: float) -> pb.Prompt:
    return pb.Prompt(box=geo.Box(x0=x, y0=y, x1=x + 100, y1=y + 100))


class Stream:
    """An open stream; idle until it is sent something."""

    def __init__(self, client: Client, slide_id: str) -> None:
        self._messages: queue.Queue[pb.InteractRequest | None] = queue.Queue()
        self._replies = client.interact(pb.Start(slide_id=slide_id), self._sent())
        next(self._replies)

    def ask(self, object_id: str, prompt: pb.Prompt) -> None:
        """Asks, and waits for the outline."""
        revision = pb.PromptRevision(object_id=object_id, revision=1, prompt=prompt)
        self._messages.put(pb.InteractRequest(prompt=revision))
        while next(self._replies).WhichOneof("message") != "outline":
            pass

    def close(self) -> None:
        """Ends it."""
        self._messages.put(None)
        list(self._replies)

    def _sent(self) -> Iterator[pb.InteractRequest]:
        yield from iter(self._messages.get, None)


def measure(  # noqa: C901 - one thing after the other
    server: Server, paths: list[Path], options: argparse.Namespace
) -> Iterator[tuple[str, str]]:
    yield "after the start", f"{server.memory():.0f} MiB"
    first, *others = paths
    with ExitStack() as stack:
        client = stack.enter_context(Client(server.target))
        slide_id = client.open_slide(str(first)).slide_id

        def ask(identity: str, x: float, y: float) -> None:
            client.segment(pb.SegmentRequest(slide_id=identity, prompt=box(x, y)))

        ask(slide_id, 1000, 1000)
        before = server.numbers().value("wsisam_embedding_cache_bytes")
        yield "after the first prompt", f"{server.memory():.0f} MiB"
        yield "a cached window, counted", f"{before / MIB:.2f} MiB"

        # In halves: with the first one, buffers and slides' tiles grow that stay as they are then.
        for half in range(2):

            def windows(half: int = half) -> None:
                for number in range(options.windows // 2):
                    ask(slide_id, 300 * (number % 12) + 100, 400 * (number // 12 + 3 * half) + 100)

            grown = server.added(1, windows)
            after = server.numbers().value("wsisam_embedding_cache_bytes")
            counted = (after - before) / MIB
            before = after
            yield f"windows, half {half + 1}: resident, counted", f"{grown:.0f} MiB, {counted:.0f} MiB"

        def streams() -> None:
            for _ in range(options.streams):
                stack.callback(Stream(client, slide_id).close)

        yield "an idle stream", f"{server.added(options.streams, streams) * 1024:.0f} KiB"

        def users() -> None:
            for _ in range(options.users):
                own = stack.enter_context(Client(server.target))
                own.models()
                stack.callback(Stream(own, slide_id).close)

        yield "a user's connection with one idle stream", f"{server.added(options.users, users) * 1024:.0f} KiB"

        busy = Stream(client, slide_id)
        stack.callback(busy.close)

        def answers() -> None:
            for number in range(REMEMBERED):
                busy.ask(str(number), box(1000 + number % 4, 1000))

        yield f"a stream at work ({REMEMBERED} answers or more)", f"{server.added(1, answers):.1f} MiB"

        def slides() -> None:
            for path in others:
                client.open_slide(str(path))

        yield "an open slide, not read yet", f"{server.added(len(others), slides) * 1024:.0f} KiB"
        yield "at the end", f"{server.memory():.0f} MiB"


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, count in (("streams", 300), ("users", 60), ("slides", 40), ("windows", 24)):
        arguments.add_argument(f"--{name}", type=int, default=count)
    options = arguments.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        paths = slides_in(folder, options.slides + 1)
        server = Server(folder)
        try:
            print(f"{platform.machine()}, {platform.system()}, Python {platform.python_version()}")
            for what, value in measure(server, paths, options):
                print(f"{what:45s} {value}", flush=True)
        finally:
            server.process.terminate()
            server.process.communicate()


if __name__ == "__main__":
    main()
