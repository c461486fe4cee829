"""Fewer vertices within a tolerance, with every part and every hole kept."""

from __future__ import annotations

import numpy as np
import shapely

from wsisam_server.core.shapes.parts import polygonal
from wsisam_server.core.shapes.repair import repaired


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
    valid = contour if shapely.is_valid(contour) else repaired(contour)
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
