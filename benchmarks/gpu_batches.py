"""Parts of `on_gpu.py`: windows in one call of an encoder, and clicks in one run of the decoder."""

from __future__ import annotations

import statistics
import time
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from encode_batches import seconds
from gpu_models import FLOAT16, FLOAT32, TYPES, encoders, fresh, peak_mib, shipped
from on_slide import spread
from timed_parts import FAILED, attempt, reason

from wsisam_model import Prompt
from wsisam_server.core.settings import Limits
from wsisam_server.slides import open_slide

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gpu_models import Build, NumberType
    from gpu_setting import Setting
    from numpy.typing import NDArray
    from timed_parts import Deadline, Row

    from wsisam_model import ModelSettings, WsiSam


def encoder_rows(setting: Setting, deadline: Deadline) -> Iterator[Row]:
    """One call of an encoder with so many windows, as one that is batched across users would be."""
    for (name, build), share in deadline.shares(list(encoders(small=setting.small).items())):
        for kind in share.each(TYPES):
            with kind.within():
                yield from _encoder(setting, {"encoder": name, "number type": kind.name}, build, kind, share)


def _encoder(setting: Setting, row: Row, build: Build, kind: NumberType, deadline: Deadline) -> Iterator[Row]:
    alone: list[float] = []
    fresh(setting.device)
    try:
        kind.check(setting.device)
        model = build(setting.device, kind.dtype)
    except Exception as error:  # noqa: BLE001 - a smaller number type may fit
        yield row | {FAILED: reason(error)}
        return
    for size in deadline.each(setting.sizes.windows):
        yield attempt(row | {"windows": size}, partial(_encoding, setting, model, size, alone))


def _encoding(setting: Setting, model: WsiSam, size: int, alone: list[float]) -> Row:
    fresh(setting.device)
    seconds(model, size)  # warms up
    spent = statistics.median(seconds(model, size) for _ in range(setting.sizes.rounds))
    if size == 1:
        alone.append(spent)
    against = spent / (size * alone[0]) if alone else None
    return {
        "ms": 1000 * spent,
        "ms a window": 1000 * spent / size,
        "time, of so many single ones": against,
        "peak MiB": peak_mib(setting.device),
    }


def decode_rows(setting: Setting, deadline: Deadline) -> Iterator[Row]:
    """The shipped decoder with so many clicks in one run."""
    slide = open_slide(setting.slide, Limits())
    pixels = slide.read(spread(slide, 1)[0].high)
    for kind, share in deadline.shares((FLOAT32, FLOAT16)):
        row: Row = {"number type": kind.name}
        alone: list[float] = []
        with kind.within():
            try:
                settings = shipped(setting.device, kind.dtype).settings
            except Exception as error:  # noqa: BLE001 - the other number type may do
                yield row | {FAILED: reason(error)}
                continue
            for count in share.each(setting.sizes.prompts):
                measure = partial(_decoding, setting, kind, settings, pixels, count, alone)
                yield attempt(row | {"prompts": count}, measure)


def _decoding(
    setting: Setting,
    kind: NumberType,
    settings: ModelSettings,
    pixels: NDArray[np.uint8],
    count: int,
    alone: list[float],
) -> Row:
    fresh(setting.device)
    model = shipped(setting.device, kind.dtype, replace(settings, batch_size=count))
    embedding = model.encode(pixels, roles=("high",))
    places = np.random.default_rng(count).uniform(16, model.image_size - 16, (count, 2))
    prompts = [Prompt(points=((float(x), float(y)),), labels=(1,)) for x, y in places]
    times = []
    for _ in range(1 + setting.sizes.rounds):
        started = time.perf_counter()
        model.decode_many(embedding, None, prompts)
        times.append(time.perf_counter() - started)
    spent = statistics.median(times[1:])
    if count == 1:
        alone.append(spent)
    return {
        "ms": 1000 * spent,
        "ms a prompt": 1000 * spent / count,
        "time, of so many single ones": spent / (count * alone[0]) if alone else None,
        "peak MiB": peak_mib(setting.device),
    }
