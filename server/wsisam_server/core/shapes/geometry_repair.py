"""Shapes as people draw them -> valid polygons, in bounded time.

`self_intersection` counts what a repair costs before it is done.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import shapely

from wsisam_server.core.shapes.polygons import polygonal
from wsisam_server.core.shapes.self_intersection import (
    GeometryRepairError,
    RepairCost,
    count_crossings,
    count_hits,
    overlapping_boxes,
)
from wsisam_server.core.shapes.validity import ValidityBudget, validity_problem

if TYPE_CHECKING:
    from numpy.typing import NDArray

UNITS: Final = 80_000
"""Work for all shapes of one request, as much as so many crossings make: about two seconds."""

FARTHEST: Final = 2.0**31
"""Pixels. Beyond it, crossings have no sub-pixel precision, and products overflow."""

_RECTANGLE: Final = 5
"""Vertices of a rectangle, the last one being the first."""

FEW: Final = 200
"""Vertices with which a shape takes no time until it is known to be invalid; nothing is counted before."""

_UNCLEAR: Final = "where it crosses itself could not be determined"


class GeometryRepairer:
    """Makes the shapes of one request valid. Each may take at most half of the work that is left.

    Args:
        units: bound on the work of all shapes, see `RepairCost`.
    """

    def __init__(self, units: float = UNITS) -> None:
        self._left = units
        self._validity_budget = ValidityBudget()

    def repair(self, drawn: shapely.MultiPolygon) -> shapely.MultiPolygon:
        """The union of a shape's parts, each of which is its shell without its own holes.

        Inside a ring is what it goes round an odd number of times. So a ring that crosses itself is what
        `shapely.make_valid` makes of it, and parts, or holes, that lie over each other are one: counted across all
        rings, what they share would be a hole, or an island in one. `make_valid` counts so, takes minutes where a few
        hundred segments cross each other, and fills a hole that has a piece of border in common with another ring.

        Args:
            drawn: rings of any kind, in level-0 pixels.

        Returns:
            The shape itself when it is valid. Else valid polygons, whose vertices are the shape's and where it crosses
            itself; none where it has no area.

        Raises:
            GeometryRepairError: it would take too much work, or a vertex is not on any slide.
        """
        if shapely.get_num_coordinates(drawn) <= FEW and drawn.is_valid:
            return drawn
        rings, part_of = shapely.get_rings(shapely.get_parts(drawn), return_index=True)
        # NaN compares false.
        if not (np.abs(shapely.get_coordinates(rings)) <= FARTHEST).all():
            raise GeometryRepairError("a vertex is no number, or farther away than any slide reaches")
        if not validity_problem(drawn, self._validity_budget):
            return drawn
        cost = RepairCost(limit=self._left / 2)
        begun = False
        try:
            count_crossings(rings, cost)
            begun = True
            pieces = _faces(rings, part_of, cost)
            repaired = _joined(pieces, cost)
        finally:
            # A shape that is refused for its crossings takes no more than the counting.
            self._left -= min(cost.validity + begun * cost.repair, cost.limit)
        if repaired is None or not repaired.is_valid:
            # It takes longer than joining those that have borders in common.
            repaired = polygonal(shapely.union_all(pieces))
        # Never seen after that, but validity is our promise and not GEOS's.
        if not repaired.is_valid:
            raise GeometryRepairError(_UNCLEAR)
        return repaired


def _faces(rings: NDArray[np.object_], part_of: NDArray[np.int64], cost: RepairCost) -> NDArray[np.object_]:
    """What is inside a part, in pieces that have borders in common at most.

    Args:
        rings: of all parts; of each its shell first, then its holes.
        part_of: each ring's part.
        cost: is added to.

    Raises:
        GeometryRepairError: there are so many pieces that telling which are inside would take too much work.
    """
    try:
        pieces: NDArray[np.object_] = shapely.get_parts(shapely.polygonize([shapely.union_all(rings)]))
    except shapely.errors.GEOSException:
        raise GeometryRepairError(_UNCLEAR) from None
    places = shapely.get_coordinates(shapely.point_on_surface(pieces))
    count_hits(rings, places[:, 1], cost)
    # Ring by ring: what of several rings at once is inside, versions of GEOS do not agree on.
    areas = np.asarray(shapely.polygons(rings))
    shapely.prepare(areas)
    hollow = np.array([_is_hollow(ring) for ring in rings], bool)
    is_shell = np.diff(part_of, prepend=-1) != 0
    inside = np.zeros(len(pieces), bool)
    # A place's rings come together, so that a part's shell and holes do.
    for at, near in overlapping_boxes(np.asarray(shapely.points(places)), rings):
        cost.add_pairs(len(at))
        within = shapely.contains_xy(areas[near], places[at]) & ~hollow[near]
        place, ring = at[within], near[within]
        of_part = place * len(rings) + part_of[ring]
        shell = is_shell[ring]
        inside[place[shell][~np.isin(of_part[shell], of_part[~shell])]] = True
    found: NDArray[np.object_] = pieces[inside]
    return found


def _is_hollow(ring: shapely.LinearRing) -> bool:
    """Whether a ring goes forth and back with one corner. GEOS takes it for a rectangle where that is a right angle."""
    if shapely.get_num_coordinates(ring) != _RECTANGLE:
        return False
    first, second, third, fourth, _ = shapely.get_coordinates(ring).tolist()
    return bool(second == fourth or first == third)


def _joined(pieces: NDArray[np.object_], cost: RepairCost) -> shapely.MultiPolygon | None:
    """One shape of pieces, those together that have a piece of border in common.

    GEOS up to 3.13 takes some such pieces for no coverage. It then raises (None here), or makes an invalid shape.

    Raises:
        GeometryRepairError: these are too many.
    """
    rings, piece_of = shapely.get_rings(pieces, return_index=True)
    vertices, ring_of = shapely.get_coordinates(rings, return_index=True)
    together = ring_of[:-1] == ring_of[1:]
    # Borders meet only where they end, so that no two have one middle.
    middles = (vertices[:-1] + vertices[1:])[together]
    _, which, times = np.unique(middles @ [1, 1j], return_inverse=True, return_counts=True)
    shared = np.zeros(len(pieces), bool)
    shared[piece_of[ring_of[:-1][together]][times[which] > 1]] = True
    if not shared.any():
        return shapely.MultiPolygon(pieces.tolist())
    cost.add_crossings(int(shared.sum()))
    try:
        dissolved = polygonal(shapely.coverage_union_all(pieces[shared]))
    except shapely.errors.GEOSException:
        return None
    return shapely.MultiPolygon([*pieces[~shared], *dissolved.geoms])
