"""A rough outline in slide coordinates -> what a model is told of it: a mask prompt and a point. Pure."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

import numpy as np
from PIL import Image, ImageDraw
from scipy import ndimage

from wsisam_server.core.answers import CELLS
from wsisam_server.core.geometry import Point
from wsisam_server.core.prompt import PromptPoint, SlidePrompt

if TYPE_CHECKING:
    import shapely
    from numpy.typing import NDArray

    from wsisam_server.core.geometry import Window

MAGNITUDE: Final = 6.0
"""The logit deep inside a shape. Far outside it is the negative of it."""

SOFTNESS: Final = 0.1
"""Standard deviation of the Gaussian over a shape's border, as a share of the side of a square of its area: a rough
outline is off by about so much."""

SHARE: Final = 0.1
"""Of the shape in the mask prompt, the answer to its box being the rest. Larger ones follow good outlines more closely,
and crude ones too: decision 0044 has the numbers."""

_FINER: Final = 4
"""Pixels along a cell's side in which the shape is drawn, so that cells on its border are in part inside."""


def after_box(
    prompt: SlidePrompt, window: Window, boxed: NDArray[np.float32]
) -> tuple[SlidePrompt, NDArray[np.float32]]:
    """What a model is asked for a shape alone, once it has answered the box about it.

    That answer, moved towards the shape, goes back as the mask prompt, with a point deep in the shape.

    Args:
        prompt: with a shape; its points do not count.
        window: what the model sees.
        boxed: [256, 256] logits, the answer to a prompt of `prompt.frame` alone.

    Returns:
        The prompt, of a point and the box, and the mask prompt, [256, 256] logits.
    """
    assert prompt.shape is not None
    inner = inner_point(prompt.shape, window)
    return SlidePrompt((inner,), prompt.frame), shape_mask(prompt.shape, window, boxed)


def shape_mask(
    shape: shapely.MultiPolygon, window: Window, boxed: NDArray[np.float32] | None = None
) -> NDArray[np.float32]:
    """The mask prompt for a shape.

    A model that was never trained on shapes does not follow a mask alone. It does follow its own answer to the shape's
    box, moved a little towards the shape: see `SHARE`.

    Args:
        shape: valid polygons in level-0 pixels; what lies outside the window is cut off.
        window: what the mask covers.
        boxed: [256, 256] logits, the answer to the box about the shape; None for the shape alone.

    Returns:
        [256, 256] logits.
    """
    share = _coverage(shape, window)
    soft = ndimage.gaussian_filter(MAGNITUDE * (2 * share - 1), SOFTNESS * math.sqrt(float(share.sum())))
    mask: NDArray[np.float32] = (soft if boxed is None else SHARE * soft + (1 - SHARE) * boxed).astype(np.float32)
    return mask


def inner_point(shape: shapely.MultiPolygon, window: Window) -> PromptPoint:
    """The positive point for a shape, as deep in it as can be. It is for the model only: no annotator set it."""
    inside = _coverage(shape, window) > 1 / 2
    if not inside.any():
        anywhere = shape.representative_point()
        return PromptPoint(Point(anywhere.x, anywhere.y), positive=True)
    depth = ndimage.distance_transform_edt(np.pad(inside, 1))[1:-1, 1:-1]
    row, column = np.unravel_index(int(depth.argmax()), depth.shape)
    cell = window.extent / CELLS
    return PromptPoint(
        Point(window.x + (float(column) + 0.5) * cell, window.y + (float(row) + 0.5) * cell), positive=True
    )


def _coverage(shape: shapely.MultiPolygon, window: Window) -> NDArray[np.float32]:
    """Which share of each cell is inside the shape: [256, 256]."""
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
    share: NDArray[np.float32] = inside.reshape(CELLS, _FINER, CELLS, _FINER).mean(axis=(1, 3), dtype=np.float32)
    return share
