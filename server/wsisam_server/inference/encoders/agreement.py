"""Whether two ways of running an encoder may share their embeddings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import torch

if TYPE_CHECKING:
    from wsisam_model import EncoderOutput

TOLERANCE: Final = 1e-4
"""Of the largest value: the most by which they may differ. Float32's rounding makes a hundredth of it."""


def difference(one: EncoderOutput, other: EncoderOutput) -> float:
    """The largest difference of two outputs, as a part of the largest value of `other`; NaN where there is any."""
    parts = [
        (a - b).abs().amax() / b.abs().amax().clamp(min=1e-30) for a, b in zip(one.tensors, other.tensors, strict=True)
    ]
    return float(torch.stack(parts).amax())
