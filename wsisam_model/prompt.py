"""A prompt: what the user pointed at, checked when it is made."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from wsisam_model.errors import PromptError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

MASK_SIDE = 256
"""Side in pixels of every mask, in and out: SAM decodes to a quarter of 1024 px."""


@dataclass(frozen=True, eq=False)
class Prompt:
    """Clicks, a box and a previous mask on one high-resolution image; any of them, at least one.

    Coordinates are pixels of that image, x to the right and y down, the pixel's corner at integers minus one half
    (SAM's convention: its prompt encoder adds half a pixel). They may lie outside the image.

    Attributes:
        points: (x, y) of each click.
        labels: 1 for each click on the object, 0 for each click beside it; as many as points.
        box: (x0, y0, x1, y1), x0 <= x1 and y0 <= y1.
        mask: [256, 256] logits covering the image, as an earlier prediction returned them.

    Raises:
        PromptError: nothing given, labels that do not fit the points or are not 0 or 1, a coordinate or logit
            that is not finite, box corners out of order, a mask of another shape.
    """

    points: Sequence[Sequence[float]] = ()
    labels: Sequence[int] = ()
    box: Sequence[float] | None = None
    mask: NDArray[Any] | None = None

    @property
    def is_single_click(self) -> bool:
        """Whether it is one click and nothing else, which says little about how large the object is."""
        return len(self.points) == 1 and self.box is None and self.mask is None

    @property
    def is_box_alone(self) -> bool:
        """Whether it is a box and nothing else, which weights of its own may answer."""
        return self.box is not None and not self.points and self.mask is None

    def __post_init__(self) -> None:
        # frozen: what was checked stays as it was checked
        object.__setattr__(self, "points", _checked_points(self.points))
        object.__setattr__(self, "labels", _checked_labels(self.labels, len(self.points)))
        object.__setattr__(self, "box", _checked_box(self.box))
        object.__setattr__(self, "mask", _checked_mask(self.mask))
        if not self.points and self.box is None and self.mask is None:
            raise PromptError("prompt", "neither points nor box nor mask")


def _numbers(field: str, values: Sequence[float], count: int) -> tuple[float, ...]:
    try:
        numbers = tuple(float(value) for value in values)
    except (TypeError, ValueError):
        raise PromptError(field, f"not numbers: {values!r}") from None
    if len(numbers) != count:
        raise PromptError(field, f"expected {count} numbers, got {len(numbers)}")
    if not all(math.isfinite(number) for number in numbers):
        raise PromptError(field, f"not finite: {numbers}")
    return numbers


def _checked_points(points: Sequence[Sequence[float]]) -> tuple[tuple[float, ...], ...]:
    return tuple(_numbers("points", point, 2) for point in points)


def _checked_labels(labels: Sequence[int], count: int) -> tuple[int, ...]:
    if len(labels) != count:
        raise PromptError("labels", f"{len(labels)} labels for {count} points")
    for label in labels:
        if label not in (0, 1):
            raise PromptError("labels", f"expected 0 or 1, got {label!r}")
    return tuple(int(label) for label in labels)


def _checked_box(box: Sequence[float] | None) -> tuple[float, ...] | None:
    if box is None:
        return None
    x0, y0, x1, y1 = corners = _numbers("box", box, 4)
    if x1 < x0 or y1 < y0:
        raise PromptError("box", f"corners out of order: {corners}")
    return corners


def _checked_mask(mask: NDArray[Any] | None) -> NDArray[np.float32] | None:
    if mask is None:
        return None
    if not isinstance(mask, np.ndarray) or mask.shape != (MASK_SIDE, MASK_SIDE):
        raise PromptError("mask", f"expected an array of shape ({MASK_SIDE}, {MASK_SIDE}), got {np.shape(mask)}")
    if mask.dtype.kind not in "fiu":
        raise PromptError("mask", f"expected logits, got {mask.dtype}")
    # a copy: the caller's array may change before the prompt is decoded
    logits = mask.astype(np.float32)
    if not np.isfinite(logits).all():
        raise PromptError("mask", "not finite")
    return logits
