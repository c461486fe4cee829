"""Any polygons -> fewer vertices, on the grid, inside the slide, and valid. Every part and every hole is kept.

The grid that every vertex lies on has a step of 1/32 level-0 pixel.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import shapely

if TYPE_CHECKING:
    from shapely.geometry.base import BaseGeometry

    from wsisam_server.core.geometry import SlideSize

UNITS_PER_PX: Final = 32
"""Grid steps in one level-0 pixel: a power of two, so that a vertex is exact in binary, in text and as an integer."""

STEP_PX: Final = 1 / UNITS_PER_PX
"""The grid's step in level-0 pixels: finer than any annotation, and 2**31 steps reach 67 million pixels."""


def polygonal(geometry: BaseGeometry) -> shapely.MultiPolygon:
    """The polygons of a geometry; points, lines and empty parts, which overlays leave behind, are dropped.

    Args:
        geometry: a polygon, a multi-polygon, or a collection of anything that holds them directly.
    """
    members = shapely.get_parts(shapely.get_parts(geometry))
    is_polygon = shapely.get_type_id(members) == shapely.GeometryType.POLYGON
    polygons: shapely.MultiPolygon = shapely.multipolygons(members[is_polygon & ~shapely.is_empty(members)])
    return polygons


def on_grid(drawn: shapely.MultiPolygon) -> shapely.MultiPolygon:
    """The shape with each vertex moved to the nearest point of the 1/32 px grid; it may cross itself then."""
    return shapely.transform(drawn, lambda vertices: np.rint(vertices * UNITS_PER_PX) / UNITS_PER_PX)


def oriented(geometry: shapely.MultiPolygon) -> shapely.MultiPolygon:
    """The same polygons in canonical order, exteriors counter-clockwise in (x, y) and holes clockwise (RFC 7946).

    On a screen, where y points down, exteriors therefore run clockwise.
    """
    # GEOS normalises to the opposite orientation; this pair is two C calls where orienting each part is a Python loop,
    # and shapely.orient_polygons needs shapely 2.1.
    return shapely.reverse(shapely.normalize(geometry))


def simplify(contour: shapely.MultiPolygon, tolerance: float) -> shapely.MultiPolygon:
    """Removes vertices so that the outline moves by at most `tolerance`; no part or hole vanishes, splits or merges.

    Args:
        contour: level-0 pixels; rings may touch, cross or have collapsed.
        tolerance: largest distance between a removed vertex and the result, in level-0 pixels; 0 removes only
            vertices on a straight line.

    Returns:
        Valid polygons. Their vertices are the contour's, or on the grid where the contour had to be repaired.
    """
    if contour.is_empty:
        return contour
    quick = _simplify_rings(contour, tolerance)
    if shapely.is_valid(quick):
        return quick
    valid = contour if shapely.is_valid(contour) else make_valid(contour)
    careful = polygonal(shapely.simplify(valid, tolerance, preserve_topology=True))
    # Never seen to be invalid (GEOS 3.11 and 3.14), but validity is our promise and not GEOS's.
    return careful if shapely.is_valid(careful) else valid


def _simplify_rings(contour: shapely.MultiPolygon, tolerance: float) -> shapely.MultiPolygon:
    """Simplifies each ring by itself: a quarter of the cost of preserving topology, but the rings may come to cross."""
    _, coordinates, (ring_offsets, *outer_offsets) = shapely.to_ragged_array([contour])
    rings = shapely.from_ragged_array(shapely.GeometryType.LINESTRING, coordinates, (ring_offsets,))
    fewer = shapely.simplify(rings, tolerance, preserve_topology=False)
    # A ring smaller than the tolerance collapses: it keeps the few vertices that it has.
    fewer = np.where(shapely.get_num_coordinates(fewer) < 4, rings, fewer)  # noqa: PLR2004 (a closed triangle)
    _, coordinates, (ring_offsets,) = shapely.to_ragged_array(fewer)
    offsets = (ring_offsets, *outer_offsets)
    quick: shapely.MultiPolygon = shapely.from_ragged_array(shapely.GeometryType.MULTIPOLYGON, coordinates, offsets)[0]
    return quick


def snap_into(slide: SlideSize, geometry: shapely.MultiPolygon) -> shapely.MultiPolygon:
    """Clips polygons to the slide and moves each vertex to the nearest grid point.

    Args:
        slide: the slide's size.
        geometry: valid polygons in level-0 pixels.

    Returns:
        Valid polygons without repeated vertices. What the grid cannot tell apart merges or vanishes.
    """
    border = shapely.box(0, 0, slide.width, slide.height)
    rounded = shapely.transform(geometry, lambda xy: np.rint(xy * UNITS_PER_PX) / UNITS_PER_PX)
    if shapely.is_valid(rounded) and shapely.covers(border, rounded):
        return shapely.remove_repeated_points(rounded)
    # The overlay also clips, and restores what rounding made cross or collapse, but costs several times more.
    return polygonal(shapely.intersection(geometry, border, grid_size=STEP_PX))


def make_valid(contour: shapely.MultiPolygon) -> shapely.MultiPolygon:
    """The region inside an odd number of the contour's rings.

    `shapely.make_valid` means the same, but raises on rings that have collapsed to a line or a point, which is what
    becomes of windows finer than the grid.

    Args:
        contour: level-0 pixels; rings of any kind.

    Returns:
        Valid polygons, each vertex on the grid; what has no area is dropped.
    """
    rings = shapely.get_rings(shapely.get_parts(contour))
    # Snap rounding works for any lines, and the faces between them are valid whatever the rings were.
    lines = shapely.union_all(rings, grid_size=STEP_PX)
    faces = shapely.get_parts(shapely.polygonize([lines]))
    inner = [shapely.Polygon(ring) for ring in rings]
    face_of_hit, _ = shapely.STRtree(inner).query(shapely.point_on_surface(faces), predicate="within")
    is_inside = np.bincount(face_of_hit, minlength=len(faces)) % 2 == 1
    return polygonal(shapely.union_all(faces[is_inside], grid_size=STEP_PX))
