"""Resamples a window from one stored raster: registered to sub-pixel accuracy, with bounded memory.

A window is filled in two steps. The stored pixels are read piece by piece and averaged in whole blocks until at most
`_FINEST_RATIO` times two cells are left per output pixel; PIL's bicubic filter, antialiased when it shrinks, then
takes them to the output grid. The first step bounds the memory whatever the downsample, the second one places the
result. (PIL calls the same trick `reducing_gap`, but needs the whole image in memory.)
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np
from PIL import Image

from wsisam_server.core.cancellation import checkpoint
from wsisam_server.core.errors import Reason, WsiSamServerError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from wsisam_server.core.geometry import SlideSize, Window

WHITE = 255

# Side of the largest region asked of a stored level at once: 20 MiB as RGBA. Room for 1024 output pixels at downsample
# 2 with the margin that the filter wants, so that the commonest windows take one piece.
PIECE = 2304

# Cells per output pixel, at the least, that block averaging leaves to the bicubic filter. Below two the blocks'
# own positions would begin to show.
_FINEST_RATIO = 2.0

# The bicubic kernel reaches two output pixels, or two cells when magnifying.
_KERNEL_RADIUS = 2

# PIL keeps the source box in float32 and refuses an empty one. Over a thousandth of a cell the picture is constant
# to 8 bits, so a narrower box may be widened to it.
_NARROWEST_BOX = 2.0**-10


@dataclass(frozen=True, slots=True)
class Grid:
    """Where a stored raster lies: its pixel j covers [left + j * scale_x, left + (j + 1) * scale_x) at level 0.

    Attributes:
        left: left edge of the raster in slide coordinates.
        top: top edge of the raster in slide coordinates.
        scale_x: level-0 pixels per stored pixel along x.
        scale_y: level-0 pixels per stored pixel along y.
        width: stored pixels along x.
        height: stored pixels along y.
    """

    left: float
    top: float
    scale_x: float
    scale_y: float
    width: int
    height: int


class RasterLevel(Protocol):
    """A stored raster that can be read in pieces."""

    @property
    def grid(self) -> Grid:
        """Where the raster lies."""
        ...

    def snap(self, x: int, y: int) -> tuple[float, float]:
        """The position nearest to (x, y), and not beyond it, at which `read` samples exactly; stored pixels."""
        ...

    def read(self, x: float, y: float, width: int, height: int) -> NDArray[np.uint8]:
        """Reads stored pixels from (x, y), a snapped position plus whole pixels: uint8 [height, width, 3], RGB."""
        ...


# A stored downsample may pass the one asked for by this much: levels are rarely exact (2.0005), and one percent of
# magnification shows less than reading four times the pixels costs.
_LEVEL_TOLERANCE = 1.01


def best_level(grids: Sequence[Grid], downsample: float) -> int:
    """The coarsest of a slide's levels that serves a downsample; the first where none does."""
    fits = [
        index for index, grid in enumerate(grids) if max(grid.scale_x, grid.scale_y) <= downsample * _LEVEL_TOLERANCE
    ]
    return max(fits, key=lambda index: grids[index].scale_x, default=0)


def sample(level: RasterLevel, size: SlideSize, window: Window, most_pixels: int | None = None) -> NDArray[np.uint8]:
    """Reads a window from a stored raster. The contract is that of `Slide.read`.

    Args:
        level: the raster; should be no coarser than the window.
        size: the slide; what the window covers beyond it is white.
        window: what to read.
        most_pixels: stored pixels that may be read for it; None for any number.

    Returns:
        uint8 [window.size, window.size, 3], RGB, axes y, x, channel.

    Raises:
        WsiSamServerError: VIEW_TOO_COARSE when it takes more than `most_pixels`; nothing was read then.
        WorkCancelledError: see `cancellation.checkpoint`, which is called between pieces.
    """
    patch = np.full((window.size, window.size, 3), WHITE, np.uint8)
    share_x = _shares(window.x, window.downsample, window.size, size.width)
    share_y = _shares(window.y, window.downsample, window.size, size.height)
    columns, rows = np.flatnonzero(share_x), np.flatnonzero(share_y)
    if not columns.size or not rows.size:
        return patch
    inside_x = slice(int(columns[0]), int(columns[-1]) + 1)
    inside_y = slice(int(rows[0]), int(rows[-1]) + 1)
    grid = level.grid
    x = _Axis.plan(
        origin=grid.left,
        scale=grid.scale_x,
        length=grid.width,
        slide=size.width,
        position=window.x,
        downsample=window.downsample,
        inside=inside_x,
    )
    y = _Axis.plan(
        origin=grid.top,
        scale=grid.scale_y,
        length=grid.height,
        slide=size.height,
        position=window.y,
        downsample=window.downsample,
        inside=inside_y,
    )
    _check_pixels(grid, window, (x.stop - x.first) * (y.stop - y.first), most_pixels)
    content = _resample(level, x, y)
    share = np.outer(share_y[inside_y], share_x[inside_x])[..., np.newaxis]
    if share.min() < 1:
        content = np.rint(WHITE - share * (WHITE - content.astype(np.float64))).astype(np.uint8)
    patch[inside_y, inside_x] = content
    return patch


