"""Windows over a region that depend on the objects' size in steps only, so that a second round meets the same ones."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

import numpy as np
import shapely

from wsisam_server.core.errors import Reason, WsiSamServerError
from wsisam_server.core.geometry import Window
from wsisam_server.core.requests import MAX_DOWNSAMPLE, MIN_DOWNSAMPLE
from wsisam_server.segmentation.fields import onto_slide

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from wsisam_server.core.geometry import Point, SlideSize

OBJECTS_ACROSS: Final = 9.0
"""Side of a window in sizes of an object. By boxes the model outlines objects of a thirteenth of the window as well as
larger ones, and each window is an encoder run."""

FEWEST_ACROSS: Final = 6.0
MOST_ACROSS: Final = 14.0
"""At which a window that is encoded already is still as good."""

SCALES_PER_OCTAVE: Final = 2

STRIDE: Final = 27 / 32
"""Distance between two windows as a share of their side. What they have in common holds an object whole."""


def scales(size: float, slide: SlideSize, image_size: int) -> list[float]:
    """Downsamples at which objects of a size may be looked for, the best first.

    Args:
        size: of an object, level-0 pixels.
        slide: the slide's size.
        image_size: side of the model's square input in pixels.
    """
    whole = float(max(slide.width, slide.height))
    wanted = min(OBJECTS_ACROSS * size, whole) / image_size
    step = round(SCALES_PER_OCTAVE * math.log2(wanted))
    found = []
    for near in (step, step - 1, step + 1, step - 2, step + 2):
        downsample = 2 ** (near / SCALES_PER_OCTAVE)
        across = downsample * image_size / size
        fits = FEWEST_ACROSS <= across <= MOST_ACROSS
        if MIN_DOWNSAMPLE <= downsample <= MAX_DOWNSAMPLE and (near == step or fits):
            found.append(downsample)
    return found


def lattice(
    region: shapely.MultiPolygon, slide: SlideSize, downsample: float, image_size: int, *, max_windows: int
) -> list[Window]:
    """The windows of the slide's lattice that together show all of a region, row by row.

    Args:
        region: valid, on the slide.
        slide: the slide's size.
        downsample: from `scales`.
        image_size: side of the model's square input in pixels.
        max_windows: most windows.

    Raises:
        WsiSamServerError: REGION_TOO_LARGE.
    """
    extent = downsample * image_size
    x0, y0, x1, y1 = region.bounds
    columns, rows = _reached(x0, x1, extent, slide.width), _reached(y0, y1, extent, slide.height)
    # A thin region across a whole slide meets few of the windows about it: rows of windows are cut out of it first.
    shapely.prepare(region)
    found: dict[Window, None] = {}
    for top in rows:
        band = shapely.box(x0, top, x1, top + extent)
        if not shapely.intersects(region, band):
            continue
        for left in columns:
            if shapely.intersects(region, shapely.box(left, top, left + extent, top + extent)):
                found[Window(left, top, downsample, image_size)] = None
                if len(found) > max_windows:
                    needed = max(math.ceil(region.area / (STRIDE * extent) ** 2), max_windows + 1)
                    raise WsiSamServerError(Reason.REGION_TOO_LARGE, limit=max_windows, needed=needed)
    return list(found)


def window_over(place: Point, slide: SlideSize, downsample: float, image_size: int) -> Window:
    """Of the lattice's windows that in which a place lies farthest from the edges."""
    extent = downsample * image_size
    left = min(_reached(place.x, place.x, extent, slide.width), key=lambda edge: abs(edge + extent / 2 - place.x))
    top = min(_reached(place.y, place.y, extent, slide.height), key=lambda edge: abs(edge + extent / 2 - place.y))
    return Window(left, top, downsample, image_size)


def inner_distance(
    window: Window, xs: NDArray[np.float64], ys: NDArray[np.float64], slide: SlideSize
) -> NDArray[np.float64]:
    """How far places lie from those edges of a window beyond which the slide goes on."""
    extent = window.extent

    def along(at: NDArray[np.float64], edge: float, limit: int) -> NDArray[np.float64]:
        low = at - edge if edge > 0 else np.full_like(at, np.inf)
        high = edge + extent - at if edge + extent < limit else np.full_like(at, np.inf)
        return np.minimum(low, high)

    return np.minimum(along(xs, window.x, slide.width), along(ys, window.y, slide.height))


def _reached(low: float, high: float, extent: float, limit: int) -> list[float]:
    """Left (or top) edges of the lattice's windows that meet an interval; the last one is moved onto the slide."""
    return sorted(set(_edges(low, high, extent, limit)))


def _edges(low: float, high: float, extent: float, limit: int) -> Iterator[float]:
    stride = STRIDE * extent
    last = max(math.ceil((limit - extent) / stride), 0)
    first = min(max(math.floor((low - extent) / stride), 0), last)
    for number in range(first, last + 1):
        edge = onto_slide(number * stride, extent, limit)
        if edge > high and number > first:
            return
        if edge + extent >= low:
            yield edge
