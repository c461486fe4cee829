"""The polygons of any geometry, in one canonical form."""

from __future__ import annotations

from typing import TYPE_CHECKING

import shapely

if TYPE_CHECKING:
    from shapely.geometry.base import BaseGeometry


def polygonal(geometry: BaseGeometry) -> shapely.MultiPolygon:
    """The polygons of a geometry; points, lines and empty parts, which overlays leave behind, are dropped.

    Args:
        geometry: a polygon, a multi-polygon, or a collection of anything that holds them directly.
    """
    members = shapely.get_parts(shapely.get_parts(geometry))
    is_polygon = shapely.get_type_id(members) == shapely.GeometryType.POLYGON
    polygons: shapely.MultiPolygon = shapely.multipolygons(members[is_polygon & ~shapely.is_empty(members)])
    return polygons


def oriented(geometry: shapely.MultiPolygon) -> shapely.MultiPolygon:
    """The same polygons in canonical order, exteriors counter-clockwise in (x, y) and holes clockwise (RFC 7946).

    On a screen, where y points down, exteriors therefore run clockwise.
    """
    # GEOS normalises to the opposite orientation; this pair is two C calls where orienting each part is a Python loop,
    # and shapely.orient_polygons needs shapely 2.1.
    return shapely.reverse(shapely.normalize(geometry))
