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
import statistics
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from claims import Claim, note
from on_slide import Server, batch_of, boxes_in, cpu_flags, dice, in_model, message, serving, shuffled, spread
from straightforward import Straightforward

from wsisam.v1 import segmentation_pb2 as pb
from wsisam_model import Prompt, WsiSam
from wsisam_server.config import Limits
from wsisam_server.slides import Slide, open_slide

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from wsisam_server.geometry import FieldPair

COLD, WARM, BATCH, DICE = 3.0, 25.0, 10.0, 0.995


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
    fields = spread(slide, options.fields + options.pairs)
    print("| | straightforward ms | here ms | ratio | must be |\n|---|---|---|---|---|")
    with serving(path.parent, options.threads) as server:
        slide_id = server.client.open_slide(str(path)).slide_id
        found = clicks(server, slide_id, baseline, fields[options.fields :])
        found += batch(server, slide_id, baseline, fields[: options.fields], options)
    found += agreement(slide, baseline, fields[options.fields :])
    note(found)
    fine = all(claim.holds for claim in found)
    print(f"\n{dt.datetime.now(tz=dt.timezone.utc).date()}, {platform.machine()}, {cpu_flags()}")
    print(
        f"{options.threads} threads, torch {torch.__version__}; all that must be reached {'is' if fine else 'is not'}"
    )
    sys.exit(0 if fine else 1)


def clicks(server: Server, slide_id: str, baseline: Baseline, fields: list[FieldPair]) -> list[Claim]:
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
            outline = server.client.segment(pb.SegmentRequest(slide_id=slide_id, prompt=prompt, field=field))
            times.append(time.perf_counter() - started)
            runs += outline.timings.encoder_runs
    if runs != len(fields):
        raise SystemExit(f"{len(fields)} fields took {runs} encoder runs")
    # The first pair warms both sides up.
    sides = [statistics.median(times[1:]) for times in (plain, cold, warm)]
    return [row("cold click", sides[0], sides[1], COLD), row("warm click", sides[0], sides[2], WARM)]


def batch(
    server: Server, slide_id: str, baseline: Baseline, fields: list[FieldPair], options: argparse.Namespace
) -> list[Claim]:
    """Boxes in random order."""
    prompts = shuffled(fields, options.prompts)
    some = min(options.baseline, len(prompts))
    started = time.perf_counter()
    for pair, box in prompts[:some]:
        baseline.answer(pair, in_model(pair, box))
    plain = (time.perf_counter() - started) / some * len(prompts)
    before, started = server.encoder_runs(), time.perf_counter()
    for answer in server.client.segment_batch(batch_of(slide_id, prompts)):
        if answer.error is not None:
            raise SystemExit(f"a prompt of the batch failed: {answer.error.reason}")
    spent, runs = time.perf_counter() - started, server.encoder_runs() - before
    if runs != len(fields):
        raise SystemExit(f"{len(fields)} fields took {runs} encoder runs")
    return [row(f"{len(prompts)} boxes in {len(fields)} fields (baseline: {some}, scaled)", plain, spent, BATCH)]


def agreement(slide: Slide, baseline: Baseline, fields: list[FieldPair]) -> list[Claim]:
    """Masks and logits of the shipped model, and of the same one reading the low-resolution image."""
    shipped = WsiSam.from_name()
    dual = WsiSam.from_name(settings=dataclasses.replace(shipped.settings, read_low=True))
    dices: dict[str, list[float]] = {"as shipped": [], "reading the low resolution": []}
    apart, plain, cold, warm = 0.0, [], [], []
    for pair in fields:
        prompt = in_model(pair, boxes_in(pair, 1)[0])
        times = [time.perf_counter()]
        wanted = baseline.answer(pair, prompt)
        times.append(time.perf_counter())
        high = dual.encode(slide.read(pair.high), roles=("high",))
        low = dual.encode(slide.read(pair.low), roles=("low",))
        logits = dual.decode(high, low, prompt).logits
        times.append(time.perf_counter())
        dual.decode(high, low, prompt)
        times.append(time.perf_counter())
        for one, spent in zip((plain, cold, warm), np.diff(times).tolist(), strict=True):
            one.append(spent)
        apart = max(apart, float(np.abs(logits - wanted).max()))
        dices["reading the low resolution"].append(dice(logits, wanted))
        dices["as shipped"].append(dice(shipped.decode(high, None, prompt).logits, wanted))
    sides = [statistics.median(times[1:]) for times in (plain, cold, warm)]
    found = [
        row("cold click that reads both, without gRPC", sides[0], sides[1], COLD),
        row("warm click that reads both, without gRPC", sides[0], sides[2], WARM),
    ]
    print(f"\nlogits of both, reading the low resolution: at most {apart:.1e} apart")
    for name, values in dices.items():
        print(f"Dice {name}: mean {statistics.mean(values):.4f}, least {min(values):.4f} (must be {DICE} in the mean)")
        found.append(Claim(f"Dice to the straightforward pipeline, {name}", statistics.mean(values), DICE))
    return found


def row(name: str, plain: float, here: float, needed: float) -> Claim:
    """A line of the table."""
    claim = Claim(name, plain / here, needed)
    print(f"| {name} | {plain * 1000:.0f} | {here * 1000:.0f} | {claim.ratio:.1f} | {needed:g} |", flush=True)
    return claim


if __name__ == "__main__":
    main()
