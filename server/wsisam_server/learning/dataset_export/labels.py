"""Objects as label images: each pixel's object, without one taking pixels from another. Pure.

A label image says one number a pixel. Where objects overlap (a nucleus in a gland, two people's outlines of the same
gland), they go into label images of their own over the same picture, so that each stays whole. Outlines that only graze
each other, as neighbours drawn by hand do, share one: the smaller object keeps the shared pixels.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import shapely

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from shapely.geometry.base import BaseGeometry

    from wsisam_server.core.geometry import Window
    from wsisam_server.learning.dataset_export.annotation_set import LabelSource
    from wsisam_server.learning.dataset_export.placing import Placed

GRAZING: Final = 0.02
"""Objects that share at most this part of the smaller one's pixels are not said to overlap."""

MOST: Final = 2**16 - 1
"""Objects in one label image of 16 bits."""


@dataclass(frozen=True, eq=False, slots=True)
class Layer:
    """One label image over a window.

    Attributes:
        labels: uint16 [height, width]; 0 is background, n the n-th of the objects.
        objects: by their number, from 1.
    """

    labels: NDArray[np.uint16]
    objects: tuple[LabelSource, ...]


def layers(placed: Placed) -> tuple[list[Layer], list[LabelSource]]:
    """Draws a window's objects.

    Returns:
        As many label images as it takes, most often one, and the objects that cover no pixel's middle.
    """
    covers = [(one, _cover(one.shape, placed)) for one in placed.objects]
    empty = [one for one, (_, mask) in covers if not mask.any()]
    drawn = [(one, place, mask) for one, (place, mask) in covers if mask.any()]
    # The largest first: what is smaller lies on top.
    drawn.sort(key=lambda item: (-int(item[2].sum()), item[0].id))
    canvases: list[_Canvas] = []
    for one, place, mask in drawn:
        canvas = next((canvas for canvas in canvases if canvas.has_room(place, mask)), None)
        if canvas is None:
            canvas = _Canvas(placed.height, placed.width)
            canvases.append(canvas)
        canvas.add(one, place, mask)
    return [canvas.layer() for canvas in canvases], empty


class _Canvas:
    def __init__(self, height: int, width: int) -> None:
        self._labels = np.zeros((height, width), np.uint16)
        self._objects: list[LabelSource] = []

    def has_room(self, place: tuple[slice, slice], mask: NDArray[np.bool_]) -> bool:
        """Whether nothing there would lose more than grazing takes; what comes is smaller than what is there."""
        if len(self._objects) == MOST:
            return False
        taken = np.bincount(self._labels[place][mask])[1:]
        return not taken.size or int(taken.max()) <= GRAZING * int(mask.sum())

    def add(self, one: LabelSource, place: tuple[slice, slice], mask: NDArray[np.bool_]) -> None:
        self._objects.append(one)
        self._labels[place][mask] = len(self._objects)

    def layer(self) -> Layer:
        return Layer(self._labels, tuple(self._objects))


def _cover(shape: BaseGeometry, placed: Placed) -> tuple[tuple[slice, slice], NDArray[np.bool_]]:
    """The pixels whose middles lie inside a shape, within the smallest rectangle about it."""
    x0, y0, x1, y1 = _to_pixels(shape.bounds, placed.window)
    columns = slice(max(math.floor(x0), 0), min(math.ceil(x1), placed.width))
    rows = slice(max(math.floor(y0), 0), min(math.ceil(y1), placed.height))
    if columns.start >= columns.stop or rows.start >= rows.stop:
        return (slice(0), slice(0)), np.zeros((0, 0), bool)
    window = placed.window
    x = window.x + (np.arange(columns.start, columns.stop) + 0.5) * window.downsample
    y = window.y + (np.arange(rows.start, rows.stop) + 0.5) * window.downsample
    shapely.prepare(shape)
    return (rows, columns), np.asarray(shapely.contains_xy(shape, x[None, :], y[:, None]), bool)


def _to_pixels(box: tuple[float, float, float, float], window: Window) -> tuple[float, float, float, float]:
    x0, y0, x1, y1 = box
    d = window.downsample
    return (x0 - window.x) / d, (y0 - window.y) / d, (x1 - window.x) / d, (y1 - window.y) / d
