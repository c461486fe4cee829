"""Slides in tiled TIFF files that OpenSlide does not read, or not rightly: levels below a page, channels in pages."""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, Any, Final

import numpy as np

from wsisam_server.core.cancellation import WorkCancelledError, checkpoint
from wsisam_server.core.errors import Reason, WsiSamServerError
from wsisam_server.core.geometry import SlideSize
from wsisam_server.slides.base import DamagedRegionError, SlideInfo
from wsisam_server.slides.calibration import tiff_axes
from wsisam_server.slides.fingerprint import file_fingerprint
from wsisam_server.slides.sampling import WHITE, Grid, best_level, sample
from wsisam_server.slides.tiff.pages import EXTRA_SAMPLES, LARGEST_BYTES, UNASSOCIATED
from wsisam_server.slides.tiff.segments import decode_segment

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from wsisam_server.core.geometry import Window
    from wsisam_server.slides.file import SlideFile
    from wsisam_server.slides.tiff.layout import Layout, PyramidLevel
    from wsisam_server.slides.tiff.pages import Page

TILE_CACHE_BYTES: Final = 64 * 1024 * 1024
"""Decoded tiles, for all slides together; see OpenSlide's, of which these files make no use."""


class TiffSource:
    """A slide read tile by tile from a TIFF file.

    Args:
        path: the file.
        layout: what `read_layout` found in it; tiled.
        most_pixels: see `sampling.sample`.
        file: what keeps `path` what it is, for as long as this or a read in it lives.

    Raises:
        WsiSamServerError: SLIDE_UNREADABLE.
    """

    def __init__(
        self, path: Path, layout: Layout, most_pixels: int | None = None, file: SlideFile | None = None
    ) -> None:
        self._path = path
        self._held = file
        self._layout = layout
        self._most_pixels = most_pixels
        self._closed = False
        self._key = object()
        width, height = layout.main.size
        self._size = SlideSize(width, height)
        self._grids = tuple(_grid(level, self._size) for level in layout.levels)
        axes = tiff_axes(layout.main.tags)
        with self._open() as opened:
            self._signature = _signature(opened)
            for index in range(len(layout.levels)):
                _try(self._level(index, opened))
        self._info = SlideInfo(
            size=self._size,
            mpp=None if axes is None else axes.mean,
            downsamples=tuple((grid.scale_x + grid.scale_y) / 2 for grid in self._grids),
            fingerprint=file_fingerprint(path),
            source="tiff",
            axes=axes,
        )

    @property
    def info(self) -> SlideInfo:
        """See `Slide.info`."""
        return self._info

    @property
    def nbytes(self) -> int:
        """See `Slide.nbytes`."""
        return 0

    def read(self, window: Window) -> NDArray[np.uint8]:
        """See `Slide.read`.

        Raises:
            DamagedRegionError: the file is damaged there.
            WsiSamServerError: SLIDE_UNREADABLE when the file is gone or was replaced.
            ValueError: the slide is closed.
        """
        if self._closed:
            raise ValueError("the slide is closed")
        level = best_level(self._grids, window.downsample)
        with self._open() as file:
            now = _signature(file)
            if now != self._signature:
                # Another time alone is no error.
                if file_fingerprint(self._path) != self._info.fingerprint:
                    raise WsiSamServerError(Reason.SLIDE_UNREADABLE, private="replaced while open", path=self._path)
                self._signature = now
            try:
                return sample(self._level(level, file), self._size, window, self._most_pixels)
            except (WsiSamServerError, MemoryError, WorkCancelledError):
                raise
            except Exception as error:
                raise DamagedRegionError(window, private=repr(error), path=self._path) from error

    def close(self) -> None:
        """See `Slide.close`."""
        self._closed = True

    def _level(self, index: int, file: IO[bytes]) -> _StoredLevel:
        return _StoredLevel(self._layout.levels[index], file, (self._key, index), self._grids[index])

    @contextmanager
    def _open(self) -> Iterator[IO[bytes]]:
        try:
            with self._path.open("rb") as file:
                yield file
        except (WsiSamServerError, MemoryError, WorkCancelledError):
            raise
        except Exception as error:
            # Anything can come out of a decoder that is fed damaged bytes: struct.error, zlib.error, IndexError ...
            raise WsiSamServerError(Reason.SLIDE_UNREADABLE, private=repr(error), path=self._path) from error


