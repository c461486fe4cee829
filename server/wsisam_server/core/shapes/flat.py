"""Many areas at once as arrays, and back: for a page of annotations, a call each for all of them is what is fast."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Final, TypeVar

import numpy as np
import shapely

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

MIN_VERTICES: Final = 3
"""Of a ring, without the one that closes it."""

Item = TypeVar("Item")
Nested = list[list[list[Item]]]


@dataclass(frozen=True, slots=True)
class Flat:
    """Areas as arrays.

    Attributes:
        vertices: (n, 2), x before y: of all rings, one after the other, each closed by its first vertex again.
        rings: where each ring begins in `vertices`, and last where all end.
        parts: where each polygon begins in `rings`, and last where all end; a polygon's exterior comes first.
        shapes: where each shape begins in `parts`, and last where all end.
    """

    vertices: NDArray[np.float64]
    rings: NDArray[np.int64]
    parts: NDArray[np.int64]
    shapes: NDArray[np.int64]

    @property
    def shape_of_vertex(self) -> NDArray[np.int64]:
        """The number of each vertex's shape."""
        ends = self.rings[self.parts[self.shapes]]
        return np.repeat(np.arange(len(self.shapes) - 1), np.diff(ends))

    def nested(self, values: list[Item]) -> list[Nested[Item]]:
        """For each shape its polygons' rings, as slices.

        Args:
            values: two for each vertex. The vertex that closes a ring is left out.
        """
        rings = [values[2 * start : 2 * (end - 1)] for start, end in pairwise(self.rings.tolist())]
        parts = [rings[start:end] for start, end in pairwise(self.parts.tolist())]
        return [parts[start:end] for start, end in pairwise(self.shapes.tolist())]


def flattened(areas: NDArray[np.object_]) -> Flat:
    """Polygons and multi-polygons, none of which is missing, as arrays."""
    parts, shape_of_part = shapely.get_parts(areas, return_index=True)
    rings, part_of_ring = shapely.get_rings(parts, return_index=True)
    vertices, ring_of_vertex = shapely.get_coordinates(rings, return_index=True)
    return Flat(
        vertices,
        _begins(ring_of_vertex, len(rings)),
        _begins(part_of_ring, len(parts)),
        _begins(shape_of_part, len(areas)),
    )


def areas_of(
    vertices: NDArray[np.float64], rings: Sequence[int], parts: Sequence[int], shapes: Sequence[int]
) -> list[shapely.MultiPolygon]:
    """The inverse: multi-polygons of rings. Checks the form, not whether they are valid in the OGC sense.

    Args:
        vertices: (n, 2) of all rings, one after the other, none of which has to be closed.
        rings: how many vertices each ring has.
        parts: how many rings each polygon has; the first is its exterior.
        shapes: how many polygons each shape has.

    Raises:
        ValueError: a polygon has no ring, or a ring fewer than three vertices.
    """
    if min(parts, default=1) < 1:
        raise ValueError("a polygon must have an exterior ring")
    if min(rings, default=MIN_VERTICES) < MIN_VERTICES:
        raise ValueError(f"a ring must have at least {MIN_VERTICES} vertices, not {min(rings)}")
    made = [shapely.MultiPolygon()] * len(shapes)
    filled: list[int] = np.flatnonzero(shapes).tolist()
    if filled:
        lines = np.asarray(shapely.linearrings(vertices, indices=_numbered(rings)))
        polygons = np.asarray(shapely.polygons(lines, indices=_numbered(parts)))
        joined = np.asarray(shapely.multipolygons(polygons, indices=_numbered([shapes[number] for number in filled])))
        for number, area in zip(filled, joined, strict=True):
            made[number] = area
    return made


def _begins(owners: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    return np.concatenate([[0], np.cumsum(np.bincount(owners, minlength=count))]).astype(np.int64)


def _numbered(counts: Sequence[int]) -> NDArray[np.int64]:
    return np.repeat(np.arange(len(counts)), counts)
