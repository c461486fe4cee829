"""Vertices onto the grid and polygons into the slide, without losing validity."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import shapely

from wsisam_server.core.shapes.grid import STEP_PX, UNITS_PER_PX
from wsisam_server.core.shapes.parts import polygonal

if TYPE_CHECKING:
    from wsisam_server.core.geometry import SlideSize


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
