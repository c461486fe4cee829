"""Clicks and batches through the server, against the straightforward pipeline, on the same weights and pixels.

Run: python benchmarks/speed.py SLIDE [--pairs 10] [--prompts 1000] [--fields 20] [--baseline 50] [--threads N]

One run: a server in another process and `straightforward.py` in this one, in turn, with as many threads each. Cold: a
box in a field that nothing is known of. Warm: one more box in a field that is known. Batch: boxes spread over fields,
through SegmentBatch in random order; the baseline answers some of them and is scaled up. Must be reached: cold 3 times,
warm 25 times, batch 10 times as fast, and masks that agree (Dice at least 0.995 in the mean). The shipped model does
not read the low-resolution image, because that was measured to bring nothing (its card says how much); so there is also
the same model reading it, which computes what the baseline does. Counted, not timed: encoder runs.
"""

from __future__ import annotations

import argparse
import dataclasses
import datetime as dt
import platform
import socket
import statistics
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from profile_click import cpu_flags
from prometheus_client.parser import text_string_to_metric_families
from straightforward import Straightforward

from wsisam.v1 import geometry_pb2 as geo
from wsisam.v1 import segmentation_pb2 as pb
from wsisam_model import Prompt, WsiSam
from wsisam_server.client import Client
from wsisam_server.config import Limits
from wsisam_server.geometry import FieldPair, Point, Window
from wsisam_server.slides import Slide, open_slide

if TYPE_CHECKING:
    from numpy.typing import NDArray

COLD, WARM, BATCH, DICE = 3.0, 25.0, 10.0, 0.995

Box = tuple[float, float, float, float]


class Baseline:
    """The straightforward pipeline: read both windows, answer."""

    def __init__(self, slide: Slide) -> None:
        self._slide = slide
        self._model = Straightforward()

    def answer(self, pair: FieldPair, prompt: Prompt) -> NDArray[np.float32]:
        """Logits of one prompt."""
        return self._model.answer(self._slide.read(pair.high), self._slide.read(pair.low), prompt)


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("slide", type=Path)
    arguments.add_argument("--pairs", type=int, default=10)
    arguments.add_argument("--prompts", type=int, default=1000)
    arguments.add_argument("--fields", type=int, default=20)
    arguments.add_argument("--baseline", type=int, default=50)
    arguments.add_argument("--threads", type=int, default=torch.get_num_threads())
    options = arguments.parse_args()
    torch.set_num_threads(options.threads)
    path = options.slide.resolve()
    slide = open_slide(path, Limits())
    baseline = Baseline(slide)
    command = [sys.executable, "-m", "wsisam_server", "serve", "--slides", str(path.parent), "--port", "0"]
    metrics = free_port()
    command += [
        "--metrics-port",
        str(metrics),
        "--threads",
        str(options.threads),
        "--store",
        "none",
        "--log-level",
        "warning",
    ]
    print("| | straightforward ms | here ms | ratio | must be |\n|---|---|---|---|---|")
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        try:
            with Client(server.stdout.readline().rsplit(" ", 1)[-1].strip(), timeout=3600) as client:
                slide_id = client.open_slide(str(path)).slide_id
                fields = spread(slide, options.fields + options.pairs)
                fine = clicks(client, slide_id, baseline, fields[options.fields :])
                fine &= batch(client, slide_id, baseline, fields[: options.fields], options, metrics)
        finally:
            server.terminate()
    fine &= agreement(slide, baseline, fields[options.fields :])
    print(f"\n{dt.datetime.now(tz=dt.timezone.utc).date()}, {platform.machine()}, {cpu_flags()}")
    print(
        f"{options.threads} threads, torch {torch.__version__}; all that must be reached {'is' if fine else 'is not'}"
    )


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


def in_model(pair: FieldPair, box: Box) -> Prompt:
    x0, y0 = pair.high.to_model(Point(box[0], box[1]))
    x1, y1 = pair.high.to_model(Point(box[2], box[3]))
    return Prompt(box=(x0, y0, x1, y1))


def message(pair: FieldPair, box: Box) -> tuple[pb.Prompt, pb.FieldChoice]:
    high = pair.high
    field = pb.FieldChoice(high=geo.Window(x=high.x, y=high.y, downsample=high.downsample, size=high.size))
    return pb.Prompt(box=geo.Box(x0=box[0], y0=box[1], x1=box[2], y1=box[3])), field


