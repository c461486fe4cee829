"""What a decode returns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class SamPrediction:
    """One mask of plain SAM; as an answer, the baseline of the paper's tables.

    Attributes:
        logits: float32 [256, 256] over the high-resolution image, rows down; above 0 is the object.
        iou: the decoder's own estimate of the mask's intersection over union.
        score: the overlap to be expected, calibrated where the weights say how; else `iou`.
    """

    logits: NDArray[np.float32]
    iou: float
    score: float


@dataclass(frozen=True, eq=False)
class Prediction:
    """The answer to one prompt. All logits are float32 [256, 256], rows down; above 0 is the object.

    Attributes:
        logits: the answer, over the high-resolution image: HR and LR token on the fused features, plus sam_logits.
            Equal to sam_logits for a model without HR token.
        sam_logits: SAM's mask from the high-resolution decoder, run with the HR token in the sequence.
        iou: that mask's quality as the decoder estimates it.
        score: the overlap of `logits` with the object that is to be expected, calibrated where the weights say how;
            else `iou`.
        low_logits: the answer over the low-resolution image; None unless asked for, or without a low branch.
        candidates: SAM's masks of tokens 1 to 3, in this order: other objects that the prompt may mean. Empty unless
            asked for.
    """

    logits: NDArray[np.float32]
    sam_logits: NDArray[np.float32]
    iou: float
    score: float
    low_logits: NDArray[np.float32] | None = None
    candidates: tuple[SamPrediction, ...] = ()
