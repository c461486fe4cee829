"""A rough outline in slide coordinates -> logits over a window, as SAM's mask prompt takes them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
from PIL import Image, ImageDraw

from wsisam_server.core.answers import CELLS

if TYPE_CHECKING:
    import shapely
    from numpy.typing import NDArray

    from wsisam_server.core.geometry import Window

MAGNITUDE: Final = 4.0
"""The logit inside a shape; outside it is the negative of it. Chosen by measurement, see decision 0044."""

_FINER: Final = 4
"""Pixels along a cell's side in which the shape is drawn, so that cells on its border are in part inside."""


def shape_mask(shape: shapely.MultiPolygon, window: Window, magnitude: float = MAGNITUDE) -> NDArray[np.float32]:
    """Draws a shape.

    Args:
        shape: valid polygons in level-0 pixels; what lies outside the window is cut off.
        window: what the mask covers.
        magnitude: see `MAGNITUDE`.

    Returns:
        [256, 256] logits: `magnitude` in cells inside the shape, its negative outside, values between on its border.
    """
    side = CELLS * _FINER
    scale = side / window.extent
    inside = np.zeros((side, side), bool)
    for part in shape.geoms:
        # One after the other: an island in another part's hole is not to be wiped out with the hole.
        canvas = Image.new("1", (side, side))
        pen = ImageDraw.Draw(canvas)
        for number, ring in enumerate((part.exterior, *part.interiors)):
            # Pillow's pixel i has its centre at i, ours at i + 1/2.
            at = (np.asarray(ring.coords)[:, :2] - (window.x, window.y)) * scale - 0.5
            pen.polygon([(x, y) for x, y in at.tolist()], fill=number == 0)
        inside |= np.asarray(canvas)
    share = inside.reshape(CELLS, _FINER, CELLS, _FINER).mean(axis=(1, 3), dtype=np.float32)
    logits: NDArray[np.float32] = (magnitude * (2 * share - 1)).astype(np.float32)
    return logits
