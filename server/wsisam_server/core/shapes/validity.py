"""Whether large areas are valid, in bounded time.

GEOS looks at each two segments whose bounding boxes meet. A border as people and models draw it has few of these for
each vertex, and a rough one thousands: that takes seconds and is done. One that is made to have many takes hours: it is
refused before. What crosses itself mostly does so in many places, and one of them is found at once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import shapely

from wsisam_server.core.shapes.self_intersection import (
    GeometryRepairError,
    RepairCost,
    bounding_pairs,
    count_ring_pairs,
    segments,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from shapely.geometry.base import BaseGeometry

    from wsisam_server.core.shapes.self_intersection import Ends

SMALL: Final = 1_000
"""Vertices up to which an area takes no time until it is known to be valid, however it was made."""

PAIRS: Final = 500_000_000
"""Of segments whose bounding boxes meet, in all areas of one request: about ten seconds, on one thread."""

RING_UNITS: Final = 40_000
"""Bound on the pairs of rings of one area, see `RepairCost`."""

_SAMPLES: Final = 1_000
"""Segments of which the others near them are counted."""

_SAMPLED: Final = 300_000
"""Pairs of them at most."""

_AXIS: Final = 4096
"""Length of the axis along which an area is looked at whose bounding boxes meet too often: a whole number each way."""

_GRID: Final = 2.0**20
_EXACT: Final = 2.0**40
"""Coordinates on a grid of so fine a part of a pixel, and no farther out than so many of its steps, are turned without
rounding. Outlines of the server are, and whole and half pixels; decimal fractions are not."""

_CLEAR: Final = 2.0**-40
"""Of the farthest coordinate: a thousand times what rounding moves a vertex by."""

_AHEAD: Final = 4
"""Segments that each is compared with along its border: two vertices that are exchanged are found so."""

_VALID: Final = "Valid Geometry"


@dataclass(slots=True)
class ValidityBudget:
    """What the validity checks of one request may still cost.

    Attributes:
        pairs: of segments.
    """

    pairs: float = PAIRS


def validity_problem(area: BaseGeometry, budget: ValidityBudget | None = None) -> str:
    """What keeps an area from being valid in the OGC sense, in GEOS's words; empty for a valid one.

    Args:
        area: a polygon or multi-polygon with finite coordinates.
        budget: reduced by what this takes; None for a fresh one.

    Raises:
        GeometryRepairError: that cannot be determined within the budget.
    """
    if shapely.get_num_coordinates(area) > SMALL:
        rings = shapely.get_rings(shapely.get_parts(area))
        count_ring_pairs(rings, RepairCost(RING_UNITS))
        ends = segments(rings)
        near, expected = _sampled(ends)
        for pairs in (_along(ends), near):
            where = _crossing(ends, pairs)
            if where is not None:
                x, y = shapely.get_coordinates(where)[0]
                return f"Self-intersection[{x:.15g} {y:.15g}]"
        budget = budget or ValidityBudget()
        turned = _turned(area, ends) if expected > budget.pairs else None
        if turned is not None:
            _, needed = _sampled(segments(shapely.get_rings(shapely.get_parts(turned.area))))
            said = turned.said() if needed <= budget.pairs else ""
            if said or (needed <= budget.pairs and turned.is_sure):
                budget.pairs -= needed
                return said
        if expected > budget.pairs:
            raise GeometryRepairError(f"some {expected:.0f} pairs of segments lie close, and {budget.pairs:.0f} may")
        budget.pairs -= expected
    said = str(shapely.is_valid_reason(area))
    return "" if said == _VALID else said


@dataclass(frozen=True, slots=True)
class _Turned:
    """An area in other axes: (x, y) lies at (a x + b y, a y - b x), but for rounding."""

    area: BaseGeometry
    a: int
    b: int
    is_exact: bool

    @property
    def is_sure(self) -> bool:
        """Whether the area as it was is valid if this is: nothing lies so close that rounding could matter."""
        if self.is_exact:
            return True
        far = float(np.abs(shapely.get_coordinates(self.area)).max())
        return float(shapely.minimum_clearance(self.area)) > _CLEAR * far

    def said(self) -> str:
        """What `validity_problem` says of the area as it was."""
        said = str(shapely.is_valid_reason(self.area))
        what, _, where = said.partition("[")
        if said == _VALID or not where:
            return "" if said == _VALID else said
        u, v = map(float, where.rstrip("]").split()[:2])
        share = self.a**2 + self.b**2
        return f"{what}[{(self.a * u - self.b * v) / share:.15g} {(self.b * u + self.a * v) / share:.15g}]"


def _turned(area: BaseGeometry, ends: Ends) -> _Turned | None:
    """An area along most of its segments; None where they have no direction.

    Of slanting segments side by side, as a comb's teeth, all bounding boxes meet; along them, few do.
    """
    units = shapely.get_coordinates(area) * _GRID
    is_exact = bool(np.abs(units).max() < _EXACT and np.array_equal(units, np.rint(units)))
    along = (ends[1] - ends[0]) @ np.array([1, 1j])
    # The angle doubled: to and fro are one direction. Weighted by the square of the length.
    direction = np.sqrt(np.sum(along**2))
    direction *= _AXIS / (abs(direction) or 1.0)
    a, b = round(direction.real), round(direction.imag)
    if not (a or b):
        return None
    return _Turned(shapely.transform(area, lambda at: at @ np.array([[a, -b], [b, a]], np.float64)), a, b, is_exact)


def _sampled(ends: Ends) -> tuple[tuple[NDArray[np.int64], NDArray[np.int64]], float]:
    """Some pairs of segments whose bounding boxes meet, and how many there are about."""
    starts, stops = ends
    lines = np.asarray(shapely.linestrings(np.stack([starts, stops], axis=1)))
    chosen = np.unique(np.linspace(0, len(lines) - 1, _SAMPLES).astype(np.int64))
    # Not in the order of the border, so that those that are left out are not a part of it.
    chosen = np.random.default_rng(len(lines)).permutation(chosen)
    chosen = chosen[: max(1, int(np.searchsorted(bounding_pairs(lines[chosen], lines).cumsum(), _SAMPLED, "right")))]
    one, other = shapely.STRtree(lines).query(lines[chosen])
    return (chosen[one], other), len(one) / len(chosen) * len(lines) / 2


def _along(ends: Ends) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Each segment and those that follow soon; at a ring's end, some of the next one."""
    count = len(ends[0])
    first = np.concatenate([np.arange(count - ahead) for ahead in range(2, _AHEAD + 1)])
    second = np.concatenate([np.arange(ahead, count) for ahead in range(2, _AHEAD + 1)])
    return first, second


def _crossing(ends: Ends, pairs: tuple[NDArray[np.int64], NDArray[np.int64]]) -> BaseGeometry | None:
    """Where two segments cross, neither ending there: no two of a valid area do."""
    starts, stops = ends
    first, second = pairs
    sides = [_turn(starts[first], stops[first], place[second]) for place in (starts, stops)]
    sides += [_turn(starts[second], stops[second], place[first]) for place in (starts, stops)]
    for number in np.flatnonzero((sides[0] * sides[1] < 0) & (sides[2] * sides[3] < 0)):
        one, other = (shapely.LineString([starts[n[number]], stops[n[number]]]) for n in (first, second))
        # Rounding may have turned a side; GEOS computes it exactly.
        if one.crosses(other):
            return one.intersection(other)
    return None


def _turn(start: NDArray[np.float64], end: NDArray[np.float64], place: NDArray[np.float64]) -> NDArray[np.float64]:
    (dx, dy), (to_x, to_y) = (end - start).T, (place - start).T
    turns: NDArray[np.float64] = np.sign(dx * to_y - dy * to_x)
    return turns