def _check_pixels(grid: Grid, window: Window, pixels: int, most_pixels: int | None) -> None:
    if most_pixels is not None and pixels > most_pixels:
        raise WsiSamServerError(
            Reason.VIEW_TOO_COARSE,
            downsample=f"{window.downsample:.4g}",
            coarsest=f"{max(grid.scale_x, grid.scale_y):.4g}",
            # A little less than what would do, wherever the window lies; the filter reads beyond it.
            finest=f"{max(grid.scale_x, grid.scale_y) * 0.98 * most_pixels**0.5 / (window.size + 6):.4g}",
            pixels=pixels,
            limit=most_pixels,
        )


def _shares(start: float, downsample: float, count: int, length: int) -> NDArray[np.float64]:
    """The part of each output pixel that lies on the slide, along one axis: float64 [count] in [0, 1]."""
    # In output pixels, not slide coordinates: there a tiny downsample would vanish beside a large offset.
    index = np.arange(count)
    begin, end = (0.0 - start) / downsample, (length - start) / downsample
    return np.asarray(np.clip(end - index, 0, 1) - np.clip(begin - index, 0, 1), np.float64)


@dataclass(frozen=True, slots=True)
class _Axis:
    """One axis of a read. All in stored pixels.

    Attributes:
        first: the first pixel that matters.
        stop: one beyond the last pixel that matters.
        start: where the output begins.
        step: stored pixels per output pixel.
        count: output pixels.
        length: stored pixels in the whole raster.
    """

    first: int
    stop: int
    start: float
    step: float
    count: int
    length: int

    @classmethod
    def plan(
        cls, *, origin: float, scale: float, length: int, slide: int, position: float, downsample: float, inside: slice
    ) -> _Axis:
        """Plans the output pixels `inside` of a window at `position`, all of which touch the slide."""
        step = downsample / scale
        start = (position - origin) / scale + inside.start * step
        count = inside.stop - inside.start
        # Stored pixels as they are: no filter, so no neighbour, whose tile may be damaged and takes time to decode.
        is_copy = step == 1.0 and start == math.floor(start)
        margin = 0.0 if is_copy else _KERNEL_RADIUS * max(step, 1.0) + 1
        # Beyond the slide a raster may hold padding, which must not bleed in.
        lowest = max(0, math.floor(-origin / scale))
        highest = max(lowest + 1, min(length, math.ceil((slide - origin) / scale)))
        first = min(max(math.floor(start - margin), lowest), highest - 1)
        # A product that overflows to infinity means "to the end".
        stop = math.ceil(min(start + count * step + margin, highest))
        return cls(first, max(stop, first + 1), start, step, count, length)


def _resample(level: RasterLevel, x: _Axis, y: _Axis) -> NDArray[np.uint8]:
    """Reads and resizes the planned region: uint8 [y.count, x.count, 3]."""
    left, top = level.snap(x.first, y.first)
    width = min(math.ceil(x.stop - left), math.floor(x.length - left))
    height = min(math.ceil(y.stop - top), math.floor(y.length - top))
    step = min(x.step, y.step)
    block = min(_blocks(step), PIECE)
    cells = _read_blocks(level, left, top, width, height, block=block)
    again = _blocks(step / block)
    if again > 1:
        # A factor past the raster's sides does what the sides do: one cell, the mean of all.
        cells = np.asarray(Image.fromarray(cells).reduce(min(again, max(cells.shape[:2]))))
    cell = float(block) * again
    x0, x1, pad_x = _box((x.start - left) / cell, x.count * (x.step / cell), cells.shape[1])
    y0, y1, pad_y = _box((y.start - top) / cell, y.count * (y.step / cell), cells.shape[0])
    if any(pad_x) or any(pad_y):
        cells = np.pad(cells, (pad_y, pad_x, (0, 0)), mode="edge")
    box = (x0 + pad_x[0], y0 + pad_y[0], x1 + pad_x[0], y1 + pad_y[0])
    return np.asarray(Image.fromarray(cells).resize((x.count, y.count), Image.Resampling.BICUBIC, box=box))


def _blocks(step: float) -> int:
    """Side of the blocks to average, for a step in pixels."""
    return max(1, math.floor(step / _FINEST_RATIO))


def _box(start: float, extent: float, length: int) -> tuple[float, float, tuple[int, int]]:
    """The source interval in cells, and by how many cells the raster must be extended before and after to hold it."""
    stop = start + max(extent, _NARROWEST_BOX)
    return start, stop, (max(0, math.ceil(-start)), max(0, math.ceil(stop - length)))


def _read_blocks(
    level: RasterLevel, left: float, top: float, width: int, height: int, *, block: int
) -> NDArray[np.uint8]:
    """Reads a region as means of block x block pixels: uint8 [ceil(height / block), ceil(width / block), 3].

    A block across the region's end is the mean of the pixels that are there.
    """
    piece = PIECE - PIECE % block
    cells = np.empty((-(-height // block), -(-width // block), 3), np.uint8)
    for y in range(0, height, piece):
        for x in range(0, width, piece):
            checkpoint()
            pixels = level.read(left + x, top + y, min(piece, width - x), min(piece, height - y))
            if block > 1:
                pixels = np.asarray(Image.fromarray(pixels).reduce(block))
            row, column = y // block, x // block
            cells[row : row + pixels.shape[0], column : column + pixels.shape[1]] = pixels
    return cells
