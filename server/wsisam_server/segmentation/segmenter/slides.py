"""How a slide comes to be open: by reference, or with pixels that its client pushes."""

from __future__ import annotations

import asyncio
import logging
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar

from wsisam_server.core.errors import Reason, WsiSamServerError
from wsisam_server.inference.scheduler import Priority, QueueEntry, WorkItem
from wsisam_server.slides import OpenSlides, PushedSlide, SlideInfo, decode_tile

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import TypeAlias

    import numpy as np
    from numpy.typing import NDArray

    from wsisam_server.core.geometry import SlideSize, Window
    from wsisam_server.core.pixels import Encoding, PixelWindow
    from wsisam_server.core.settings import Limits
    from wsisam_server.inference.scheduler import ModelDevice

    ClientImage: TypeAlias = tuple[SlideSize, float | None]
    Read: TypeAlias = Callable[[Window], NDArray[np.uint8]]

_log = logging.getLogger(__name__)

Result = TypeVar("Result")


class SlideOpener:
    """Opens slides, and takes the pixels that clients push.

    Args:
        slides: the open slides.
        limits: bounds on pushed pixels.
    """

    def __init__(self, slides: OpenSlides, limits: Limits) -> None:
        self._slides = slides
        self._limits = limits
        # Apart from what makes outlines: a stranger's tile must not hold up anybody's answer.
        self._decoding = ThreadPoolExecutor(max_workers=2, thread_name_prefix="wsisam-tile")

    def open(self, uri: str, pixels: ClientImage | None, principal: str) -> tuple[str, SlideInfo, bool]:
        """As `opened`, for who has no event loop. Blocks."""
        try:
            return self._by_reference(self._slides.open(uri, principal), pixels) or self._by_pixels(pixels, principal)
        except WsiSamServerError as error:
            return self._instead(error, pixels, principal)

    async def opened(self, uri: str, pixels: ClientImage | None, principal: str) -> tuple[str, SlideInfo, bool]:
        """See `Segmenter.opened`."""
        try:
            found = await asyncio.wrap_future(self._slides.opening(uri, principal))
        except WsiSamServerError as error:
            return self._instead(error, pixels, principal)
        return self._by_reference(found, pixels) or self._by_pixels(pixels, principal)

    async def push(self, slide_id: str, window: PixelWindow, encoding: Encoding, data: bytes) -> None:
        """See `Segmenter.push`."""
        pushed = self._slides.pushed(slide_id)
        if pushed is None:
            raise WsiSamServerError(Reason.TILE_NOT_REQUESTED)
        # Decoding a tile takes milliseconds: not on the event loop.
        await asyncio.get_running_loop().run_in_executor(
            self._decoding,
            lambda: pushed.push(window, decode_tile(encoding, data, window.tile_width, window.tile_height)),
        )

    def close_slide(self, slide_id: str, owner: str | None) -> str | None:
        """Closes a slide in pixel mode. Returns the key of what was encoded of it; None where nothing was closed."""
        pushed = self._slides.pushed(slide_id)
        if pushed is None or not self._slides.close_pushed(slide_id, owner):
            return None
        return pushed.info.content_key

    def close(self) -> None:
        """Ends the threads; a tile that is being decoded is not waited for."""
        self._decoding.shutdown(wait=False, cancel_futures=True)

    def _by_reference(
        self, found: tuple[str, SlideInfo], pixels: ClientImage | None
    ) -> tuple[str, SlideInfo, bool] | None:
        slide_id, info = found
        if pixels is None or info.size == pixels[0]:
            return slide_id, info, True
        _log.info("pixel mode: the file is %s, the client's image %s", info.size, pixels[0])
        return None

    def _instead(
        self, error: WsiSamServerError, pixels: ClientImage | None, principal: str
    ) -> tuple[str, SlideInfo, bool]:
        if pixels is None or error.reason in {Reason.SLIDE_UNAVAILABLE, Reason.SHUTTING_DOWN}:
            raise error
        said = (error.reason.name, error.private_text)
        _log.log(error.log_level, "pixel mode: %s (%s)", *said, extra={"path": error.path})
        return self._by_pixels(pixels, principal)

    def _by_pixels(self, pixels: ClientImage | None, principal: str) -> tuple[str, SlideInfo, bool]:
        assert pixels is not None
        pushed = PushedSlide(*pixels, limit_bytes=self._limits.pushed_pixels_bytes)
        return self._slides.add_pushed(pushed, principal), pushed.info, False


class BatchReader:
    """Reads one slide at batch priority, within its principal's share.

    Args:
        slides: the open slides.
        device: has the threads that read.
        slide_id: an open slide.
        principal: whose share of the queues it uses; see `Job`.
    """

    def __init__(self, slides: OpenSlides, device: ModelDevice, slide_id: str, principal: str) -> None:
        self._slides = slides
        self._device = device
        self._slide_id = slide_id
        self._principal = principal

    @property
    def info(self) -> SlideInfo:
        """Geometry of the slide.

        Raises:
            WsiSamServerError: UNKNOWN_SLIDE_ID.
        """
        return self._slides.info(self._slide_id)

    @property
    def is_pushed(self) -> bool:
        """Whether the slide is in pixel mode."""
        return self._slides.pushed(self._slide_id) is not None

    def pixel_windows(self, windows: Iterable[Window]) -> set[PixelWindow]:
        """The pixel windows behind what is read, pushed or not; none on a slide by reference."""
        pushed = self._slides.pushed(self._slide_id)
        found = () if pushed is None else map(pushed.window_for, windows)
        return {window for window in found if window is not None}

    def missing(self, windows: Iterable[Window]) -> list[PixelWindow]:
        """The pixel windows that were not pushed of what is about to be read; none on a slide by reference."""
        pushed = self._slides.pushed(self._slide_id)
        return [] if pushed is None else pushed.missing(windows)

    async def run(self, call: Callable[[Read], Result]) -> Result:
        """Runs what reads the slide.

        Args:
            call: takes what reads a window, uint8 [size, size, 3] RGB, and blocks. Not begun when this is cancelled
                before.

        Raises:
            WsiSamServerError: UNKNOWN_SLIDE_ID; SHUTTING_DOWN.
            Exception: whatever `call` raises.
        """
        read = self._slides.reader(self._slide_id)
        result, _ = await self._device.read(WorkItem([QueueEntry(Priority.BATCH, self._principal)]), lambda: call(read))
        return result