def clicks(client: Client, slide_id: str, baseline: Baseline, fields: list[FieldPair]) -> bool:
    """Cold and warm, in pairs."""
    plain, cold, warm, runs = [], [], [], 0
    for pair in fields:
        first, second = boxes_in(pair, 2)
        started = time.perf_counter()
        baseline.answer(pair, in_model(pair, first))
        plain.append(time.perf_counter() - started)
        for box, times in ((first, cold), (second, warm)):
            prompt, field = message(pair, box)
            started = time.perf_counter()
            outline = client.segment(pb.SegmentRequest(slide_id=slide_id, prompt=prompt, field=field))
            times.append(time.perf_counter() - started)
            runs += outline.timings.encoder_runs
    if runs != len(fields):
        raise SystemExit(f"{len(fields)} fields took {runs} encoder runs")
    # The first pair warms both sides up.
    sides = [statistics.median(times[1:]) for times in (plain, cold, warm)]
    fine = row("cold click", sides[0], sides[1], COLD)
    return row("warm click", sides[0], sides[2], WARM) and fine


def batch(
    client: Client,
    slide_id: str,
    baseline: Baseline,
    fields: list[FieldPair],
    options: argparse.Namespace,
    metrics: int,
) -> bool:
    """Boxes in random order."""
    each = options.prompts // len(fields)
    prompts = [(pair, box) for pair in fields for box in boxes_in(pair, each)]
    order = np.random.default_rng(1).permutation(len(prompts))
    prompts = [prompts[number] for number in order]
    request = pb.SegmentBatchRequest(slide_id=slide_id)
    for number, (pair, box) in enumerate(prompts):
        prompt, field = message(pair, box)
        request.items.add(id=str(number), prompt=prompt, field=field)
    some = min(options.baseline, len(prompts))
    started = time.perf_counter()
    for pair, box in prompts[:some]:
        baseline.answer(pair, in_model(pair, box))
    plain = (time.perf_counter() - started) / some * len(prompts)
    before, started = encoder_runs(metrics), time.perf_counter()
    for answer in client.segment_batch(request):
        if answer.error is not None:
            raise SystemExit(f"a prompt of the batch failed: {answer.error.reason}")
    spent, runs = time.perf_counter() - started, encoder_runs(metrics) - before
    if runs != len(fields):
        raise SystemExit(f"{len(fields)} fields took {runs} encoder runs")
    return row(f"{len(prompts)} boxes in {len(fields)} fields (baseline: {some}, scaled)", plain, spent, BATCH)


def agreement(slide: Slide, baseline: Baseline, fields: list[FieldPair]) -> bool:
    """Masks and logits of the shipped model, and of the same one reading the low-resolution image."""
    shipped = WsiSam.from_name()
    dual = WsiSam.from_name(settings=dataclasses.replace(shipped.settings, read_low=True))
    dices: dict[str, list[float]] = {"as shipped": [], "reading the low resolution": []}
    apart, plain, both = 0.0, [], []
    for pair in fields:
        prompt = in_model(pair, boxes_in(pair, 1)[0])
        started = time.perf_counter()
        wanted = baseline.answer(pair, prompt)
        plain.append(time.perf_counter() - started)
        started = time.perf_counter()
        high = dual.encode(slide.read(pair.high), roles=("high",))
        logits = dual.decode(high, dual.encode(slide.read(pair.low), roles=("low",)), prompt).logits
        both.append(time.perf_counter() - started)
        apart = max(apart, float(np.abs(logits - wanted).max()))
        dices["reading the low resolution"].append(dice(logits, wanted))
        dices["as shipped"].append(dice(shipped.decode(high, None, prompt).logits, wanted))
    row("cold click that reads both, without gRPC", statistics.median(plain), statistics.median(both), None)
    print(f"\nlogits of both, reading the low resolution: at most {apart:.1e} apart")
    for name, values in dices.items():
        print(f"Dice {name}: mean {statistics.mean(values):.4f}, least {min(values):.4f} (must be {DICE} in the mean)")
    return all(statistics.mean(values) >= DICE for values in dices.values())


def encoder_runs(metrics: int) -> int:
    """How often the server has run the encoder."""
    with urllib.request.urlopen(f"http://127.0.0.1:{metrics}/metrics") as page:
        for family in text_string_to_metric_families(page.read().decode()):
            for sample in family.samples:
                if sample.name == "wsisam_embedding_cache_lookups_total" and sample.labels["result"] == "miss":
                    return int(sample.value)
    raise SystemExit("the server does not say how often it ran the encoder")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def dice(one: NDArray[np.float32], other: NDArray[np.float32]) -> float:
    a, b = one > 0, other > 0
    total = int(a.sum() + b.sum())
    return 2 * int((a & b).sum()) / total if total else 1.0


def row(name: str, plain: float, here: float, limit: float | None) -> bool:
    ratio = plain / here
    cells = (name, f"{plain * 1000:.0f}", f"{here * 1000:.0f}", f"{ratio:.1f}", "" if limit is None else f"{limit:g}")
    print("| " + " | ".join(cells) + " |", flush=True)
    return limit is None or ratio >= limit


if __name__ == "__main__":
    main()
