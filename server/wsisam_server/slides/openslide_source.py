"""Slides that OpenSlide opens: the vendors' formats, DICOM and tiled TIFF.

Label and macro images are never read: they show names and numbers of patients.
"""

from __future__ import annotations

import functools
import threading
from contextlib import contextmanager
from dataclasses import dataclass, replace
from math import ceil
from typing import TYPE_CHECKING

import numpy as np
import openslide

from wsisam_server.core.errors import Reason, WsiSamServerError
from wsisam_server.core.geometry import SlideSize
from wsisam_server.core.pixel_size import Axes, plausible_axes
from wsisam_server.slides.base import DamagedRegionError, SlideInfo
from wsisam_server.slides.calibration import ome_axes
from wsisam_server.slides.cost import TooCostlyError
from wsisam_server.slides.fingerprint import slide_fingerprint
from wsisam_server.slides.sampling import WHITE, Grid, best_level, sample
from wsisam_server.slides.tiff.guard import TileGuard
from wsisam_server.slides.unreadable import unreadable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from wsisam_server.core.geometry import Window
    from wsisam_server.slides.file import SlideFile
    from wsisam_server.slides.tiff import Layout as TiffLayout

# Decoded tiles, for all slides together. Neighbouring windows share tiles, and a huge window is read in pieces whose
# borders cross tiles: a few hundred of 256 x 256 do for both. Windows that come again are cached as embeddings.
TILE_CACHE_BYTES = 128 * 1024 * 1024


class OpenSlideSource:
    """A slide read through OpenSlide.

    Args:
        path: a file that OpenSlide detects; of a DICOM set any one.
        file: what keeps `path` what it is, for as long as this or a read in it lives.
        tiff: what a generic TIFF file says of its levels; all of OpenSlide's without it.
        most_pixels: see `sampling.sample`.

    Raises:
        WsiSamServerError: SLIDE_UNREADABLE when OpenSlide cannot open it.
    """

    def __init__(
        self,
        path: Path,
        file: SlideFile | None = None,
        tiff: TiffLayout | None = None,
        most_pixels: int | None = None,
    ) -> None:
        self._path = path
        self._most_pixels = most_pixels
        self._lock = threading.Lock()
        with _errors_as_unreadable(path):
            handle = _open(path)
            self._layout = _Layout.of(handle, tiff)
            self._guard = TileGuard(path, handle.level_dimensions)
            axes = _axes(handle.properties)
            self._info = SlideInfo(
                size=self._layout.size,
                mpp=None if axes is None else axes.mean,
                downsamples=tuple((grid.scale_x + grid.scale_y) / 2 for grid in self._layout.grids),
                fingerprint=slide_fingerprint(path, handle),
                source=f"openslide:{handle.properties[openslide.PROPERTY_NAME_VENDOR]}",
                frame_origin=self._layout.origin,
                axes=axes,
            )
            self._series: str = handle.properties.get("dicom.SeriesInstanceUID", "")
        self._handle: openslide.OpenSlide | None = handle
        self._closed = False
        self._file = file

    @property
    def info(self) -> SlideInfo:
        """See `Slide.info`."""
        return self._info

    @property
    def series(self) -> str:
        """The DICOM SeriesInstanceUID; empty for other formats."""
        return self._series

    def set_content(self, content: str) -> None:
        """Takes note of what a set of files holds; before anybody asks for `info`."""
        self._info = replace(self._info, content=content)

    @property
    def nbytes(self) -> int:
        """See `Slide.nbytes`."""
        return 0

    def read(self, window: Window) -> NDArray[np.uint8]:
        """See `Slide.read`. Reads from the coarsest level that is no coarser than the window.

        Raises:
            DamagedRegionError: the file is damaged there.
            WsiSamServerError: SLIDE_UNREADABLE when the file is gone or was replaced.
            ValueError: the slide is closed.
        """
        with self._lock:
            if self._closed:
                raise ValueError("the slide is closed")
            handle = self._handle
        if handle is not None:
            try:
                return self._sample(handle, window)
            except openslide.OpenSlideError:
                # A handle is of no use after an error, which may have been another thread's. It is dropped, not
                # closed: others may be inside it. Only a handle of this read's own can tell whether the fault is here.
                self._replace(handle, None)
        with _errors_as_unreadable(self._path):
            fresh = _open(self._path)
            if slide_fingerprint(self._path, fresh) != self._info.fingerprint:
                raise WsiSamServerError(Reason.SLIDE_UNREADABLE, private="replaced while open", path=self._path)
        try:
            patch = self._sample(fresh, window)
        except openslide.OpenSlideError as error:
            raise DamagedRegionError(window, private=repr(error), path=self._path) from error
        self._replace(None, fresh)
        return patch

    def close(self) -> None:
        """See `Slide.close`. A read in progress keeps its handle, which OpenSlide closes when the read lets go."""
        with self._lock:
            self._closed = True
            self._handle = None

    def _replace(self, old: openslide.OpenSlide | None, new: openslide.OpenSlide | None) -> None:
        with self._lock:
            if self._handle is old and not self._closed:
                self._handle = new

    def _sample(self, handle: openslide.OpenSlide, window: Window) -> NDArray[np.uint8]:
        level = self._layout.best_level(window.downsample)
        stored = _StoredLevel(handle, level, self._layout, self._guard)
        try:
            return sample(stored, self._layout.size, window, self._most_pixels)
        except TooCostlyError as error:
            raise DamagedRegionError(window, private=str(error), path=self._path) from error


