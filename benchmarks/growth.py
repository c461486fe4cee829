"""Whether a batch's cost grows linearly with its prompts, and whether memory stays within what was configured.

Run: python benchmarks/growth.py SLIDE [--prompts 10000] [--fields 80] [--cache-mib 256] [--threads N] [--plot OUT.svg]

One SegmentBatch, boxes in random order over more fields than the cache holds. Noted ten times a second: how many are
answered, the seconds by the clock and the processor seconds of the server, and its resident memory. Linear: the
prompts of the last third cost as much as those of the first, up to a tenth, by processor time, which other programs
disturb less. Bounded: the last third's memory is at most a twentieth over the second's.
"""

from __future__ import annotations

import argparse
import datetime as dt
import os
import platform
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import torch
from claims import Claim, note
from matplotlib.figure import Figure
from on_slide import Server, batch_of, cpu_flags, serving, shuffled, spread

from wsisam_server.core.settings import MIB, Limits
from wsisam_server.slides import open_slide

if TYPE_CHECKING:
    from collections.abc import Iterator

    from wsisam.v1 import segmentation_pb2 as pb

GROWTH, MEMORY = 1.1, 1.05


@dataclass(frozen=True)
class Sample:
    """What was so at one time."""

    answered: int
    clock: float
    processor: float
    memory_mib: float


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("slide", type=Path)
    arguments.add_argument("--prompts", type=int, default=10_000)
    arguments.add_argument("--fields", type=int, default=80)
    arguments.add_argument("--cache-mib", type=int, default=256)
    arguments.add_argument("--threads", type=int, default=torch.get_num_threads())
    arguments.add_argument("--plot", type=Path)
    options = arguments.parse_args()
    path = options.slide.resolve()
    prompts = shuffled(spread(open_slide(path, Limits()), options.fields), options.prompts)
    with serving(path.parent, options.threads, embedding_cache_bytes=options.cache_mib * MIB) as server:
        request = batch_of(server.client.open_slide(str(path)).slide_id, prompts)
        before = server.encoder_runs()
        samples = list(follow(server, request))
        runs = server.encoder_runs() - before
        windows = options.fields * (2 if server.client.models()[0].uses_low else 1)
    if runs != windows:
        raise SystemExit(f"{windows} windows took {runs} encoder runs")
    third = len(prompts) // 3
    first, last = (cost(samples, *part) for part in ((0, third), (len(prompts) - third, len(prompts))))
    middle = max(sample.memory_mib for sample in samples if third <= sample.answered <= 2 * third)
    peak = max(sample.memory_mib for sample in samples if sample.answered > 2 * third)
    found = [
        Claim("a prompt of a batch's first third to one of its last (processor time)", first / last, 1 / GROWTH),
        Claim("memory of a batch's second third to its last", middle / peak, 1 / MEMORY),
    ]
    end = samples[-1]
    print(f"{len(prompts)} prompts in {options.fields} fields, a cache of {options.cache_mib} MiB, {runs} encoder runs")
    print(f"{end.clock:.0f} s by the clock, {end.processor:.0f} s of processor time")
    print(f"a prompt of the first third {first * 1000:.1f} ms, of the last {last * 1000:.1f} (processor)")
    print(
        f"resident memory: {samples[0].memory_mib:.0f} MiB before, {middle:.0f} in the second third, {peak:.0f} after"
    )
    print(f"{dt.datetime.now(tz=dt.timezone.utc).date()}, {platform.machine()}, {cpu_flags()}")
    print(f"{options.threads} threads, load {os.getloadavg()[0]:.1f}")
    note(found)
    if options.plot is not None:
        draw(samples, options.plot)
    raise SystemExit(0 if all(claim.holds for claim in found) else "cost or memory grows too fast")


def follow(server: Server, request: pb.SegmentBatchRequest) -> Iterator[Sample]:
    """Runs a batch, and looks at the server meanwhile."""
    process, answered, ended = psutil.Process(server.pid), 0, threading.Event()
    failed: list[str] = []

    def ask() -> None:
        nonlocal answered
        for answer in server.client.segment_batch(request):
            if answer.error is not None:
                failed.append(answer.error.reason)
            answered += 1
        ended.set()

    def sample() -> Sample:
        times = process.cpu_times()
        clock, processor = time.perf_counter() - started, times.user + times.system - spent
        return Sample(answered, clock, processor, process.memory_info().rss / MIB)

    times = process.cpu_times()
    started, spent = time.perf_counter(), times.user + times.system
    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    while not ended.wait(0.1):
        yield sample()
        if not thread.is_alive() and not ended.is_set():
            raise SystemExit("the batch broke off")
    yield sample()
    if failed:
        raise SystemExit(f"{len(failed)} prompts of the batch failed: {failed[0]}")


def cost(samples: list[Sample], first: int, last: int) -> float:
    """Processor seconds a prompt, between so many answers and so many."""
    part = [sample for sample in samples if first <= sample.answered <= last]
    return (part[-1].processor - part[0].processor) / (part[-1].answered - part[0].answered)


def draw(samples: list[Sample], path: Path) -> None:
    """Time and memory over the answers."""
    chosen = samples[:: max(1, len(samples) // 400)]
    answered = [sample.answered for sample in chosen]
    figure = Figure(figsize=(7, 5), layout="constrained")
    above, below = figure.subplots(2, 1, sharex=True)
    above.plot(answered, [sample.clock for sample in chosen], label="by the clock")
    above.plot(answered, [sample.processor for sample in chosen], label="processor time of the server")
    above.set_ylabel("seconds")
    above.legend(frameon=False)
    below.plot(answered, [sample.memory_mib for sample in chosen], color="tab:green")
    below.set_ylim(0)
    below.set_ylabel("resident memory, MiB")
    below.set_xlabel("prompts answered")
    for axes in (above, below):
        axes.grid(alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path)


if __name__ == "__main__":
    main()
