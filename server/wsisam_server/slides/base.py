"""What every slide source offers: facts about the slide, and square patches of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from wsisam_server.core.errors import Reason, WsiSamServerError
from wsisam_server.core.pixel_size import PixelSize

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from wsisam_server.core.geometry import SlideSize, Window
    from wsisam_server.core.pixel_size import Axes


@dataclass(frozen=True, slots=True)
class SlideInfo:
    """Facts about an open slide.

    Attributes:
        size: width and height of level 0.
        mpp: microns per level-0 pixel, the mean of x and y; None when the file does not say, or says nonsense.
        downsamples: of each stored level, ascending, 1.0 first.
        fingerprint: hex identity of content and size, not of the path; for pushed pixels a random one.
        source: "openslide:<vendor>", "plain:<format>" or "pushed".
        frame_origin: where level 0 begins in the whole scanned frame, from whose corner other programs count; x, y in
            level-0 pixels. QuPath and this server count from here (OpenSlide's bounds).
        content: of a set of files, a digest of what its fingerprint does not cover; empty for a single file.
        axes: of x and y apart, as the file says; None where `mpp` is None, or a client said it.
    """

    size: SlideSize
    mpp: float | None
    downsamples: tuple[float, ...]
    fingerprint: str
    source: str
    frame_origin: tuple[int, int] = (0, 0)
    axes: Axes | None = None
    content: str = ""

    @property
    def content_key(self) -> str:
        """What is made of its pixels is kept under this: the same key, the same pixels."""
        return self.content or self.fingerprint

    @property
    def is_pushed(self) -> bool:
        """Whether its pixels come from a client, so that its fingerprint is random."""
        return self.source == "pushed"

    def pixel_size(self, of_client: float | None) -> PixelSize:
        """The pixel size to answer one request with.

        Args:
            of_client: microns per level-0 pixel that came with the request, if any. Of a slide whose pixels the client
                sends, all that is known comes from that client, and what came last counts.
        """
        if self.is_pushed:
            return PixelSize.chosen(None, self.mpp if of_client is None else of_client)
        return PixelSize.chosen(self.mpp, of_client)


class DamagedRegionError(WsiSamServerError):
    """A region of a slide cannot be read; others may. SLIDE_UNREADABLE, with the region in its details.

    Args:
        window: what was to be read.
        private: for the log.
        path: the file, for the log.
    """

    def __init__(self, window: Window, *, private: str = "", path: object = "") -> None:
        x, y, side = (round(value) for value in (window.x, window.y, window.extent))
        super().__init__(Reason.SLIDE_UNREADABLE, private=private, path=path, x=x, y=y, width=side, height=side)
        self.window = window


class Slide(Protocol):
    """A slide that can be read. Safe to use from several threads at once."""

    @property
    def info(self) -> SlideInfo:
        """Facts about the slide; they never change while it is open."""
        ...

    @property
    def nbytes(self) -> int:
        """Bytes of pixels that it holds in memory while it is open; shared caches do not count."""
        ...

    def read(self, window: Window) -> NDArray[np.uint8]:
        """Reads a square patch.

        Pixel i of the patch covers [x + i * d, x + (i + 1) * d) in level-0 coordinates, d being the window's
        downsample. Shrinking is antialiased, magnifying is bicubic. What lies outside the slide is white. A pixel
        across the border is blended by the area that it shares with the slide.

        Args:
            window: where to read; may reach beyond the slide, or lie wholly outside it.

        Returns:
            uint8 [window.size, window.size, 3], RGB, axes y, x, channel; C-contiguous and the caller's own.

        Raises:
            DamagedRegionError: the file turns out to be damaged there.
            WsiSamServerError: SLIDE_UNREADABLE when the file is gone or was replaced; PIXELS_NEEDED when the client has
                yet to send the window.
        """
        ...

    def close(self) -> None:
        """Lets go of the file and the memory. The slide must not be read afterwards; closing twice is harmless."""
        ...
