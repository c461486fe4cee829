"""Clicks and batches through the server, against the straightforward pipeline, on the same weights and pixels.

Run: python benchmarks/speed.py SLIDE [--pairs 10] [--prompts 1000] [--fields 20] [--baseline 50] [--threads N]

One run: servers in other processes and `straightforward.py` in this one, in turn, with as many threads each. Cold: a
box in a field that nothing is known of. Warm: one more box in a field that is known. Batch: boxes spread over fields,
through SegmentBatch in random order; the baseline answers some of them and is scaled up. Must be reached: cold 3 times,
warm 25 times, batch 10 times as fast, and masks that agree (Dice at least 0.995 in the mean over boxes and clicks).

The straightforward pipeline reads the low-resolution image. A server does as it is told: as shipped it reads the
middle of it, with `--low-resolution none` nothing, so that its masks are no claim then. Told to read the whole, it
computes what the baseline does; that is timed without gRPC. Counted, not timed: encoder runs.
"""

from __future__ import annotations

import argparse
import datetime as dt
import platform
import statistics
import sys
import time
from dataclasses import dataclass
from dataclasses import field as dataclass_field
from pathlib import Path
from typing import TYPE_CHECKING, get_args

import numpy as np
import torch
from claims import Claim, note
from on_slide import Server, batch_of, boxes_in, cpu_flags, dice, in_model, message, serving, shuffled, spread
from straightforward import Straightforward

from wsisam.v1 import segmentation_pb2 as pb
from wsisam_model import LowReading, Prompt, WsiSam
from wsisam_server.core.settings import Limits
from wsisam_server.slides import Slide, open_slide

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from numpy.typing import NDArray
    from on_slide import Box

    from wsisam_server.core.geometry import FieldPair

COLD, WARM, BATCH, DICE = 3.0, 25.0, 10.0, 0.995

READINGS: dict[str, LowReading] = {"": "middle", ", the low resolution unread": "none"}


@dataclass(frozen=True)
class Reads:
    """How a server reads fields.

    Attributes:
        name: what the rows add for it.
        windows: of one field.
    """

    name: str
    windows: int

    def check(self, runs: int, fields: int) -> None:
        """Ends the program if the encoder ran more or less than once for each window."""
        if runs != fields * self.windows:
            raise SystemExit(f"{fields} fields of {self.windows} windows took {runs} encoder runs")


class Baseline:
    """The straightforward pipeline: read both windows, answer.

    Args:
        slide: is read.
        device: runs the model, in float32.
    """

    def __init__(self, slide: Slide, device: str = "cpu") -> None:
        self._slide = slide
        self._model = Straightforward(device=device)

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
    found: list[Claim] = []
    for name, reading in READINGS.items():
        with serving(path.parent, options.threads, "--low-resolution", reading) as server:
            slide_id = server.client.open_slide(str(path)).slide_id
            reads = Reads(name, 1 + (reading != "none"))
            found += clicks(server, slide_id, baseline, fields[options.fields :], reads)
            found += batch(server, slide_id, baseline, fields[: options.fields], options, reads)
    found += agreement(slide, baseline, fields[options.fields :])
    note(found)
    fine = all(claim.holds for claim in found)
    print(f"\n{dt.datetime.now(tz=dt.timezone.utc).date()}, {platform.machine()}, {cpu_flags()}")
    print(
        f"{options.threads} threads, torch {torch.__version__}; all that must be reached {'is' if fine else 'is not'}"
    )
    sys.exit(0 if fine else 1)


@dataclass
class ClickTimes:
    """Seconds of clicks, by field, and the encoder runs that they took together."""

    plain: list[float] = dataclass_field(default_factory=list)
    cold: list[float] = dataclass_field(default_factory=list)
    warm: list[float] = dataclass_field(default_factory=list)
    runs: int = 0


def click_times(server: Server, slide_id: str, baseline: Baseline, fields: Iterable[FieldPair]) -> ClickTimes:
    """Cold and warm, in pairs, each after the same prompt put to the baseline."""
    times = ClickTimes()
    for pair in fields:
        first, second = boxes_in(pair, 2)
        started = time.perf_counter()
        baseline.answer(pair, in_model(pair, first))
        times.plain.append(time.perf_counter() - started)
        for box, spent in ((first, times.cold), (second, times.warm)):
            prompt, field = message(pair, box)
            started = time.perf_counter()
            outline = server.client.segment(pb.SegmentRequest(slide_id=slide_id, prompt=prompt, field=field))
            spent.append(time.perf_counter() - started)
            times.runs += outline.timings.encoder_runs
    return times