@dataclass(frozen=True, slots=True)
class _Layout:
    """The geometry of a slide's levels.

    Attributes:
        origin: where slide coordinates start, in OpenSlide's level-0 pixels.
        size: the slide.
        numbers: of the levels, as OpenSlide counts them.
        grids: of each level, in slide coordinates.
        downsamples: what OpenSlide multiplies a level's pixels by to place them.
        background: what shows where a level has no pixels: float32 [3], RGB.
    """

    origin: tuple[int, int]
    size: SlideSize
    numbers: tuple[int, ...]
    grids: tuple[Grid, ...]
    downsamples: tuple[float, ...]
    background: NDArray[np.float32]

    @classmethod
    def of(cls, handle: openslide.OpenSlide, tiff: TiffLayout | None) -> _Layout:
        x, y, size = _bounds(handle)
        full_width, full_height = handle.dimensions
        wanted = None if tiff is None else list(tiff.levels)
        numbers, grids = [], []
        for number, (width, height) in enumerate(handle.level_dimensions):
            if wanted is None:
                scale_x, scale_y = _scales(full_width, full_height, width, height)
            else:
                # Both lists descend in size, and this one is the shorter.
                if not wanted or wanted[0].stored_size != (width, height):
                    continue
                level = wanted.pop(0)
                scale_x, scale_y = level.downsample_x, level.downsample_y
            numbers.append(number)
            # Without the padding up to whole tiles.
            inside = min(width, ceil(full_width / scale_x)), min(height, ceil(full_height / scale_y))
            grids.append(Grid(float(-x), float(-y), scale_x, scale_y, *inside))
        if not numbers:
            raise openslide.OpenSlideError("none of the levels that the file describes")
        downsamples = tuple(handle.level_downsamples[number] for number in numbers)
        background = _background(handle.properties)
        return cls((x, y), size, tuple(numbers), tuple(grids), downsamples, background)

    def best_level(self, downsample: float) -> int:
        """The coarsest level that serves a downsample."""
        return best_level(self.grids, downsample)


