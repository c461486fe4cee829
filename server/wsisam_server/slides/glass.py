"""Where on a small window of a slide there is glass: each window by its own pixels, all of a slide by one threshold."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

import numpy as np

from wsisam_server.geometry import Point, Window
from wsisam_server.slides.tissue import GLASS, Tissue, colour, divided

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from wsisam_server.slides.base import SlideInfo

PATCHES: Final = 16
"""Patches along the longer side of a slide that are looked at, to know how much colour its glass has."""

PATCH: Final = 64
"""Stored pixels along a patch: a million in all, whatever the slide's size and levels; of a pyramid's top, most."""

SMOOTHED: Final = 5
"""Pixels of a patch over which colour is averaged."""

TINTED: Final = 16
"""What has more colour than this is not glass: the palest tissue has some 20."""

LEAST: Final = 0.005
"""Share of a slide that has colour, if it has any: less is a mark or a scale bar on a picture of greys."""


def overview(slide: SlideInfo) -> list[list[Window]]:
    """Patches all over a slide, row by row, on the coarsest stored level that does: for `glass_threshold`."""
    width, height = slide.size.width, slide.size.height
    cell = max(width, height) / PATCHES
    downsample = max((each for each in slide.downsamples if each <= cell / PATCH), default=slide.downsamples[0])
    xs, ys = ((np.arange(count) + 0.5) / count for count in (math.ceil(width / cell), math.ceil(height / cell)))
    return [[Window.about(Point(x * width, y * height), downsample, PATCH) for x in xs.tolist()] for y in ys.tolist()]


def glass_threshold(patches: Sequence[NDArray[np.uint8]]) -> float | None:
    """How much colour there is on a slide's glass at most.

    Where there is any doubt it is little: glass that is taken for tissue costs time, tissue that is taken for glass is
    lost. Twice the colour that the glass has in the middle; strong stains elsewhere on the slide do not count.

    Args:
        patches: uint8 [n, n, 3], those of `overview` that can be read.

    Returns:
        None where glass cannot be told from tissue: next to nothing has more.
    """
    if not patches:
        return None
    colours = np.stack([colour(patch, SMOOTHED) for patch in patches])
    pale = colours[colours <= divided(colours)]
    threshold = min(max(2 * float(np.median(pale)) if pale.size else 0, GLASS), TINTED)
    return threshold if (colours > threshold).mean() >= LEAST else None


def tissue_in(window: Window, pixels: NDArray[np.uint8], smallest: float, threshold: float) -> Tissue:
    """Looks for tissue in a window, so that a single object of some size is not overlooked.

    Colour is averaged over squares of half that size: they fit into the object, and noise and dust are lost in them.

    Args:
        window: where.
        pixels: uint8 [window.size, window.size, 3].
        smallest: size of the objects, the diameter of the circle of their area, in level-0 pixels.
        threshold: from `glass_threshold`.
    """
    side = max(round(smallest / 2 / window.downsample), 1)
    return Tissue(colour(pixels, side) > threshold, window.downsample, Point(window.x, window.y))
