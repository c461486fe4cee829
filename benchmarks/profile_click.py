"""Where one cold and one warm click spend their time, stage by stage, and how near each stage is to its floor.

Run: python benchmarks/profile_click.py SLIDE [--model wsisam-lite] [--threads N] [--rounds 7] [--dtype float32]

In one process, without gRPC (benchmarks/click_overhead.py measures that): read each window that the model reads, encode
it, prepare what prompts of this kind need of it, decode, draw the outline. What is done for the low-resolution window
is named apart. A stage's floor is the greater of its operations over the machine's rate for a large matrix product in
that type, and of its bytes (weights, inputs and outputs of its layers, each once) over the rate at which a large array
is copied: both measured here, in the same run. A layer between two floors is bound by neither, but by how its kernel
is written.
"""

from __future__ import annotations

import argparse
import datetime as dt
import platform
import statistics
import time
from collections import defaultdict
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from claims import Claim, note
from on_slide import cpu_flags
from torch.utils.flop_counter import FlopCounterMode

from wsisam_model import Prompt, WsiSam, two_way
from wsisam_server.core.geometry import Box
from wsisam_server.core.prompt import SlidePrompt
from wsisam_server.core.settings import Limits
from wsisam_server.core.shapes import encode
from wsisam_server.inference.scheduler import ModelInfo
from wsisam_server.segmentation.fields import plan
from wsisam_server.segmentation.outlines import outline
from wsisam_server.slides import open_slide

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from wsisam_model import Embedding, Role
    from wsisam_server.core.geometry import Window


PARTS = ("encode", "prepare", "decode")
"""Of a click; stages are named after them."""

OBJECT = (1180.0, 1960.0, 1365.0, 2190.0)
"""A structure on CMU-1-Small-Region.svs; on other slides any tissue will do, since time does not depend on it."""


class Stages:
    """Collects seconds, operations and bytes by stage."""

    def __init__(self) -> None:
        self.clicks: list[dict[str, float]] = []
        self.about = ""
        self.flops: dict[str, int] = {}
        self.nbytes: dict[str, int] = defaultdict(int)
        self.counting = False

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Times a stage; when counting, counts its operations instead, which slows it down."""
        name = self.about + name
        if not self.counting:
            started = time.perf_counter()
            yield
            self.clicks[-1][name] = self.clicks[-1].get(name, 0.0) + time.perf_counter() - started
            return
        with FlopCounterMode(display=False) as counter:
            yield
        self.flops[name] = self.flops.get(name, 0) + counter.get_total_flops()

    def watch(self, name: str, owner: Any, attribute: str) -> None:
        """Makes a stage of a function of a module or of an object's method."""
        call = getattr(owner, attribute)

        def watched(*args: Any, **kwargs: Any) -> Any:
            with self.stage(name):
                made = call(*args, **kwargs)
            if self.counting:
                self.nbytes[self.about + name] += _nbytes([args, kwargs, made])
            return made

        setattr(owner, attribute, watched)

    def count_layers(self, module: torch.nn.Module, name: str) -> None:
        """Adds up the bytes that a module's leaves read and write."""
        for leaf in module.modules():
            if next(leaf.children(), None) is None:
                leaf.register_forward_hook(lambda layer, given, made: self._add(name, layer, given, made))

    def _add(self, name: str, layer: torch.nn.Module, given: Any, made: Any) -> None:
        if self.counting:
            self.nbytes[self.about + name] += _nbytes([given, made, list(layer.parameters())])


def _nbytes(values: Any) -> int:
    if isinstance(values, torch.Tensor):
        return values.numel() * values.element_size()
    if isinstance(values, dict):
        values = list(values.values())
    return sum(_nbytes(value) for value in values) if isinstance(values, (list, tuple)) else 0


def peak_flops(dtype: torch.dtype) -> float:
    """Operations a second of a matrix product that fits the caches well."""
    a, b = torch.rand(2048, 2048, dtype=dtype), torch.rand(2048, 2048, dtype=dtype)
    return 2 * 2048**3 / best(lambda: a @ b)


def bandwidth() -> float:
    """Bytes a second, read and written, of a copy far larger than the caches."""
    source = torch.rand(64 * 2**20)
    target = torch.empty_like(source)
    return 2 * _nbytes(source) / best(lambda: target.copy_(source))


def best(call: Callable[[], Any], times: int = 5) -> float:
    seconds = []
    for _ in range(times + 1):
        started = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - started)
    return min(seconds[1:])


