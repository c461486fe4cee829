"""Coarse and fine logits -> one mosaic, without seams."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
from scipy import ndimage

from wsisam_server.core.geometry import Window
from wsisam_server.segmentation.refinement.resampling import centers, read

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

BAND_CELLS: Final = 6.0
"""How far from the coarse border the fine answers may move it, in coarse cells; they fade from half that distance on.
What lies deeper is settled by the coarse answer, which saw the whole object."""

AGREEMENT: Final = 0.85
"""Share of a window's cells in which coarse and fine must agree. Where they do not, the fine answer is about something
else than the object's border, such as one gland of a tumour, and is left out."""

OVERLAP: Final = 0.3
"""And least IoU of the two there: an object that is small in its window agrees with any answer in most cells, also with
one of three times its size."""

DECAY: Final = 0.7
"""The vote of a scale in votes of the one before it, whose windows see twice as much of the object."""

_ROWS: Final = 256
"""Of a mosaic that are merged at a time: it may have 4,096, and what leads to all of these takes six times its size."""


@dataclass(frozen=True, slots=True)
class Mosaic:
    """A mosaic.

    Attributes:
        logits: float32 [n, n] over the window.
        window: part of the coarse field, in whole coarse cells: all of the object, and as far about it as the border
            could have moved.
        rejected: how many fine answers were rejected, by level.
    """

    logits: NDArray[np.float32]
    window: Window
    rejected: tuple[int, ...]


def build_mosaic(
    logits: NDArray[np.float32], window: Window, levels: Sequence[Sequence[tuple[Window, NDArray[np.float32]]]]
) -> Mosaic:
    """Merges fine answers into the coarse one, within a band about its border.

    The coarse answer and the first finer level have one vote each. Every further level has `DECAY` of the vote before.
    Where a level has no accepted answer, its vote is the coarse answer, too. On tissue, it helps to average several
    magnifications. The finest alone, which sees the least of the object, does not help (`benchmarks/large_objects.md`).

    Each fine answer's weight falls smoothly to 0 at its window's edges; where all weights of a level together are
    small, and towards the band's edge, the coarse logits take over. So nothing changes abruptly anywhere, and no part
    of the zero level can follow a window's edge.

    Args:
        logits: [n, n], the coarse answer; positive somewhere.
        window: its field.
        levels: the coarsest first; of each, windows and their logits [n, n].
    """
    trusted = [
        [(part, values) for part, values in answers if _agrees(read_over(logits, window, part), values)]
        for answers in levels
    ]
    region = _region(logits, window)
    finest = next((answers[0][0] for answers in reversed(trusted) if answers), window)
    count = round(region.extent / finest.extent * logits.shape[0])
    xs, ys = centers(region.x, region.extent, count), centers(region.y, region.extent, count)
    result = np.empty((count, count), np.float32)
    band = _band(logits)
    for start in range(0, count, _ROWS):
        some = ys[start : start + _ROWS]
        coarse = read(logits, window, xs, some)
        result[start : start + _ROWS] = coarse + _moved(coarse, trusted, xs, some) * read(band, window, xs, some)
    left_out = tuple(len(given) - len(kept) for given, kept in zip(levels, trusted, strict=True))
    return Mosaic(result, region, left_out)


def _moved(
    coarse: NDArray[np.float32],
    levels: Sequence[Sequence[tuple[Window, NDArray[np.float32]]]],
    xs: NDArray[np.float64],
    ys: NDArray[np.float64],
) -> NDArray[np.float32]:
    """How far all votes together move the coarse logits at the places, [m, n]."""
    votes = [DECAY**number for number in range(len(levels))]
    moved = np.zeros_like(coarse)
    for vote, answers in zip(votes, levels, strict=True):
        if answers:
            moved += vote * _difference(coarse, answers, xs, ys)
    moved /= 1 + sum(votes)
    return moved


def _difference(
    coarse: NDArray[np.float32],
    answers: Sequence[tuple[Window, NDArray[np.float32]]],
    xs: NDArray[np.float64],
    ys: NDArray[np.float64],
) -> NDArray[np.float32]:
    """How far one scale's answers lie from the coarse one at the places, [m, n]; 0 where there are none."""
    total, weights = np.zeros_like(coarse), np.zeros_like(coarse)
    for part, values in answers:
        rows, columns = _within(ys, part.y, part.extent), _within(xs, part.x, part.extent)
        weight = np.outer(_weight(ys[rows], part.y, part.extent), _weight(xs[columns], part.x, part.extent))
        total[rows, columns] += weight * read(values, part, xs[columns], ys[rows])
        weights[rows, columns] += weight
    np.divide(total, weights, out=total, where=weights > 0)
    total -= coarse
    # Where only the outer parts of windows reach, as at the ends of a ring, the coarse answer fades in.
    weights *= 2
    total *= np.minimum(weights, 1, out=weights)
    return total


def read_over(logits: NDArray[np.float32], window: Window, part: Window) -> NDArray[np.float32]:
    """The logits of a window at the cells of another: [n, n], as many as there are logits."""
    side = logits.shape[0]
    return read(logits, window, centers(part.x, part.extent, side), centers(part.y, part.extent, side))


def _agrees(coarse: NDArray[np.float32], fine: NDArray[np.float32]) -> bool:
    inside, expected = fine > 0, coarse > 0
    both, either = int((inside & expected).sum()), int((inside | expected).sum())
    # Windows lie on the border: one that is all object, or none, has missed it, however little of it there is.
    if both == 0 or inside.all():
        return False
    return (either - both) / inside.size <= 1 - AGREEMENT and both / either >= OVERLAP


def _region(logits: NDArray[np.float32], window: Window) -> Window:
    """The smallest square of whole cells that holds what is positive, and the band about it."""
    side = logits.shape[0]
    rows, columns = np.nonzero(logits > 0)
    band = math.ceil(BAND_CELLS) + 1
    left, right = max(int(columns.min()) - band, 0), min(int(columns.max()) + 1 + band, side)
    top, bottom = max(int(rows.min()) - band, 0), min(int(rows.max()) + 1 + band, side)
    length = max(right - left, bottom - top)
    left, top = min(left, side - length), min(top, side - length)
    cell = window.extent / side
    return Window(window.x + left * cell, window.y + top * cell, window.downsample * length / side, window.size)


def _band(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    """How much fine answers count: 1 along the border, falling to 0 at `BAND_CELLS`: [n, n]."""
    inside = np.pad(logits > 0, 1, mode="edge")
    if inside.all():
        return np.zeros_like(logits)
    distance = np.where(inside, ndimage.distance_transform_edt(inside), ndimage.distance_transform_edt(~inside))
    share: NDArray[np.float32] = np.clip(2 - 2 * distance[1:-1, 1:-1] / BAND_CELLS, 0, 1).astype(np.float32)
    return share


def _within(places: NDArray[np.float64], edge: float, extent: float) -> slice:
    first, last = np.searchsorted(places, (edge, edge + extent))
    return slice(int(first), int(last))


def _weight(places: NDArray[np.float64], edge: float, extent: float) -> NDArray[np.float32]:
    """1 in the window's middle, 0 with no slope at its edges; windows half a side apart add up to 1."""
    weight: NDArray[np.float32] = np.square(np.sin(np.pi * (places - edge) / extent)).astype(np.float32)
    return weight