class _StoredLevel:
    """One level, read through an open file. Its tiles are kept under `key`, unless that is None."""

    def __init__(self, level: PyramidLevel, file: IO[bytes], key: object, grid: Grid | None = None) -> None:
        self._pages = level.pages
        self._file = file
        self._key = key
        self.grid = grid or Grid(0.0, 0.0, 1.0, 1.0, *level.stored_size)

    def snap(self, x: int, y: int) -> tuple[float, float]:
        return float(x), float(y)

    def read(self, x: float, y: float, width: int, height: int) -> NDArray[np.uint8]:
        left, top = int(x), int(y)
        tile_width, tile_height = self._pages[0].segment
        pixels = np.empty((height, width, 3), np.uint8)
        for row in range(top // tile_height, -(-(top + height) // tile_height)):
            for column in range(left // tile_width, -(-(left + width) // tile_width)):
                checkpoint()
                x0, y0 = column * tile_width, row * tile_height
                inside_x = slice(max(left, x0), min(left + width, x0 + tile_width))
                inside_y = slice(max(top, y0), min(top + height, y0 + tile_height))
                pixels[_moved(inside_y, top), _moved(inside_x, left)] = self._tile(column, row)[
                    _moved(inside_y, y0), _moved(inside_x, x0)
                ]
        return pixels

    def _tile(self, column: int, row: int) -> NDArray[np.uint8]:
        key = (self._key, column, row)
        tile = None if self._key is None else _tiles.get(key)
        if tile is None:
            tile = self._decoded(column, row)
            if self._key is not None:
                _tiles.put(key, tile)
        return tile

    def _decoded(self, column: int, row: int) -> NDArray[np.uint8]:
        """uint8 [tile height, tile width, 3]."""
        first = self._pages[0]
        across, down = (-(-side // tile) for side, tile in zip(first.size, first.segment, strict=True))
        index = row * across + column
        if len(self._pages) > 1:
            return np.dstack([self._segment(page, index)[..., 0] for page in self._pages])
        if first.is_planar:
            # All tiles of the first sample come first.
            planes = [self._segment(first, sample * across * down + index)[..., 0] for sample in range(first.samples)]
            return _from_planes(planes, first)
        return self._segment(first, index)

    def _segment(self, page: Page, index: int) -> NDArray[np.uint8]:
        width, height = page.segment
        if not page.is_tiled:
            # The last strip holds what is left.
            height = min(height, page.size[1] - index % -(-page.size[1] // height) * height)
        offset, count = map(int, page.spans[index]) if index < len(page.spans) else (0, 0)
        if not count:
            # A sparse file: nothing was stored there, which is background.
            return np.full((height, width, 3), WHITE, np.uint8)
        if count > LARGEST_BYTES:
            raise ValueError(f"a tile of {count} bytes")
        self._file.seek(offset)
        data = self._file.read(count)
        if len(data) != count:
            raise ValueError("the file ends within a tile")
        return decode_segment(page, data, width, height)


def _from_planes(planes: list[NDArray[np.uint8]], page: Page) -> NDArray[np.uint8]:
    colours = page.samples - 1 if page.has_alpha else min(page.samples, 3)
    rgb = np.dstack(planes[:3] if colours > 1 else [planes[0]] * 3)
    if not page.has_alpha:
        return rgb
    share = planes[colours][..., np.newaxis].astype(np.float32) / WHITE
    straight = rgb * share if page.all(EXTRA_SAMPLES)[0] == UNASSOCIATED else rgb
    return np.clip(np.rint(straight + WHITE * (1 - share)), 0, WHITE).astype(np.uint8)


def _moved(part: slice, by: int) -> slice:
    return slice(part.start - by, part.stop - by)


class _Tiles:
    """The decoded tiles that were used last, within a limit on their bytes. From any thread."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._lock = threading.Lock()
        self._held: OrderedDict[Any, NDArray[np.uint8]] = OrderedDict()
        self._bytes = 0

    def get(self, key: Any) -> NDArray[np.uint8] | None:
        with self._lock:
            tile = self._held.get(key)
            if tile is not None:
                self._held.move_to_end(key)
            return tile

    def put(self, key: Any, tile: NDArray[np.uint8]) -> None:
        if tile.nbytes > self._limit:
            return
        with self._lock:
            if key not in self._held:
                self._held[key] = tile
                self._bytes += tile.nbytes
            while self._bytes > self._limit:
                self._bytes -= self._held.popitem(last=False)[1].nbytes


_tiles = _Tiles(TILE_CACHE_BYTES)


def _grid(level: PyramidLevel, size: SlideSize) -> Grid:
    """Where a level lies, without what its tiles are filled up with."""
    width, height = level.stored_size
    return Grid(
        0.0,
        0.0,
        level.downsample_x,
        level.downsample_y,
        min(width, -int(-size.width // level.downsample_x)),
        min(height, -int(-size.height // level.downsample_y)),
    )


def _signature(file: IO[bytes]) -> tuple[int, int, int, int]:
    status = os.fstat(file.fileno())
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns


def _try(level: _StoredLevel) -> None:
    """Reads a pixel here and there: of a level of which nothing can be decoded, that is said when it is opened.

    Raises:
        Exception: whatever a decoder raises, when each of the places is damaged.
    """
    width, height = level.grid.width, level.grid.height
    places = dict.fromkeys(((width // 2, height // 2), (0, 0), (width - 1, height - 1), (width - 1, 0)))
    for number, (x, y) in enumerate(places, 1):
        try:
            level.read(x, y, 1, 1)
        except WorkCancelledError:
            raise
        except Exception:
            if number == len(places):
                raise
        else:
            return


def read_whole(path: Path, layout: Layout) -> NDArray[np.uint8]:
    """Decodes the slide's page, or its three, strip by strip or tile by tile: uint8 [height, width, 3], RGB.

    Raises:
        WorkCancelledError: see `cancellation.checkpoint`.
        Exception: whatever a decoder raises that is fed damaged bytes.
    """
    with path.open("rb") as file:
        return _StoredLevel(layout.levels[0], file, None).read(0, 0, *layout.main.size)
