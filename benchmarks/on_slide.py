"""What the benchmarks on a slide share: fields and boxes on it, a server in another process, what that one counts."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import urllib.request
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from prometheus_client.parser import text_string_to_metric_families

from wsisam.v1 import geometry_pb2 as geo
from wsisam.v1 import segmentation_pb2 as pb
from wsisam_model import Prompt
from wsisam_server.client import Client
from wsisam_server.core.geometry import FieldPair, Point, Window

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from wsisam_server.slides import Slide

Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class Server:
    """A running server.

    Attributes:
        client: connected to it.
        target: its address, for more clients.
        pid: its process.
    """

    client: Client
    target: str
    pid: int
    metrics_port: int

    def value(self, name: str, **labels: str) -> float:
        """What it counts now under a metric's name, with these labels among others.

        Raises:
            SystemExit: it does not count that.
        """
        with urllib.request.urlopen(f"http://127.0.0.1:{self.metrics_port}/metrics") as page:
            for family in text_string_to_metric_families(page.read().decode()):
                for sample in family.samples:
                    if sample.name == name and labels.items() <= sample.labels.items():
                        return float(sample.value)
        raise SystemExit(f"the server does not count {name} {labels}")

    def encoder_runs(self) -> int:
        """How often it has run the encoder."""
        return int(self.value("wsisam_embedding_cache_lookups_total", result="miss"))


@contextmanager
def serving(folder: Path, threads: int, *flags: str, **limits: int) -> Iterator[Server]:
    """A server for a folder of slides, with the default model, without a store.

    Args:
        folder: of the slides.
        threads: of the model.
        flags: of `wsisam serve`.
        limits: settings of the same names.
    """
    port = free_port()
    command = [
        sys.executable,
        "-m",
        "wsisam_server",
        "serve",
        "--slides",
        str(folder),
        "--port",
        "0",
        "--store",
        "none",
    ]
    command += ["--metrics-port", str(port), "--threads", str(threads), "--log-level", "warning", *flags]
    # No trial of another way to run the encoder beside what is measured, unless $WSISAM_MODEL__ENCODER says so.
    environment = {"WSISAM_MODEL__ENCODER": "torch"} | os.environ
    environment |= {f"WSISAM_LIMITS__{name.upper()}": str(value) for name, value in limits.items()}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stdout is not None
        try:
            target = process.stdout.readline().rsplit(" ", 1)[-1].strip()
            if not target:
                raise SystemExit("the server did not start")
            with Client(target, timeout=7200) as client:
                yield Server(client, target, process.pid, port)
        finally:
            process.terminate()


def free_port() -> int:
    """A port that nothing listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def spread(slide: Slide, count: int) -> list[FieldPair]:
    """Fields at the full resolution that do not overlap, in random order."""
    side, size = 256, slide.info.size
    corners = [(x, y) for y in range(0, size.height - side, side) for x in range(0, size.width - side, side)]
    if len(corners) < count:
        raise SystemExit(f"the slide has room for {len(corners)} fields, not for {count}")
    chosen = np.random.default_rng(0).permutation(corners)[:count].tolist()
    return [FieldPair(Window(x, y, 1, side)) for x, y in chosen]


def boxes_in(pair: FieldPair, count: int) -> list[Box]:
    """Boxes of 30 to 90 pixels, in slide coordinates."""
    rng = np.random.default_rng([int(pair.high.x), int(pair.high.y)])
    made = []
    for _ in range(count):
        width, height = rng.uniform(30, 90), rng.uniform(30, 90)
        x, y = (start + rng.uniform(8, 248 - length) for start, length in ((pair.high.x, width), (pair.high.y, height)))
        made.append((x, y, x + width, y + height))
    return made


def shuffled(fields: list[FieldPair], count: int) -> list[tuple[FieldPair, Box]]:
    """So many boxes, equally spread over the fields, in random order."""
    prompts = [(pair, box) for pair in fields for box in boxes_in(pair, -(-count // len(fields)))]
    return [prompts[number] for number in np.random.default_rng(1).permutation(len(prompts))[:count]]


def in_model(pair: FieldPair, box: Box) -> Prompt:
    """A box as the model wants it."""
    x0, y0 = pair.high.to_model(Point(box[0], box[1]))
    x1, y1 = pair.high.to_model(Point(box[2], box[3]))
    return Prompt(box=(x0, y0, x1, y1))


def message(pair: FieldPair, box: Box) -> tuple[pb.Prompt, pb.FieldChoice]:
    """A box as the server wants it, in just this field."""
    high = pair.high
    field = pb.FieldChoice(high=geo.Window(x=high.x, y=high.y, downsample=high.downsample, size=high.size))
    return pb.Prompt(box=geo.Box(x0=box[0], y0=box[1], x1=box[2], y1=box[3])), field


def batch_of(slide_id: str, prompts: list[tuple[FieldPair, Box]]) -> pb.SegmentBatchRequest:
    """One call for many boxes."""
    request = pb.SegmentBatchRequest(slide_id=slide_id)
    for number, (pair, box) in enumerate(prompts):
        prompt, field = message(pair, box)
        request.items.add(id=str(number), prompt=prompt, field=field)
    return request


def dice(one: NDArray[np.float32], other: NDArray[np.float32]) -> float:
    """Of two masks given as logits; 1 where both are empty."""
    a, b = one > 0, other > 0
    total = int(a.sum() + b.sum())
    return 2 * int((a & b).sum()) / total if total else 1.0


def cpu_flags() -> str:
    """What decides which kernels can be used."""
    known = ("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "amx_bf16", "amx_int8")
    info = Path("/proc/cpuinfo")
    flags = set(info.read_text(encoding="utf-8").split()) if info.exists() else set()
    return "CPU flags: " + (" ".join(flag for flag in known if flag in flags) or "none of " + " ".join(known))
