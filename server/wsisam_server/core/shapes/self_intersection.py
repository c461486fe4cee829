"""What a shape costs to check and to repair: counted first, within a limit, as the cost is quadratic at worst.

To check validity takes time for each two segments, and each two rings, whose bounding boxes meet. To tell what is
inside takes time for each segment that a ray meets. To repair takes far more, for each crossing. A border as people
draw it has few of these for each vertex. A hostile one has half the square of its vertices, which takes hours.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import shapely

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import TypeAlias

    from numpy.typing import NDArray

    Ends: TypeAlias = tuple[NDArray[np.float64], NDArray[np.float64]]

AT_ONCE: Final = 1_000_000
"""Pairs that one query of the index may find: 16 MB, and some 100 more while crossings are computed."""

PAIRS_PER_UNIT: Final = 100
"""A unit of work is what a crossing takes, some 25 microseconds; so many pairs of boxes take as long, ..."""

HITS_PER_UNIT: Final = 10_000
"""... and so many meetings of rays with segments."""


class GeometryRepairError(ValueError):
    """A shape cannot be checked or repaired within the limit on work, or at all."""


@dataclass(slots=True)
class RepairCost:
    """What was counted, and its limit.

    Attributes:
        limit: in units.
        pairs: of segments, or rings, whose bounding boxes meet.
        crossings: of segments, at most one for each two.
        hits: of rays with segments.
    """

    limit: float
    pairs: int = 0
    crossings: int = 0
    hits: int = 0

    @property
    def validity(self) -> float:
        """Cost of counting and of the validity check, in units."""
        return self.pairs / PAIRS_PER_UNIT

    @property
    def repair(self) -> float:
        """Cost of the repair itself, in units."""
        return self.crossings + self.hits / HITS_PER_UNIT

    def add_pairs(self, count: int) -> None:
        """Counts more.

        Raises:
            GeometryRepairError: it has become more than the limit.
        """
        self.pairs += count
        self._check()

    def add_crossings(self, count: int) -> None:
        """As `add_pairs`."""
        self.crossings += count
        self._check()

    def add_hits(self, count: int) -> None:
        """As `add_pairs`."""
        self.hits += count
        self._check()

    def _check(self) -> None:
        if self.validity + self.repair > self.limit:
            raise GeometryRepairError(f"a shape makes more than {self.limit:.0f} units of work")


def count_crossings(rings: NDArray[np.object_], cost: RepairCost) -> None:
    """Adds the pairs and the crossings of rings.

    Raises:
        GeometryRepairError: before much more was counted than the limit.
    """
    count_ring_pairs(rings, cost)
    starts, ends = segments(rings)
    lines = np.asarray(shapely.linestrings(np.stack([starts, ends], axis=1)))
    for one, other in overlapping_boxes(lines, lines):
        once = one < other
        first, second = one[once], other[once]
        cost.add_pairs(len(first))
        cost.add_crossings(int(np.count_nonzero(_divide(starts[first], ends[first], starts[second], ends[second]))))


def count_ring_pairs(rings: NDArray[np.object_], cost: RepairCost) -> None:
    """Adds the pairs of whole rings.

    Raises:
        GeometryRepairError: before much more was counted than the limit.
    """
    for first, second in overlapping_boxes(rings, rings):
        cost.add_pairs(int(np.count_nonzero(first < second)))


def count_hits(rings: NDArray[np.object_], ys: NDArray[np.float64], cost: RepairCost) -> None:
    """Adds what rays along x meet that begin at some heights.

    Raises:
        GeometryRepairError: it is more than the limit.
    """
    (_, first), (_, second) = (ends.T for ends in segments(rings))
    low, high = np.sort(np.minimum(first, second)), np.sort(np.maximum(first, second))
    cost.add_hits(int(_between(low, high, ys, ys).sum()))


def overlapping_boxes(
    shapes: NDArray[np.object_], others: NDArray[np.object_]
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Each two whose bounding boxes meet, by their numbers, some at a time."""
    tree = shapely.STRtree(others)
    at_most = bounding_pairs(shapes, others).cumsum()
    start = 0
    while start < len(shapes):
        before = at_most[start - 1] if start else 0
        end = max(int(np.searchsorted(at_most, before + AT_ONCE, "right")), start + 1)
        one, other = tree.query(shapes[start:end])
        yield one + start, other
        start = end


def bounding_pairs(shapes: NDArray[np.object_], others: NDArray[np.object_]) -> NDArray[np.int64]:
    """How many others each shape's bounding box meets at most: along one axis, without looking at each."""
    x0, y0, x1, y1 = shapely.bounds(shapes).T
    left, bottom, right, top = np.sort(shapely.bounds(others), axis=0).T
    return np.minimum(_between(left, right, x0, x1), _between(bottom, top, y0, y1))


def segments(rings: NDArray[np.object_]) -> Ends:
    """Where the segments of rings begin and end."""
    vertices, ring_of = shapely.get_coordinates(rings, return_index=True)
    together = ring_of[:-1] == ring_of[1:]
    return vertices[:-1][together], vertices[1:][together]


def _between(
    lows: NDArray[np.float64], highs: NDArray[np.float64], low: NDArray[np.float64], high: NDArray[np.float64]
) -> NDArray[np.int64]:
    """How many of some intervals, whose ends are sorted, each of others meets."""
    return np.searchsorted(lows, high, "right") - np.searchsorted(highs, low, "left")


def _divide(
    start: NDArray[np.float64], end: NDArray[np.float64], other: NDArray[np.float64], other_end: NDArray[np.float64]
) -> NDArray[np.bool_]:
    """Which segments, whose boxes meet, divide each other: not if they have an end, or both, in common and no more."""
    sides = [_side(start, end, other), _side(start, end, other_end)]
    sides += [_side(other, other_end, start), _side(other, other_end, end)]
    meet = (sides[0] * sides[1] <= 0) & (sides[2] * sides[3] <= 0)
    forth, back = (start == other).all(1), (start == other_end).all(1)
    again, against = (end == other_end).all(1), (end == other).all(1)
    joined, the_same = forth | back | again | against, (forth & again) | (back & against)
    low = np.maximum(np.minimum(start, end), np.minimum(other, other_end))
    high = np.minimum(np.maximum(start, end), np.maximum(other, other_end))
    on_each_other = (high > low).any(1) & (np.abs(sides).max(axis=0) == 0)
    divided: NDArray[np.bool_] = meet & ~the_same & (~joined | on_each_other)
    return divided


def _side(start: NDArray[np.float64], end: NDArray[np.float64], place: NDArray[np.float64]) -> NDArray[np.float64]:
    """On which side of a segment's line a place lies: -1, 0 or 1."""
    (dx, dy), (to_x, to_y) = (end - start).T, (place - start).T
    sides: NDArray[np.float64] = np.sign(dx * to_y - dy * to_x)
    return sides
