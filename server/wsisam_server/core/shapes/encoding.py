"""The compact form of polygons on the wire: integers on the 1/32 px grid, delta-coded along each ring."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, Final

import numpy as np

from wsisam_server.core.shapes.flat import MIN_VERTICES, areas_of, flattened
from wsisam_server.core.shapes.polygons import UNITS_PER_PX

if TYPE_CHECKING:
    from collections.abc import Sequence

    import shapely
    from numpy.typing import NDArray

    from wsisam_server.core.shapes.flat import Flat

Rings = list[list[list[int]]]

_LIMIT: Final = 2**31 - 1
"""Largest magnitude of a vertex or a delta in grid units: the wire's int32. It reaches 67,108,863 px."""

_BEYOND: Final = f"a vertex is beyond {_LIMIT // UNITS_PER_PX} px and does not fit into 32 bits"


def encode(geometry: shapely.MultiPolygon) -> Rings:
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
    flat = flattened(np.asarray([geometry], object))
    exact, deltas, fits = _deltas(flat)
    if not exact.all():
        raise ValueError(f"a vertex is not a multiple of 1/{UNITS_PER_PX} px; snap the geometry first")
    if not fits.all():
        raise ValueError(_BEYOND)
    return flat.nested(deltas)[0]


def encode_many(flat: Flat) -> list[Rings | None]:
    """As `encode`, of many areas; None for what cannot be encoded without loss."""
    exact, deltas, fits = _deltas(flat)
    good = np.ones(len(flat.shapes) - 1, bool)
    good[flat.shape_of_vertex[~(exact & fits)]] = False
    return [rings if one else None for rings, one in zip(flat.nested(deltas), good.tolist(), strict=True)]


def decode(polygons: Sequence[Sequence[Sequence[int]]]) -> shapely.MultiPolygon:
    """The inverse of `encode`. Checks the form, not whether the polygons are valid in the OGC sense.

    Raises:
        ValueError: a polygon has no ring, a ring has an odd count of integers or fewer than three vertices, or a
            vertex does not fit into 32 bits.
    """
    return decode_many([polygons])[0]


def decode_many(shapes: Sequence[Sequence[Sequence[Sequence[int]]]]) -> list[shapely.MultiPolygon]:
    """As `decode`, of many shapes at once.

    Raises:
        ValueError: one of them cannot be decoded.
    """
    parts = [part for shape in shapes for part in shape]
    rings = [ring for part in parts for ring in part]
    counts = [len(ring) for ring in rings]
    for count in counts:
        if count % 2 or count < 2 * MIN_VERTICES:
            raise ValueError(f"a ring must be an even count of at least {2 * MIN_VERTICES} integers, not {count}")
    units = np.fromiter(chain.from_iterable(rings), np.int64, sum(counts)).reshape(-1, 2)
    vertices = [count // 2 for count in counts]
    if vertices:
        units = _summed(units, np.asarray(vertices))
    return areas_of(units / UNITS_PER_PX, vertices, [len(part) for part in parts], [len(shape) for shape in shapes])


def _deltas(flat: Flat) -> tuple[NDArray[np.bool_], list[int], NDArray[np.bool_]]:
    """Which vertices are on the grid, two deltas for each vertex, and which of these fit into 32 bits."""
    units = flat.vertices * UNITS_PER_PX
    exact = np.asarray((units == np.rint(units)).all(axis=1))
    deltas = np.diff(units, axis=0, prepend=0)
    begins = flat.rings[:-1]
    deltas[begins] = units[begins]
    fits = np.asarray((np.maximum(np.abs(units), np.abs(deltas)) <= _LIMIT).all(axis=1))
    deltas[~fits] = 0
    return exact, deltas.astype(np.int64).ravel().tolist(), fits


def _summed(deltas: NDArray[np.int64], counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """The vertices of rings; each ring starts from zero."""
    sums = deltas.cumsum(axis=0)
    ends = counts.cumsum()
    before = np.concatenate([np.zeros((1, 2), np.int64), sums[ends[:-1] - 1]])
    vertices: NDArray[np.int64] = sums - np.repeat(before, counts, axis=0)
    if np.abs(vertices).max() > _LIMIT:
        raise ValueError(_BEYOND)
    return vertices
