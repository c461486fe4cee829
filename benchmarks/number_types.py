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
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from claims import Claim, note
from on_slide import boxes_in, cpu_flags, dice, in_model, spread

from wsisam_model import WsiSam
from wsisam_server.core.settings import Limits
from wsisam_server.slides import open_slide

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from contextlib import AbstractContextManager

    from numpy.typing import NDArray

    from wsisam_model import Prompt
    from wsisam_server.core.geometry import FieldPair
    from wsisam_server.slides import Slide

DICE = 0.995


@dataclass
class TypeUse:
    """A model in one number type, and what it was seen to take and to answer.

    Attributes:
        model: the model.
        within: what its calls run in, such as a setting of torch.
        encoded: seconds of each encoding.
        decoded: seconds of a prompt, by window.
        dices: of its masks to those of the first type.
        apart: how far its logits are from those, in the mean over a mask.
    """

    model: WsiSam
    within: Callable[[], AbstractContextManager[None]] = nullcontext
    encoded: list[float] = field(default_factory=list)
    decoded: list[float] = field(default_factory=list)
    dices: list[float] = field(default_factory=list)
    apart: list[float] = field(default_factory=list)

    def answers(self, pixels: NDArray[np.uint8], prompts: list[Prompt]) -> list[NDArray[np.float32]]:
        """Logits of prompts on one window, timed."""
        with self.within():
            started = time.perf_counter()
            embedding = self.model.encode(pixels, roles=("high",))
            if self.model.device.type == "cuda":
                torch.cuda.synchronize(self.model.device)
            self.encoded.append(time.perf_counter() - started)
            started = time.perf_counter()
            logits = [self.model.decode(embedding, None, prompt).logits for prompt in prompts]
            self.decoded.append((time.perf_counter() - started) / len(prompts))
        return logits


def compare(ways: Sequence[TypeUse], slide: Slide, fields: Iterable[FieldPair], boxes: int) -> None:
    """Puts the same boxes to all, in turn, field by field, and notes times and how far the masks are from the first's.

    Args:
        ways: the first is the one that the others are compared with.
        slide: is read.
        fields: on it.
        boxes: in each.
    """
    for pair in fields:
        pixels = slide.read(pair.high)
        prompts = [in_model(pair, box) for box in boxes_in(pair, boxes)]
        wanted = ways[0].answers(pixels, prompts)
        for way in ways[1:]:
            for exact, rounded in zip(wanted, way.answers(pixels, prompts), strict=True):
                way.apart.append(float(np.abs(exact - rounded).mean()))
                way.dices.append(dice(exact, rounded))


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
    models = {dtype: WsiSam.from_name(options.model, dtype=dtype) for dtype in ("float32", options.dtype)}
    ways = {dtype: TypeUse(model) for dtype, model in models.items()}
    compare(list(ways.values()), slide, spread(slide, options.fields), options.boxes)
    exact, rounded = ways["float32"], ways[options.dtype]
    dices, apart = rounded.dices, rounded.apart
    found = []
    print(f"| | float32 ms | {options.dtype} ms | ratio |\n|---|---|---|---|")
    for name, both in (("encode", (exact.encoded, rounded.encoded)), ("decode", (exact.decoded, rounded.decoded))):
        exact_ms, rounded_ms = (statistics.median(times[1:]) * 1000 for times in both)
        print(f"| {name} | {exact_ms:.0f} | {rounded_ms:.0f} | {exact_ms / rounded_ms:.2f} |")
        found.append(Claim(f"{name}: float32 to {options.dtype}", exact_ms / rounded_ms))
    note([*found, Claim(f"Dice of {options.dtype} to float32", statistics.mean(dices))])
    print(f"\nDice to float32, {len(dices)} boxes: mean {statistics.mean(dices):.4f}, least {min(dices):.4f}", end="")
    print(f" (to be chosen without asking: {DICE}); logits: {statistics.mean(apart):.3f} apart in the mean")
    print(f"{dt.datetime.now(tz=dt.timezone.utc).date()}, {platform.machine()}, {cpu_flags()}")
    print(f"{options.threads} threads, torch {torch.__version__}, {options.model}")


if __name__ == "__main__":
    main()
