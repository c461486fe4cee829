"""What is measured of one answer besides its overlap with the object."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
from scipy import ndimage

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from wsisam_server.core.prompt import PromptPoint
    from wsisam_server.learning.evaluation.protocol import Case

_AROUND: Final = np.array(
    [(0.0, 0.0), *((np.cos(angle), np.sin(angle)) for angle in np.arange(8) * np.pi / 4)], np.float64
)
"""A click and eight points one mask cell from it."""

MIN_COMPONENT_CELLS: Final = 4
"""Parts and holes of fewer mask cells are not counted: the server leaves them out of its outlines."""


@dataclass(frozen=True, slots=True)
class Measured:
    """One answer to one prompt.

    Attributes:
        prompt: as in `EvaluationOptions.prompts`.
        dice: Dice.
        iou: intersection over union.
        score: what the model takes its IoU for.
        parts: connected parts (8-connected) of `MIN_COMPONENT_CELLS` or more; 0 for an empty answer.
        holes: background that the answer encloses, in parts (4-connected) of as many.
        largest: the largest part's share of the answer's area; 1 for an empty answer.
        positives: positive clicks in the prompt.
        positives_honoured: of those, the ones that lie inside the answer by at least one mask cell.
        negatives: negative clicks.
        negatives_honoured: of those, the ones that lie outside the answer.
        agreement: mean IoU with the answers to other hands' prompts; None where none were asked for.
    """

    prompt: str
    dice: float
    iou: float
    score: float
    parts: int
    holes: int
    largest: float
    positives: int
    positives_honoured: int
    negatives: int
    negatives_honoured: int
    agreement: float | None = None


def measure(case: Case) -> Measured:
    """Measures an answer: its shape in image pixels, its clicks in cells of the mask."""
    min_area = MIN_COMPONENT_CELLS * (case.field.high.extent / case.logits.shape[0]) ** 2
    regions, _ = ndimage.label(case.answer, np.ones((3, 3), bool))
    areas = np.bincount(regions.ravel())[1:]
    kept = [(point.positive, honoured(case, point)) for point in case.prompt.points]
    return Measured(
        prompt=case.name,
        dice=case.dice,
        iou=case.iou,
        score=case.score,
        parts=int((areas >= min_area).sum()),
        holes=_holes(case.answer, min_area),
        largest=float(areas.max() / areas.sum()) if areas.size else 1.0,
        positives=sum(positive for positive, _ in kept),
        positives_honoured=sum(positive and good for positive, good in kept),
        negatives=sum(not positive for positive, _ in kept),
        negatives_honoured=sum(not positive and good for positive, good in kept),
        agreement=case.agreement,
    )


def honoured(case: Case, point: PromptPoint) -> bool:
    """Whether a positive click lies inside the answer by a cell or more, or a negative one outside it."""
    window, side = case.field.high, case.logits.shape[0]
    column = (point.position.x - window.x) / window.extent * side - 0.5
    row = (point.position.y - window.y) / window.extent * side - 0.5
    places = np.array([[row], [column]]) + _AROUND.T
    values = ndimage.map_coordinates(case.logits, places, order=1, mode="nearest")
    return bool((values > 0).all()) if point.positive else bool(values[0] <= 0)


def _holes(answer: NDArray[np.bool_], min_area: float) -> int:
    """Parts of the background that do not reach the border of the region."""
    background, _ = ndimage.label(~np.pad(answer, 1))
    areas = np.bincount(background.ravel())[1:]
    areas[background[0, 0] - 1] = 0
    return int((areas >= max(min_area, 1)).sum())
