"""The objects of a label image."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

if TYPE_CHECKING:
    from numpy.typing import NDArray

MIN_PIXELS = 16
"""Smaller objects are left out: they are artefacts of the drawing tool, and one pixel of Dice there is chance."""


@dataclass(frozen=True, slots=True)
class ObjectMask:
    """Where an object lies in its label image.

    Attributes:
        label: its value in the label image.
        box: (x0, y0, x1, y1), the smallest half-open pixel rectangle about it.
        area: in pixels.
    """

    label: int
    box: tuple[int, int, int, int]
    area: int


def objects(labels: NDArray[np.int32], *, min_pixels: int = MIN_PIXELS) -> list[ObjectMask]:
    """Lists the objects of a label image.

    Args:
        labels: [H, W], values 0 (background) to 65535.
        min_pixels: objects of fewer pixels are left out.

    Returns:
        The objects, by label. A value whose pixels do not hang together is one object all the same.
    """
    areas = np.bincount(labels.ravel())
    found = []
    for label, place in enumerate(ndimage.find_objects(labels), start=1):
        if place is None or areas[label] < min_pixels:
            continue
        rows, columns = place
        found.append(ObjectMask(label, (columns.start, rows.start, columns.stop, rows.stop), int(areas[label])))
    return found


def crop(labels: NDArray[np.int32], item: ObjectMask) -> NDArray[np.bool_]:
    """The object's pixels within its box: bool [y1 - y0, x1 - x0]."""
    x0, y0, x1, y1 = item.box
    return np.asarray(labels[y0:y1, x0:x1] == item.label)
