"""Pixels that a client sends, because the server cannot open the slide itself."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from wsisam_server.core.errors import Reason, WsiSamServerError

if TYPE_CHECKING:
    from collections.abc import Sequence

Encoding = Literal["raw", "png", "jpeg"]
"""How the pixels of a tile are sent."""


@dataclass(frozen=True, slots=True)
class PixelWindow:
    """A region that the client is asked to send, and the tile to send it as.

    Tile pixel (i, j) covers the level-0 pixels from x + i * width / tile_width and y + j * height / tile_height on.

    Attributes:
        x: left edge in slide coordinates; the region lies wholly on the slide.
        y: top edge in slide coordinates.
        width: level-0 pixels along x.
        height: level-0 pixels along y.
        tile_width: pixels of the tile along x.
        tile_height: pixels of the tile along y.
        downsample: at least 1; what `width / tile_width` and `height / tile_height` were rounded from. Not part of
            the region's identity.
    """

    x: int
    y: int
    width: int
    height: int
    tile_width: int
    tile_height: int
    downsample: float = field(compare=False)


class PixelsNeededError(WsiSamServerError):
    """PIXELS_NEEDED with the windows, for callers that cannot wait for them."""

    def __init__(self, windows: Sequence[PixelWindow]) -> None:
        super().__init__(Reason.PIXELS_NEEDED, count=len(windows))
        self.windows = tuple(windows)
