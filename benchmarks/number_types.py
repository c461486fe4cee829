"""What a half-precision type costs in accuracy and gains in time on this machine, against float32, on real tissue.

Run: python benchmarks/number_types.py SLIDE [--dtype bfloat16] [--fields 12] [--boxes 4] [--threads N]

The same windows and prompts in both types, in turn; the first window warms up. A type is fit to be chosen without
asking where its masks agree with float32's to a mean Dice of 0.995, and of use where it is faster.
"""

from __future__ import annotations

import argparse
import datetime as dt
import platform
import statistics
import time
from pathlib import Path

import numpy as np
import torch
from claims import Claim, note
from on_slide import boxes_in, cpu_flags, dice, in_model, spread

from wsisam_model import WsiSam
from wsisam_server.core.settings import Limits
from wsisam_server.slides import open_slide

DICE = 0.995


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("slide", type=Path)
    arguments.add_argument("--model", default="wsisam-lite")
    arguments.add_argument("--dtype", default="bfloat16", choices=["bfloat16", "float16"])
    arguments.add_argument("--fields", type=int, default=12)
    arguments.add_argument("--boxes", type=int, default=4)
    arguments.add_argument("--threads", type=int, default=torch.get_num_threads())
    options = arguments.parse_args()
    torch.set_num_threads(options.threads)
    slide = open_slide(options.slide.resolve(), Limits())
    models = [WsiSam.from_name(options.model, dtype=dtype) for dtype in ("float32", options.dtype)]
    encoding: list[list[float]] = [[], []]
    decoding: list[list[float]] = [[], []]
    apart, dices = [], []
    for pair in spread(slide, options.fields):
        pixels = slide.read(pair.high)
        prompts = [in_model(pair, box) for box in boxes_in(pair, options.boxes)]
        answers = []
        for model, encoded, decoded in zip(models, encoding, decoding, strict=True):
            started = time.perf_counter()
            embedding = model.encode(pixels, roles=("high",))
            encoded.append(time.perf_counter() - started)
            started = time.perf_counter()
            answers.append([model.decode(embedding, None, prompt).logits for prompt in prompts])
            decoded.append((time.perf_counter() - started) / len(prompts))
        for exact, rounded in zip(*answers, strict=True):
            apart.append(float(np.abs(exact - rounded).mean()))
            dices.append(dice(exact, rounded))
    found = []
    print(f"| | float32 ms | {options.dtype} ms | ratio |\n|---|---|---|---|")
    for name, (exact_times, rounded_times) in (("encode", encoding), ("decode", decoding)):
        exact_ms, rounded_ms = (statistics.median(times[1:]) * 1000 for times in (exact_times, rounded_times))
        print(f"| {name} | {exact_ms:.0f} | {rounded_ms:.0f} | {exact_ms / rounded_ms:.2f} |")
        found.append(Claim(f"{name}: float32 to {options.dtype}", exact_ms / rounded_ms))
    note([*found, Claim(f"Dice of {options.dtype} to float32", statistics.mean(dices))])
    print(f"\nDice to float32, {len(dices)} boxes: mean {statistics.mean(dices):.4f}, least {min(dices):.4f}", end="")
    print(f" (to be chosen without asking: {DICE}); logits: {statistics.mean(apart):.3f} apart in the mean")
    print(f"{dt.datetime.now(tz=dt.timezone.utc).date()}, {platform.machine()}, {cpu_flags()}")
    print(f"{options.threads} threads, torch {torch.__version__}, {options.model}")


if __name__ == "__main__":
    main()