def clicks(server: Server, slide_id: str, baseline: Baseline, fields: list[FieldPair], reads: Reads) -> list[Claim]:
    """Cold and warm, as ratios to the baseline."""
    times = click_times(server, slide_id, baseline, fields)
    reads.check(times.runs, len(fields))
    # The first pair warms both sides up.
    plain, cold, warm = (statistics.median(side[1:]) for side in (times.plain, times.cold, times.warm))
    return [row(f"cold click{reads.name}", plain, cold, COLD), row(f"warm click{reads.name}", plain, warm, WARM)]


def answered(server: Server, slide_id: str, prompts: list[tuple[FieldPair, Box]]) -> Iterator[None]:
    """One batch, answer by answer.

    Raises:
        SystemExit: a prompt failed.
    """
    for answer in server.client.segment_batch(batch_of(slide_id, prompts)):
        if answer.error is not None:
            raise SystemExit(f"a prompt of the batch failed: {answer.error.reason}")
        yield


def batch(
    server: Server,
    slide_id: str,
    baseline: Baseline,
    fields: list[FieldPair],
    options: argparse.Namespace,
    reads: Reads,
) -> list[Claim]:
    """Boxes in random order."""
    prompts = shuffled(fields, options.prompts)
    some = min(options.baseline, len(prompts))
    started = time.perf_counter()
    for pair, box in prompts[:some]:
        baseline.answer(pair, in_model(pair, box))
    plain = (time.perf_counter() - started) / some * len(prompts)
    before, started = server.encoder_runs(), time.perf_counter()
    for _ in answered(server, slide_id, prompts):
        pass
    spent, runs = time.perf_counter() - started, server.encoder_runs() - before
    reads.check(runs, len(fields))
    name = f"{len(prompts)} boxes in {len(fields)} fields (baseline: {some}, scaled){reads.name}"
    return [row(name, plain, spent, BATCH)]


def agreement(slide: Slide, baseline: Baseline, fields: list[FieldPair]) -> list[Claim]:
    """Masks and logits of the shipped model, and of the same one reading the low-resolution image."""
    models = {reading: WsiSam.from_name() for reading in get_args(LowReading)}
    for reading, model in models.items():
        model.set_low_reading(reading)
    whole = models["whole"]
    dices: dict[tuple[LowReading, str], list[float]] = {}
    apart, plain, cold, warm = 0.0, [], [], []
    for pair in fields:
        box = in_model(pair, boxes_in(pair, 1)[0])
        times = [time.perf_counter()]
        wanted = baseline.answer(pair, box)
        times.append(time.perf_counter())
        high = whole.encode(slide.read(pair.high), roles=("high",))
        low = whole.encode(slide.read(pair.low), roles=("low",))
        logits = whole.decode(high, low, box).logits
        times.append(time.perf_counter())
        whole.decode(high, low, box)
        times.append(time.perf_counter())
        for one, spent in zip((plain, cold, warm), np.diff(times).tolist(), strict=True):
            one.append(spent)
        apart = max(apart, float(np.abs(logits - wanted).max()))
        part = models["middle"].encode(slide.read(pair.low), roles=("low",))
        for kind, prompt in (("box", box), ("click", click_in(box))):
            wanted = baseline.answer(pair, prompt)
            for reading, read in (("none", None), ("middle", part), ("whole", low)):
                found = dice(models[reading].decode(high, read, prompt).logits, wanted)
                dices.setdefault((reading, kind), []).append(found)
    sides = [statistics.median(times[1:]) for times in (plain, cold, warm)]
    claims = [
        row("cold click, the whole low resolution read, without gRPC", sides[0], sides[1], None),
        row("warm click, the whole low resolution read, without gRPC", sides[0], sides[2], WARM),
    ]
    print(f"\nlogits, the whole low resolution read: at most {apart:.1e} apart from the baseline's")
    print("\n| Dice to the baseline, low resolution | box: mean | least | click: mean | least | must be, together |")
    print("|---|---|---|---|---|---|")
    for reading in models:
        box, click = dices[reading, "box"], dices[reading, "click"]
        together = Claim(f"Dice to the baseline, low resolution: {reading}", statistics.mean([*box, *click]), DICE)
        cells = (f"{statistics.mean(values):.4f} | {min(values):.4f}" for values in (box, click))
        print(f"| {reading} | {' | '.join(cells)} | {DICE if reading != 'none' else ''} |")
        if reading != "none":
            claims.append(together)
    return claims


def click_in(box: Prompt) -> Prompt:
    """A click on a box's middle."""
    assert box.box is not None
    x0, y0, x1, y1 = box.box
    return Prompt(points=(((x0 + x1) / 2, (y0 + y1) / 2),), labels=(1,))


def row(name: str, plain: float, here: float, needed: float | None) -> Claim:
    """A line of the table."""
    claim = Claim(name, plain / here, needed)
    must = "" if needed is None else f"{needed:g}"
    print(f"| {name} | {plain * 1000:.0f} | {here * 1000:.0f} | {claim.ratio:.1f} | {must} |", flush=True)
    return claim


if __name__ == "__main__":
    main()
