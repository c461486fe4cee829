"""Looks at tiles before OpenSlide decodes them: libjpeg, inside it, cannot be interrupted."""

from __future__ import annotations

import contextlib
import struct
import threading
from typing import TYPE_CHECKING, Final

import numpy as np

from wsisam_server.slides.cost import TooCostlyError, check_cost
from wsisam_server.slides.tiff.layout import is_tiff
from wsisam_server.slides.tiff.pages import JPEG, LARGEST_BYTES, Page, Pages

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

SMALL_SHARE: Final = 1 / 8
"""Of the bytes of its pixels: a tile that is stored in fewer bytes is not looked at. Few scans fit into them."""

LEAST_BYTES: Final = 32 * 1024


class TileGuard:
    """Knows which JPEG tiles of a TIFF file are large, and counts what is in them before they are decoded.

    Args:
        path: the file; of another format, nothing is looked at.
        levels: width and height of each level, as OpenSlide numbers them.
    """

    def __init__(self, path: Path, levels: Sequence[tuple[int, int]]) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._large: dict[int, tuple[Page, NDArray[np.bool_]]] = {}
        # Scanners' files bend the format (NDPI beyond 4 GB, for one). What OpenSlide opens is not refused for that.
        with contextlib.suppress(ValueError, struct.error, ArithmeticError, LookupError):
            self._find(path, levels)

    def _find(self, path: Path, levels: Sequence[tuple[int, int]]) -> None:
        if not is_tiff(path):
            return
        with path.open("rb") as file:
            pages = [page for page in Pages(file).top() if page.is_tiled and page.compression == JPEG]
            for number, size in enumerate(levels):
                page = next((page for page in pages if page.size == tuple(size)), None)
                if page is not None and min(page.segment) > 0:
                    page.settle()
                    least = max(_pixel_bytes(page) * SMALL_SHARE, LEAST_BYTES)
                    self._large[number] = page, page.spans[:, 1] > least

    def check(self, number: int, x: int, y: int, width: int, height: int) -> None:
        """Looks at the tiles of a level that a region touches, each once.

        Args:
            number: of the level.
            x: left edge in the level's pixels.
            y: top edge.
            width: pixels of the level.
            height: pixels of the level.

        Raises:
            TooCostlyError: one would take far longer to decode than its pixels explain.
            OSError: the file cannot be read.
        """
        if number not in self._large:
            return
        page, large = self._large[number]
        tile_width, tile_height = page.segment
        across, down = (-(-side // tile) for side, tile in zip(page.size, page.segment, strict=True))
        columns = np.arange(max(x // tile_width, 0), min(-(-(x + width) // tile_width), across))
        rows = np.arange(max(y // tile_height, 0), min(-(-(y + height) // tile_height), down))
        touched = (rows[:, np.newaxis] * across + columns).ravel()
        touched = touched[touched < len(large)]
        for index in touched[large[touched]].tolist():
            self._look(page, index)
            with self._lock:
                large[index] = False

    def _look(self, page: Page, index: int) -> None:
        offset, count = map(int, page.spans[index])
        if count > LARGEST_BYTES:
            raise TooCostlyError(f"a tile of {count} bytes")
        with self._path.open("rb") as file:
            file.seek(offset)
            check_cost(file.read(count), "jpeg", _pixel_bytes(page))


def _pixel_bytes(page: Page) -> int:
    width, height = page.segment
    return width * height * page.samples
