"""What compiling the image encoder by OpenVINO brings on this processor: each way against torch, in turn in one run.

    python benchmarks/encoder_ways.py [--model wsisam-lite] [--threads 1] [--rounds 5]

Each number type has a process of its own, since a library that fails there must not end the benchmark. In each round
torch and OpenVINO encode a whole window, and the middle of one where the encoder takes parts. Read the ratios: of the
processor's time on a machine that others use, of the wall's on a quiet one. "A field" is both windows, as a first
click needs them. Differences are parts of the largest value.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import statistics
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import torch
from on_slide import cpu_flags

from wsisam_model import WsiSam
from wsisam_model.loading import load
from wsisam_server.inference.encoders.agreement import difference
from wsisam_server.inference.encoders.library import CompiledEncoder, compile_for, convert, installed_version, sides_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from wsisam_server.inference.encoders.agreement import NumberType

NUMBER_TYPES: tuple[NumberType, ...] = ("float32", "bfloat16")


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--model", default="wsisam-lite")
    arguments.add_argument("--threads", type=int, default=1)
    arguments.add_argument("--rounds", type=int, default=5)
    arguments.add_argument("--number-type", choices=NUMBER_TYPES, help=argparse.SUPPRESS)
    options = arguments.parse_args()
    if options.number_type is not None:
        print(json.dumps(measured(options)))
        return
    print("| | torch ms | OpenVINO ms | ratio | wall, ratio | difference |\n|---|---|---|---|---|---|")
    for number_type in NUMBER_TYPES:
        command = [sys.executable, __file__, *sys.argv[1:], "--number-type", number_type]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
        if done.returncode != 0:
            print(f"| {number_type} | its process ended with status {done.returncode} | | | | |")
            continue
        for row in json.loads(done.stdout.splitlines()[-1]):
            print(row)
    print(
        f"\n{dt.datetime.now(tz=dt.timezone.utc).date()}, {cpu_flags()}; {options.model}, {options.threads} threads, "
        f"torch {torch.__version__}, OpenVINO {installed_version()}; processor time, medians of {options.rounds} rounds"
    )


@torch.inference_mode()
def measured(options: argparse.Namespace) -> list[str]:
    """The rows of one number type."""
    torch.set_num_threads(options.threads)
    paths = WsiSam.from_name(options.model).paths
    modules = load(paths.sam, paths.high, paths.low, paths.additions)
    encoder, size = modules.encoder.eval(), modules.variant.image_size
    sides = sides_of(encoder, size)
    with torch.inference_mode(mode=False):
        converted = convert(encoder, size)
    encoder.freeze()
    encoder.to(memory_format=torch.channels_last)
    kind, threads = options.number_type, options.threads
    compiled = {side: compile_for(converted, side, threads, kind) for side in sides}
    runner = CompiledEncoder(compiled, threads, kind)
    images = {side: torch.randn(1, 3, side, side).to(memory_format=torch.channels_last) for side in sides}
    off = {side: difference(runner(images[side]), encoder(images[side])) for side in sides}
    times: dict[tuple[str, int], list[tuple[float, float]]] = {}
    for _ in range(options.rounds):
        for side in sides:
            for name, run in (("torch", encoder), ("OpenVINO", runner)):
                times.setdefault((name, side), []).append(taken(run, images[side]))
    rows = [row(f"{kind}, {side} px", times["torch", side], times["OpenVINO", side], off[side]) for side in sides]
    if len(sides) > 1:
        both = {
            name: [added(*pair) for pair in zip(*(times[name, side] for side in sides), strict=True)]
            for name in ("torch", "OpenVINO")
        }
        rows.append(row(f"{kind}, a field", both["torch"], both["OpenVINO"], max(off.values())))
    return rows


def taken(run: Callable[[Any], Any], images: torch.Tensor) -> tuple[float, float]:
    """Seconds of the processor, and of the wall."""
    spent, started = time.process_time(), time.perf_counter()
    run(images)
    return time.process_time() - spent, time.perf_counter() - started


def added(one: tuple[float, float], other: tuple[float, float]) -> tuple[float, float]:
    return one[0] + other[0], one[1] + other[1]


def row(name: str, torchs: list[tuple[float, float]], ours: list[tuple[float, float]], off: float) -> str:
    slow, fast = (statistics.median(spent for spent, _ in each) for each in (torchs, ours))
    ratio, wall = (
        statistics.median(one[which] / other[which] for one, other in zip(torchs, ours, strict=True))
        for which in (0, 1)
    )
    return f"| {name} | {slow * 1000:.0f} | {fast * 1000:.0f} | **{ratio:.2f}** | {wall:.2f} | {off:.1e} |"


if __name__ == "__main__":
    main()