class _StoredLevel:
    """One level, read through a handle."""

    def __init__(self, handle: openslide.OpenSlide, index: int, layout: _Layout, guard: TileGuard) -> None:
        self._handle = handle
        self._guard = guard
        self._number = layout.numbers[index]
        self._downsample = layout.downsamples[index]
        self._background = layout.background
        self.grid = layout.grids[index]

    def snap(self, x: int, y: int) -> tuple[float, float]:
        # OpenSlide takes integers of level 0 and divides them by its own downsample; between stored pixels it
        # interpolates. With 2.0005 that is the rule, so the fraction must be accounted for, not rounded away.
        return int(x * self._downsample) / self._downsample, int(y * self._downsample) / self._downsample

    def read(self, x: float, y: float, width: int, height: int) -> NDArray[np.uint8]:
        # Further pieces of one read may be off by half a level-0 pixel; they are only needed for windows of more
        # than PIECE stored pixels, where that is a small part of an output pixel.
        self._guard.check(self._number, int(x), int(y), width + 1, height + 1)
        location = round(x * self._downsample), round(y * self._downsample)
        region = self._handle.read_region(location, self._number, (width, height))
        alpha = region.getchannel("A")
        if alpha.getextrema()[0] == WHITE:
            return np.asarray(region.convert("RGB"))
        share = np.asarray(alpha, np.float32)[..., np.newaxis] / WHITE
        color = np.asarray(region)[..., :3]
        return np.rint(self._background + share * (color - self._background)).astype(np.uint8)


@functools.cache
def _tile_cache() -> openslide.OpenSlideCache:
    return openslide.OpenSlideCache(TILE_CACHE_BYTES)


def _open(path: Path) -> openslide.OpenSlide:
    handle = openslide.OpenSlide(path)
    handle.set_cache(_tile_cache())
    return handle


@contextmanager
def _errors_as_unreadable(path: Path) -> Iterator[None]:
    try:
        yield
    except (openslide.OpenSlideError, OSError) as error:
        raise unreadable(error, path) from error


def _bounds(handle: openslide.OpenSlide) -> tuple[int, int, SlideSize]:
    """The bounding box of what was scanned, which QuPath takes as its image: x, y, size in level-0 pixels.

    MIRAX, Leica and others place the scan within a far larger empty frame. A box that is incomplete or not within
    the frame is ignored.
    """
    width, height = handle.dimensions
    names = (
        openslide.PROPERTY_NAME_BOUNDS_X,
        openslide.PROPERTY_NAME_BOUNDS_Y,
        openslide.PROPERTY_NAME_BOUNDS_WIDTH,
        openslide.PROPERTY_NAME_BOUNDS_HEIGHT,
    )
    try:
        x, y, w, h = (int(handle.properties[name]) for name in names)
    except (KeyError, ValueError):
        return 0, 0, SlideSize(width, height)
    if x < 0 or y < 0 or w < 1 or h < 1 or x + w > width or y + h > height:
        return 0, 0, SlideSize(width, height)
    return x, y, SlideSize(w, h)


def _scales(full_width: int, full_height: int, width: int, height: int) -> tuple[float, float]:
    """Level-0 pixels per stored pixel along x and y.

    Scanners shrink by whole numbers and drop or fill what does not divide, so that a quotient of sizes is only nearly
    the scale: 4443 / 2221 = 2.0005 puts the far edge a pixel off. Where a whole number explains both sizes to within
    one stored pixel, it is the scale (QuPath reasons likewise); elsewhere the level is taken to span the slide.
    """
    whole = round(full_width / width)
    if abs(full_width / whole - width) < 1 and abs(full_height / whole - height) < 1:
        return float(whole), float(whole)
    return full_width / width, full_height / height


def _background(properties: Mapping[str, str]) -> NDArray[np.float32]:
    """The slide's own background, six hex digits, or white."""
    text = properties.get(openslide.PROPERTY_NAME_BACKGROUND_COLOR, "").removeprefix("#")
    try:
        red, green, blue = bytes.fromhex(text)
    except ValueError:
        red, green, blue = WHITE, WHITE, WHITE
    return np.array([red, green, blue], np.float32)


def _axes(properties: Mapping[str, str]) -> Axes | None:
    """The pixel size; of OME-TIFF what its XML says, since the tags that OpenSlide reads are often a printer's."""
    return ome_axes(properties.get("tiff.ImageDescription", "")) or plausible_axes(
        _number(properties, openslide.PROPERTY_NAME_MPP_X), _number(properties, openslide.PROPERTY_NAME_MPP_Y)
    )


def _number(properties: Mapping[str, str], name: str) -> float | None:
    try:
        return float(properties[name])
    except (KeyError, ValueError):
        return None
