"""Tiling: windows over a region, and the clicks in each."""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import shapely

from wsisam_server.core.errors import Reason, WsiSamServerError
from wsisam_server.core.geometry import Point, Window
from wsisam_server.core.requests import MAX_DOWNSAMPLE, MIN_DOWNSAMPLE
from wsisam_server.segmentation.fields import onto_slide

if TYPE_CHECKING:
    from collections.abc import Iterator

    from wsisam_server.core.geometry import SlideSize
    from wsisam_server.core.requests import ProposalFilter

WINDOW_SHARE = 2.0
"""Side of a window, in sizes of the largest wanted object. The default model was trained on objects of a quarter to
three quarters of what it sees: in windows of three such sizes it misses half of the nuclei that it finds in these."""

CORE_SHARE = 1.0
"""Side of the middle of a window, whose clicks are asked in it: what lies about that is there so that objects about a
click are seen whole."""

CLICKS_PER_SIZE = 1.5
"""Clicks along the middle size between the smallest and the largest (their geometric mean)."""

MIN_CLICKS_PER_SMALLEST = 0.7
"""Along the smallest size at least so many, so that few such objects lie between the clicks."""


@dataclass(frozen=True, slots=True)
class Tile:
    """A window and the clicks that are to be asked in it.

    Attributes:
        window: as far as it fits there on the slide.
        clicks: positions in the region, row by row; at least one.
    """

    window: Window
    clicks: tuple[Point, ...]


@dataclass(frozen=True, slots=True)
class Tiling:
    """All windows of a region, row by row, so that neighbours are read one after the other.

    Attributes:
        downsample: level-0 pixels per pixel of the windows.
        spacing: level-0 pixels between two clicks.
    """

    tiles: tuple[Tile, ...]
    downsample: float
    spacing: float


def tiling(
    region: shapely.MultiPolygon,
    slide: SlideSize,
    proposal_filter: ProposalFilter,
    image_size: int,
    *,
    max_windows: int,
) -> Tiling:
    """Lays windows and clicks over a region. The same place has the same windows and clicks in every region.

    Args:
        region: valid, on the slide.
        slide: the slide's size.
        proposal_filter: sizes in level-0 pixels.
        image_size: side of the model's square input in pixels.
        max_windows: most windows.

    Raises:
        WsiSamServerError: REGION_TOO_LARGE, with how many windows there would be, or more; INVALID_FIELD: sizes that no
            window can show.
    """
    smallest, largest = proposal_filter.min_size, proposal_filter.max_size
    if not MIN_DOWNSAMPLE <= WINDOW_SHARE * largest / image_size <= MAX_DOWNSAMPLE:
        raise WsiSamServerError(
            Reason.INVALID_FIELD, field="filter.max_size", problem="no model can read a slide at that scale"
        )
    core = CORE_SHARE * largest
    extent = WINDOW_SHARE * largest
    widest = min(
        math.sqrt(smallest * largest) / CLICKS_PER_SIZE,
        smallest / MIN_CLICKS_PER_SMALLEST,
    )
    across = math.ceil(core / widest)
    offsets = (np.arange(across) + 0.5) * core / across
    shapely.prepare(region)
    found: defaultdict[Window, list[Point]] = defaultdict(list)
    for column, row in _cores(region, core, max_windows):
        xs, ys = (grid.ravel() for grid in np.meshgrid(column * core + offsets, row * core + offsets))
        inside = shapely.contains_xy(region, xs, ys)
        if inside.any():
            # At the slide's border several cores share one window.
            window = _window((column + 0.5) * core, (row + 0.5) * core, extent, slide, image_size)
            found[window] += [Point(x, y) for x, y in zip(xs[inside].tolist(), ys[inside].tolist(), strict=True)]
    if not found:
        # So small that it lies between the clicks.
        inner = region.point_on_surface()
        found[_window(inner.x, inner.y, extent, slide, image_size)].append(Point(inner.x, inner.y))
    tiles = tuple(Tile(window, tuple(clicks)) for window, clicks in found.items())
    return Tiling(tiles, extent / image_size, core / across)


def _window(x: float, y: float, extent: float, slide: SlideSize, image_size: int) -> Window:
    """The window about a point, as far as it fits there on the slide."""
    left = onto_slide(x - extent / 2, extent, slide.width)
    top = onto_slide(y - extent / 2, extent, slide.height)
    return Window(left, top, extent / image_size, image_size)


def _cores(region: shapely.MultiPolygon, core: float, limit: int) -> list[tuple[int, int]]:
    """Columns and rows of the squares of a grid that the region meets, row by row.

    Halves what may hold some again and again: a thin region across a whole slide meets few of the millions about it.
    """
    x0, y0, x1, y1 = region.bounds
    first = math.floor(x0 / core), math.floor(y0 / core)
    count = max(math.floor(x1 / core) - first[0], math.floor(y1 / core) - first[1]) + 1
    met: list[tuple[int, int]] = []

    def look(column: int, row: int, side: int) -> None:
        square = shapely.box(column * core, row * core, (column + side) * core, (row + side) * core)
        if not shapely.intersects(region, square):
            return
        if side > 1:
            for dx, dy in ((0, 0), (1, 0), (0, 1), (1, 1)):
                look(column + dx * side // 2, row + dy * side // 2, side // 2)
            return
        met.append((column, row))
        if len(met) > limit:
            raise WsiSamServerError(
                Reason.REGION_TOO_LARGE, limit=limit, needed=max(math.ceil(region.area / core**2), limit + 1)
            )

    look(*first, 2 ** math.ceil(math.log2(count)) if count > 1 else 1)
    return sorted(met, key=lambda place: place[::-1])


def boxes(tiles: tuple[Tile, ...]) -> Iterator[shapely.Polygon]:
    """The squares that the windows cover."""
    for tile in tiles:
        region = tile.window.region
        yield shapely.box(region.x0, region.y0, region.x1, region.y1)
