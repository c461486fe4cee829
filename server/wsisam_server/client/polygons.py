"""Polygons to messages and back."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wsisam.v1 import geometry_pb2
from wsisam_server.core.shapes import decode, encode, on_grid, polygonal

if TYPE_CHECKING:
    import shapely


def areas(drawn: shapely.Polygon | shapely.MultiPolygon) -> geometry_pb2.MultiPolygon:
    """Polygons as a message, each vertex moved to the 1/32 px grid; the inverse of `geometry`."""
    parts = encode(on_grid(polygonal(drawn)))
    return geometry_pb2.MultiPolygon(
        polygons=[geometry_pb2.Polygon(rings=[geometry_pb2.Ring(deltas=ring) for ring in rings]) for rings in parts]
    )


def geometry(message: geometry_pb2.MultiPolygon) -> shapely.MultiPolygon:
    """An outline's polygons in slide coordinates (level-0 pixels)."""
    return decode([[list(ring.deltas) for ring in polygon.rings] for polygon in message.polygons])
