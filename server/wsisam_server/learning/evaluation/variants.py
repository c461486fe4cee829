"""The ways of using a model that are compared."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypeAlias

import numpy as np

from wsisam_model import Prompt

if TYPE_CHECKING:
    from wsisam_model import Embedding, Prediction, SamPrediction, WsiSam

Variant: TypeAlias = Literal["sam", "hr", "hr+lr"]
"""Frozen SAM with the base's untouched weights; the model without its LR branch; the whole model."""

_SAME = 1e-3
"""Logits that differ by less came from the same weights, by another order of operations."""


def variants_of(model: WsiSam, *, against_sam: bool) -> tuple[Variant, ...]:
    """The variants that exist for a model, in the order of the report.

    Args:
        model: the model.
        against_sam: add the frozen SAM to a model that has something else. One that answers as SAM does has only it.
    """
    if _answers_as_sam(model):
        return ("sam",)
    own: tuple[Variant, ...] = ("hr", "hr+lr") if model.wants_low else ("hr",)
    return ("sam", *own) if against_sam else own


def answer(
    model: WsiSam, variant: Variant, high: Embedding, low: Embedding | None, prompt: Prompt
) -> Prediction | SamPrediction:
    """A model's answer to a prompt.

    Args:
        model: the model; for "sam", its `frozen_base`.
        variant: how to use it.
        high: the HR patch.
        low: the LR patch; needed by "hr+lr" only.
        prompt: in the HR patch's pixels.
    """
    if variant == "sam":
        return model.decode_sam(high, prompt)
    return model.decode(high, low if variant == "hr+lr" else None, prompt)


def candidates(
    model: WsiSam, variant: Variant, high: Embedding, low: Embedding | None, prompt: Prompt
) -> list[Prediction | SamPrediction]:
    """A model's answer to a prompt and its further candidates, in this order, out of one decode.

    Args:
        model: the model.
        variant: how to use it; the frozen SAM has no further ones.
        high: as in `answer`.
        low: as in `answer`.
        prompt: as in `answer`.
    """
    if variant == "sam":
        return [answer(model, variant, high, low, prompt)]
    found = model.decode(high, low if variant == "hr+lr" else None, prompt, want_candidates=True)
    return [found, *found.candidates]


def _answers_as_sam(model: WsiSam) -> bool:
    """Whether the model adds nothing to SAM, by its answers to a box and to a click on a test image."""
    if model.has_own_last_stage:
        return False
    side = model.image_size
    card = np.full((side, side, 3), 240, np.uint8)
    card[side // 4 : side // 2, side // 4 : side // 2] = (120, 60, 140)
    embedding = model.encode(card)
    middle, near, far = 0.375 * side, 0.25 * side, 0.5 * side
    prompts = (Prompt(box=(near, near, far, far)), Prompt(points=[(middle, middle)], labels=[1]))
    return all(
        np.allclose(
            model.decode(embedding, None, prompt).logits, model.decode_sam(embedding, prompt).logits, atol=_SAME
        )
        for prompt in prompts
    )
