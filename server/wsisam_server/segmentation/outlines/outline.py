"""Logits of a window -> the object's outline, ready to be stored and sent."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import shapely

from wsisam_server.core.answers import Outline
from wsisam_server.core.shapes.polygons import STEP_PX, oriented, polygonal, simplify, snap_into
from wsisam_server.segmentation.outlines.contour import zero_contour

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from wsisam_server.core.geometry import SlideSize, Window


def outline(
    logits: NDArray[np.float32],
    window: Window,
    slide: SlideSize,
    *,
    tolerance_px: float | None = None,
    min_area_px: float = 0.0,
    min_hole_px: float | None = None,
    open_at: Sequence[tuple[float, float]] = (),
) -> Outline:
    """The region of positive logits as valid polygons on the slide.

    Args:
        logits: [h, w], rows from top to bottom, covering the whole window: sample (r, c) lies at the window position
            ((c + 0.5) * size / w, (r + 0.5) * size / h) in patch pixels. The outline is their zero level, placed by
            linear interpolation.
        window: where the logits lie on the slide; may reach beyond it, the outline is clipped.
        slide: the slide's size.
        tolerance_px: largest displacement by simplification in level-0 pixels; by default a quarter of the distance
            between two logits. Placing vertices on the grid adds up to 1/45 px.
        min_area_px: parts with a smaller area (level-0 pixels squared) are removed.
        min_hole_px: holes with a smaller area are filled; None for `min_area_px`.
        open_at: points (x, y) on the slide that were said not to be the object. Their holes are never filled.

    Raises:
        ValueError: the logits are not a non-empty matrix of finite numbers, or the tolerance or a minimum area is
            negative or not finite.
    """
    min_hole_px = min_area_px if min_hole_px is None else min_hole_px
    _check(logits, tolerance_px=tolerance_px, min_area_px=min_area_px, min_hole_px=min_hole_px)
    if tolerance_px is None:
        tolerance_px = window.extent / max(logits.shape) / 4
    simplified = simplify(zero_contour(logits, window), tolerance_px)
    geometry, dropped_parts, dropped_holes = _without_small_components(
        snap_into(slide, simplified), min_area_px, min_hole_px, shapely.MultiPoint(list(open_at))
    )
    return Outline(
        geometry=oriented(geometry),
        touches_window_edge=reaches_edge(geometry, window, slide),
        tolerance_px=tolerance_px,
        dropped_parts=dropped_parts,
        dropped_holes=dropped_holes,
    )


def _check(logits: NDArray[np.float32], **bounds: float | None) -> None:
    if logits.ndim != 2 or logits.size == 0:  # noqa: PLR2004 (rows and columns)
        raise ValueError(f"logits must be a non-empty matrix [h, w], not of shape {logits.shape}")
    if not np.isfinite(logits).all():
        raise ValueError("logits must be finite; they hold NaN or infinity")
    for name, value in bounds.items():
        if value is not None and not 0 <= value < math.inf:
            raise ValueError(f"{name} must be a finite number >= 0, not {value}")


def _without_small_components(
    geometry: shapely.MultiPolygon, min_area_px: float, min_hole_px: float, open_at: shapely.MultiPoint
) -> tuple[shapely.MultiPolygon, int, int]:
    """Fills small holes, then drops small parts; returns the rest and how many parts and holes went.

    An island in a filled hole goes with it: dropped if it is small, else united with what fills it.
    """
    if min_area_px == 0 and min_hole_px == 0:
        return geometry, 0, 0
    kept = []
    holes = 0
    for part in geometry.geoms:
        large = [ring for ring in part.interiors if _stays_open(shapely.Polygon(ring), min_hole_px, open_at)]
        filled = shapely.Polygon(part.exterior, large)
        if filled.area >= min_area_px:
            kept.append(filled)
            holes += len(part.interiors) - len(large)
    parts = shapely.MultiPolygon(kept)
    if holes and min_hole_px > min_area_px:
        parts = polygonal(shapely.union_all(kept))
    return parts, len(geometry.geoms) - len(kept), holes


def _stays_open(hole: shapely.Polygon, min_hole_px: float, open_at: shapely.MultiPoint) -> bool:
    return hole.area >= min_hole_px or (not open_at.is_empty and bool(hole.intersects(open_at)))


def reaches_edge(geometry: shapely.Polygon | shapely.MultiPolygon, window: Window, slide: SlideSize) -> bool:
    """Whether the geometry reaches an edge of the window that lies within the slide."""
    if geometry.is_empty:
        return False
    half_step = STEP_PX / 2  # as far as the grid may have moved a vertex away from the edge
    left, top, right, bottom = geometry.bounds
    region = window.region
    return (
        (region.x0 > 0 and left <= region.x0 + half_step)
        or (region.y0 > 0 and top <= region.y0 + half_step)
        or (region.x1 < slide.width and right >= region.x1 - half_step)
        or (region.y1 < slide.height and bottom >= region.y1 - half_step)
    )
