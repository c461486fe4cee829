"""The compact form of polygons on the wire: integers on the 1/32 px grid, delta-coded along each ring."""

from __future__ import annotations

from itertools import accumulate, pairwise
from typing import TYPE_CHECKING, Final

import numpy as np
import shapely

from wsisam_server.polygons.grid import UNITS_PER_PX

if TYPE_CHECKING:
    from collections.abc import Sequence

_LIMIT: Final = 2**31 - 1
"""Largest magnitude of a vertex or a delta in grid units: the wire's int32. It reaches 67,108,863 px."""

_BEYOND: Final = f"a vertex is beyond {_LIMIT // UNITS_PER_PX} px and does not fit into 32 bits"

_MIN_VERTICES: Final = 3


def encode(geometry: shapely.MultiPolygon) -> list[list[list[int]]]:
    """Polygons -> polygons of rings of integers, without loss.

    Args:
        geometry: level-0 pixels, every vertex on the 1/32 px grid.

    Returns:
        For each polygon its rings, exterior first. A ring is [x0, y0, dx1, dy1, dx2, dy2, ...]: the first vertex,
        then each vertex's difference from the one before, in 1/32 px. The last vertex is not the first one again.

    Raises:
        ValueError: a vertex is off the grid, or a value does not fit into 32 bits.
    """
    if geometry.is_empty:
        return []
    _, coordinates, (ring_offsets, part_offsets, _) = shapely.to_ragged_array([geometry])
    units = coordinates * UNITS_PER_PX
    if not (units == np.rint(units)).all():
        raise ValueError(f"a vertex is not a multiple of 1/{UNITS_PER_PX} px; snap the geometry first")
    deltas = np.diff(units, axis=0, prepend=0)
    deltas[ring_offsets[:-1]] = units[ring_offsets[:-1]]
    if max(np.abs(units).max(), np.abs(deltas).max()) > _LIMIT:
        raise ValueError(_BEYOND)
    flat: list[int] = deltas.astype(np.int64).ravel().tolist()
    # The last vertex of each ring repeats its first.
    rings = [flat[2 * start : 2 * (end - 1)] for start, end in pairwise(ring_offsets.tolist())]
    return [rings[start:end] for start, end in pairwise(part_offsets.tolist())]


def decode(polygons: Sequence[Sequence[Sequence[int]]]) -> shapely.MultiPolygon:
    """The inverse of `encode`. Checks the form, not whether the polygons are valid in the OGC sense.

    Raises:
        ValueError: a polygon has no ring, a ring has an odd count of integers or fewer than three vertices, or a
            vertex does not fit into 32 bits.
    """
    return shapely.MultiPolygon([_decode_polygon(rings) for rings in polygons])


def _decode_polygon(rings: Sequence[Sequence[int]]) -> shapely.Polygon:
    if not rings:
        raise ValueError("a polygon must have an exterior ring")
    exterior, *holes = (_decode_ring(ring) for ring in rings)
    return shapely.Polygon(exterior, holes)


def _decode_ring(ring: Sequence[int]) -> list[tuple[float, float]]:
    if len(ring) % 2 or len(ring) < 2 * _MIN_VERTICES:
        raise ValueError(f"a ring must be an even count of at least {2 * _MIN_VERTICES} integers, not {len(ring)}")
    xs, ys = list(accumulate(ring[0::2])), list(accumulate(ring[1::2]))
    if max(map(abs, (*xs, *ys))) > _LIMIT:
        raise ValueError(_BEYOND)
    return [(x / UNITS_PER_PX, y / UNITS_PER_PX) for x, y in zip(xs, ys, strict=True)]
