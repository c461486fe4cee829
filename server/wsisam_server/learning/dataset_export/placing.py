"""Where image windows lie, so that each object is whole in one of them. Pure.

Windows lie on a grid whose step is half a window: an object of at most half a window's side is whole in the one whose
middle is nearest to its own, and gets that one, and no other. So windows do not depend on chance, nor on which other
objects there are: what is drawn later leaves the windows of before as they are. Where an object is larger, its window
is coarser by a power of two.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from wsisam_server.core.geometry import Window

if TYPE_CHECKING:
    from collections.abc import Iterable

    from wsisam_server.core.geometry import Box
    from wsisam_server.learning.dataset_export.annotation_set import LabelSource

SHARE: Final = 0.5
"""An object takes at most this part of its window's side."""


@dataclass(frozen=True, slots=True)
class Placed:
    """An image window and the objects that are whole in it.

    Attributes:
        window: a square, as it is read.
        width: pixels of it that lie within the bounds; less than its size only where the bounds are narrower.
        height: as width.
        objects: in a stable order, at least one.
    """

    window: Window
    width: int
    height: int
    objects: tuple[LabelSource, ...]


def place(objects: Iterable[LabelSource], bounds: Box, size: int, finest: float) -> list[Placed]:
    """Places windows.

    Args:
        objects: each within the bounds, with an area.
        bounds: the windows stay within these: the slide, or a part of it; whole level-0 pixels.
        size: side of a window in its own pixels, even.
        finest: the finest downsample, level-0 pixels per pixel of the window; above 0.

    Returns:
        The windows, the finest first, row by row.
    """
    found: dict[tuple[float, float, float], list[LabelSource]] = defaultdict(list)
    for one in objects:
        found[_position(one.shape.bounds, bounds, size, finest)].append(one)
    placed = []
    for (downsample, y, x), inside in sorted(found.items()):
        window = Window(x, y, downsample, size)
        width = min(size, max(int((bounds.x1 - x) / downsample), 1))
        height = min(size, max(int((bounds.y1 - y) / downsample), 1))
        placed.append(Placed(window, width, height, tuple(sorted(inside, key=lambda one: one.id))))
    return placed


def _position(
    box: tuple[float, float, float, float], bounds: Box, size: int, finest: float
) -> tuple[float, float, float]:
    """(downsample, y, x) of the window that an object is given."""
    x0, y0, x1, y1 = box
    downsample = finest
    while max(x1 - x0, y1 - y0) > SHARE * size * downsample and size * downsample < max(bounds.width, bounds.height):
        downsample *= 2
    side = size * downsample
    return (
        downsample,
        _edge((y0 + y1) / 2, bounds.y0, bounds.y1, side),
        _edge((x0 + x1) / 2, bounds.x0, bounds.x1, side),
    )


def _edge(center: float, low: float, high: float, side: float) -> float:
    step = side / 2
    edge = low + max(round((center - low - side / 2) / step), 0) * step
    return max(min(edge, high - side), low)
