"""Slides that the server cannot open: the client sends the pixels of exactly the windows that are needed."""

from __future__ import annotations

import math
import secrets
import threading
from collections import OrderedDict
from typing import TYPE_CHECKING

import numpy as np

from wsisam_server.core.errors import Reason, WsiSamServerError
from wsisam_server.core.pixels import PixelWindow
from wsisam_server.slides.base import SlideInfo
from wsisam_server.slides.decoding import wrong_size
from wsisam_server.slides.sampling import WHITE, Grid, sample

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from wsisam_server.core.geometry import SlideSize, Window


class PushedSlide:
    """A slide whose pixels come from the client.

    Its identity is random: pixels that one user sends are never served to another, nor found in a cache by one.
    The caller tracks which tiles it requested. Here only the size is checked.

    Args:
        size: level 0, as the client says.
        mpp: microns per level-0 pixel, as the client says; None when unknown.
        limit_bytes: the most that held tiles may take.
    """

    def __init__(self, size: SlideSize, mpp: float | None, *, limit_bytes: int) -> None:
        self._info = SlideInfo(size, mpp, (1.0,), secrets.token_hex(32), "pushed")
        self._limit = limit_bytes
        self._lock = threading.Lock()
        self._tiles: OrderedDict[PixelWindow, NDArray[np.uint8]] = OrderedDict()
        self._bytes = 0

    @property
    def info(self) -> SlideInfo:
        """See `Slide.info`; the one stored level is the client's."""
        return self._info

    def window_for(self, window: Window) -> PixelWindow | None:
        """The region to ask the client for: clipped to the slide, rounded outwards to whole level-0 pixels.

        Magnified pixels are never asked for; the server magnifies itself.

        Returns:
            None when the window lies wholly outside the slide.
        """
        size = self._info.size
        x0, x1 = _clip(window.x, window.extent, size.width)
        y0, y1 = _clip(window.y, window.extent, size.height)
        if x0 >= x1 or y0 >= y1:
            return None
        downsample = max(window.downsample, 1.0)
        tile_width, tile_height = (max(1, round(length / downsample)) for length in (x1 - x0, y1 - y0))
        return PixelWindow(x0, y0, x1 - x0, y1 - y0, tile_width, tile_height, downsample)

    def missing(self, windows: Iterable[Window]) -> list[PixelWindow]:
        """Lists the regions behind windows that are not held, each once, in the order of the windows.

        Args:
            windows: what is about to be read.
        """
        wanted = dict.fromkeys(region for region in map(self.window_for, windows) if region is not None)
        with self._lock:
            return [region for region in wanted if region not in self._tiles]

    def push(self, region: PixelWindow, tile: NDArray[np.uint8]) -> None:
        """Takes a tile that the client sent. To make room, the tiles used longest ago are let go.

        Args:
            region: as `missing` listed it.
            tile: uint8 [region.tile_height, region.tile_width, 3], RGB.

        Raises:
            WsiSamServerError: TILE_WRONG_SIZE; TOO_MANY_PIXELS when the tile alone is over the limit.
        """
        if tile.shape != (region.tile_height, region.tile_width, 3) or tile.dtype != np.uint8:
            actual = f"{' x '.join(str(side) for side in tile.shape[1::-1])}, {tile.dtype}"
            raise wrong_size(actual, f"{region.tile_width} x {region.tile_height}")
        if tile.nbytes > self._limit:
            raise WsiSamServerError(Reason.TOO_MANY_PIXELS, limit=self._limit)
        with self._lock:
            self._drop(region)
            while self._bytes + tile.nbytes > self._limit:
                self._drop(next(iter(self._tiles)))
            self._tiles[region] = tile
            self._bytes += tile.nbytes

    def read(self, window: Window) -> NDArray[np.uint8]:
        """See `Slide.read`. At the tile's own border the filter has only the tile's pixels to go by.

        Raises:
            WsiSamServerError: PIXELS_NEEDED when the window's tile is not held.
        """
        region = self.window_for(window)
        if region is None:
            return np.full((window.size, window.size, 3), WHITE, np.uint8)
        with self._lock:
            tile = self._tiles.get(region)
            if tile is None:
                raise WsiSamServerError(Reason.PIXELS_NEEDED, count=1)
            self._tiles.move_to_end(region)
        return sample(_TileLevel(region, tile), self._info.size, window)

    @property
    def nbytes(self) -> int:
        """See `Slide.nbytes`."""
        return self._bytes

    def close(self) -> None:
        """See `Slide.close`."""
        with self._lock:
            self._tiles.clear()
            self._bytes = 0

    def _drop(self, region: PixelWindow) -> None:
        tile = self._tiles.pop(region, None)
        if tile is not None:
            self._bytes -= tile.nbytes


class _TileLevel:
    def __init__(self, region: PixelWindow, tile: NDArray[np.uint8]) -> None:
        self._tile = tile
        self.grid = Grid(
            left=region.x,
            top=region.y,
            scale_x=region.width / region.tile_width,
            scale_y=region.height / region.tile_height,
            width=region.tile_width,
            height=region.tile_height,
        )

    def snap(self, x: int, y: int) -> tuple[float, float]:
        return float(x), float(y)

    def read(self, x: float, y: float, width: int, height: int) -> NDArray[np.uint8]:
        left, top = int(x), int(y)
        return self._tile[top : top + height, left : left + width]


def _clip(start: float, extent: float, length: int) -> tuple[int, int]:
    """The whole pixels of [0, length) that [start, start + extent) touches; clipped first, as it may be infinite."""
    return math.floor(max(start, 0.0)), math.ceil(min(start + extent, float(length)))
