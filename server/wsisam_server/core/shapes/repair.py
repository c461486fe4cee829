"""Rings that touch, cross or collapse -> valid polygons on the grid."""

from __future__ import annotations

import numpy as np
import shapely

from wsisam_server.core.shapes.grid import STEP_PX
from wsisam_server.core.shapes.parts import polygonal


def repaired(contour: shapely.MultiPolygon) -> shapely.MultiPolygon:
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
