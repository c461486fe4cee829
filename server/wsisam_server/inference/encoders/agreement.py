"""Whether two ways of running an encoder agree."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal, TypeAlias

import torch

if TYPE_CHECKING:
    from wsisam_model import EncoderOutput

NumberType: TypeAlias = Literal["float32", "bfloat16"]

TOLERANCES: Final[dict[NumberType, float]] = {"float32": 1e-4, "bfloat16": 0.15}
"""The most by which they may differ, as a part of the largest value. In float32 they then share embeddings; its
rounding makes a hundredth of that. In bfloat16 rounding makes .02 to .05 (five slides, the default model): this finds
what is broken, and what is as good is decided against what is drawn, see `wsisam_model.number_types`."""


def difference(one: EncoderOutput, other: EncoderOutput) -> float:
    """The largest difference of two outputs, as a part of the largest value of `other`; NaN where there is any."""
    parts = [
        (a - b).abs().amax() / b.abs().amax().clamp(min=1e-30) for a, b in zip(one.tensors, other.tensors, strict=True)
    ]
    return float(torch.stack(parts).amax())
