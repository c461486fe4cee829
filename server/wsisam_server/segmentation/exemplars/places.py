"""Places where the similarity has a peak."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
from scipy import ndimage

from wsisam_server.segmentation.exemplars.lattice import inner_distance

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from wsisam_server.core.geometry import SlideSize, Window

SMOOTHING: Final = 0.12
"""Of the similarity before its peaks are taken, in sizes of an object."""

APART: Final = 0.5
"""Least distance of two peaks, in sizes: where objects touch, their middles are one size apart."""

MARGIN: Final = 0.5
"""Least distance of a peak from an edge of its window, in sizes: the object is to be seen whole. A neighbouring window
shows what is nearer."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where an object may be.

    Attributes:
        window: number of the window.
        x: level-0 pixels.
        y: level-0 pixels.
        similarity: see `Appearance`.
        kind: number of the class that it resembles most, see `Appearance.classes`.
    """

    window: int
    x: float
    y: float
    similarity: float
    kind: int


def places_in(
    number: int,
    window: Window,
    similarities: NDArray[np.float32],
    sizes: Sequence[float],
    slide: SlideSize,
    least: float,
) -> list[Place]:
    """The peaks in one window.

    Args:
        number: of the window.
        window: where it lies.
        similarities: [classes, h, w].
        sizes: usual size of each class, level-0 pixels.
        slide: the slide's size.
        least: similarity that a peak must have.
    """
    cell = window.extent / similarities.shape[2]
    size = min(sizes)
    smooth = np.stack([ndimage.gaussian_filter(one, SMOOTHING * size / cell) for one in similarities])
    kinds = smooth.argmax(0)
    best = smooth.max(0)
    reach = 2 * max(1, round(APART * size / cell / 2)) + 1
    rows, columns = np.nonzero((ndimage.maximum_filter(best, reach) == best) & (best >= least))
    xs, ys = window.x + (columns + 0.5) * cell, window.y + (rows + 0.5) * cell
    inside = (xs >= 0) & (xs < slide.width) & (ys >= 0) & (ys < slide.height)
    inside &= inner_distance(window, xs, ys, slide) >= MARGIN * size
    return [
        Place(
            number, float(xs[at]), float(ys[at]), float(best[rows[at], columns[at]]), int(kinds[rows[at], columns[at]])
        )
        for at in np.flatnonzero(inside).tolist()
    ]


def spread_out(places: Sequence[Place], sizes: Sequence[float]) -> list[Place]:
    """Of places that are nearer to each other than objects are, the most similar ones; those first."""
    ordered = sorted(places, key=lambda one: (-one.similarity, one.y, one.x))
    apart = APART * min(sizes)
    taken: dict[tuple[int, int], list[Place]] = {}
    kept = []
    for one in ordered:
        column, row = int(one.x // apart), int(one.y // apart)
        near = (other for dx in (-1, 0, 1) for dy in (-1, 0, 1) for other in taken.get((column + dx, row + dy), ()))
        if all((one.x - other.x) ** 2 + (one.y - other.y) ** 2 > apart**2 for other in near):
            taken.setdefault((column, row), []).append(one)
            kept.append(one)
    return kept
