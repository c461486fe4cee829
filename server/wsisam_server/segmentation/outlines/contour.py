"""Logits -> their zero level as polygons in slide coordinates."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import shapely
from contourpy import FillType, contour_generator

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from wsisam_server.core.geometry import Window

_UNITS_PER_PX: Final = 2**20
"""Contours are traced to a millionth of a level-0 pixel, far finer than the grid that they end on."""


def zero_contour(logits: NDArray[np.float32], window: Window) -> shapely.MultiPolygon:
    """Traces the region where the logits, interpolated linearly between samples, are positive.

    The outer half cell, where there is no sample beyond, repeats the nearest sample, so that a region which reaches
    the window's edge is closed along that edge.

    Args:
        logits: finite values [h, w] that cover the whole window: sample (r, c) lies at the window position
            ((c + 0.5) * size / w, (r + 0.5) * size / h) in patch pixels.
        window: where the logits lie on the slide.

    Returns:
        Polygons in level-0 pixels, with holes; empty where no logit is positive. Not always valid: rings may touch
        where a logit is zero, and collapse where a cell is as fine as 1e-6 px.
    """
    height, width = logits.shape
    generator = contour_generator(
        x=window.x + _sample_fractions(width) * window.extent,
        y=window.y + _sample_fractions(height) * window.extent,
        z=np.pad(logits, 1, mode="edge"),
        fill_type=FillType.ChunkCombinedOffsetOffset,
    )
    points, ring_offsets, polygon_offsets = (chunks[0] for chunks in generator.filled(0, np.inf))
    if points is None or ring_offsets is None or polygon_offsets is None:
        return shapely.MultiPolygon()
    # GEOS fails where products of coordinates underflow, as in a window at y = 1e-300.
    points = np.rint(points * _UNITS_PER_PX) / _UNITS_PER_PX
    # contourpy's combined offsets are the ragged arrays that shapely reads: no loop over rings.
    offsets = (ring_offsets, polygon_offsets, np.array([0, len(polygon_offsets) - 1]))
    contour: shapely.MultiPolygon = shapely.from_ragged_array(shapely.GeometryType.MULTIPOLYGON, points, offsets)[0]
    return contour


def _sample_fractions(count: int) -> NDArray[np.float64]:
    """Positions of `count` samples and of the two edges about them, as fractions of the window's extent: [count + 2].

    The edges are exactly 0 and 1, so that contours close exactly on the window's border.
    """
    return np.concatenate(([0.0], (np.arange(count) + 0.5) / count, [1.0]))