def instrument(model: WsiSam, stages: Stages) -> None:
    """Names the model's stages. It looks inside: what is measured here is not what others may rely on."""
    encoder: Any = vars(model)["_encoder"]
    trunk, neck = encoder.trunk, encoder.neck
    named = [("encode: stem", trunk.patch_embed)]
    named += [(f"encode: stage {number}", stage) for number, stage in enumerate(trunk.stages)]
    # The third stage is run in two parts, see wsisam_model.tiny_vit.
    parts = trunk.stages[2]
    named[3:4] = [("encode: stage 2, downsampling", parts.downsample), ("encode: stage 2, blocks", parts.blocks)]
    named.append(("encode: neck", neck))
    for name, module in named:
        stages.watch(name, module, "forward")
        stages.count_layers(module, name)
    stages.watch("decode: transformer", two_way, "attend")
    low, decoder = vars(model)["_boxes"].decoder.low, vars(model)["_boxes"].decoder.high
    for branch in (decoder, low):
        if branch is not None:
            stages.watch("prepare: projections", branch, "project")
    assert decoder.parts is not None
    stages.watch("prepare: fused features", decoder.parts, "fuse")
    stages.watch("decode: upscaling", decoder, "upscale")
    stages.watch("decode: SAM's mask", decoder, "sam_mask")
    stages.watch("decode: WSI-SAM's mask", decoder.parts, "mask")


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("slide", type=Path)
    arguments.add_argument("--model", default="wsisam-lite")
    arguments.add_argument("--threads", type=int, default=torch.get_num_threads())
    arguments.add_argument("--rounds", type=int, default=7)
    arguments.add_argument("--dtype", default="float32", choices=["float32", "bfloat16"])
    options = arguments.parse_args()
    torch.set_num_threads(options.threads)
    model = WsiSam.from_name(options.model, dtype=options.dtype)
    rate, copied = peak_flops(model.dtype), bandwidth()
    stages = Stages()
    instrument(model, stages)
    slide = open_slide(options.slide, Limits())
    prompt = SlidePrompt(box=Box(*OBJECT))
    pair = plan(prompt, slide.info.size, model.image_size, mpp=slide.info.mpp)
    points, labels, box = prompt.to_model(pair.high)
    given = Prompt(points=points, labels=labels, box=box)

    def encoded(window: Window, role: Role) -> Embedding:
        stages.about = "low: " if role == "low" else ""
        with stages.stage("read"):
            pixels = slide.read(window)
        with stages.stage("encode and prepare, together"):
            made = model.encode(pixels, roles=(role,), prompt=given)
        stages.about = ""
        return made

    def click() -> None:
        stages.clicks.append({})
        high = encoded(pair.high, "high")
        low = encoded(ModelInfo.of(model).low_window(pair), "low") if model.reads_low(given) else None
        with stages.stage("decode, together"):
            answer = model.decode(high, low, given)
        with stages.stage("outline"):
            encode(outline(answer.logits, pair.high, slide.info.size).geometry)

    click()
    stages.counting = True
    click()
    stages.counting = False
    stages.clicks.clear()
    for _ in range(options.rounds):
        click()
    report(stages, rate, copied)
    print(f"\n{dt.datetime.now(tz=dt.timezone.utc).date()}, {platform.machine()}, {cpu_flags()}")
    print(f"{options.threads} threads, torch {torch.__version__}, {options.model} in {options.dtype}")
    print(f"matrix product {rate / 1e9:.0f} GFLOP/s, copy {copied / 1e9:.1f} GB/s")


def report(stages: Stages, rate: float, copied: float) -> None:
    print("| stage | ms | GFLOP | MB | floor ms | times the floor |\n|---|---|---|---|---|---|")
    taken, least = dict.fromkeys(PARTS, 0.0), dict.fromkeys(PARTS, 0.0)
    for name in stages.clicks[0]:
        spent = statistics.median(click[name] for click in stages.clicks) * 1000
        flops, nbytes = stages.flops.get(name, 0), stages.nbytes.get(name, 0)
        floor = max(flops / rate, nbytes / copied) * 1000
        cells = [name, f"{spent:.1f}", f"{flops / 1e9:.2f}" if flops else ""]
        cells += [f"{nbytes / 1e6:.0f}" if nbytes else ""]
        cells += [f"{floor:.1f}", f"{spent / floor:.1f}"] if nbytes and flops else ["", ""]
        print("| " + " | ".join(cells) + " |")
        part = name.removeprefix("low: ").split(":")[0]
        if part in PARTS:
            taken[part] += spent
            least[part] += floor
    name = "what a cold click could take at best to what it takes"
    note([Claim(f"{name}: {part}", least[part] / taken[part]) for part in PARTS])


if __name__ == "__main__":
    main()
