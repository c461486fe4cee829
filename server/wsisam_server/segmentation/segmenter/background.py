"""Which clicks of a survey lie on background, window by window, by the pixels that are encoded if any do not."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from wsisam_server.slides import DamagedRegionError, background_filter, overview

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from numpy.typing import NDArray

    from wsisam_server.core.geometry import Point, Window
    from wsisam_server.core.requests import ProposalFilter
    from wsisam_server.segmentation.proposals import Tile
    from wsisam_server.segmentation.segmenter.slides import BatchReader
    from wsisam_server.slides import BackgroundFilter

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class WindowContent:
    """What a window shows.

    Attributes:
        pixels: of the window, so that it is not read again; none where it was not read.
        on_background: clicks about which there is no tissue.
    """

    pixels: Mapping[Window, NDArray[np.uint8]] = field(default_factory=dict)
    on_background: frozenset[Point] = frozenset()


class ClickFilter:
    """Filters the clicks of one survey, at batch priority.

    What it says of a click follows from the slide, the sizes and the click's own window: in every region the same.

    Args:
        reader: of the slide.
        proposal_filter: sizes in level-0 pixels.
    """

    def __init__(self, reader: BatchReader, proposal_filter: ProposalFilter) -> None:
        self._reader = reader
        self._proposal_filter = proposal_filter
        self._filter: BackgroundFilter | None = None

    async def begin(self) -> None:
        """Samples the slide once, before the first window, to learn its background.

        Where background cannot be distinguished from tissue, all clicks are asked. The same holds in pixel mode, where
        pixels are not requested for this alone.

        Raises:
            WsiSamServerError: UNKNOWN_SLIDE_ID; SHUTTING_DOWN.
        """
        if self._reader.is_pushed:
            return
        patches: list[NDArray[np.uint8]] = []
        for row in overview(self._reader.info):
            patches += await self._reader.run(partial(_readable, row))
        self._filter = await asyncio.to_thread(background_filter, patches)
        if self._filter is None:
            _log.info("background cannot be distinguished from tissue on a slide; all clicks are asked")

    async def content(self, tile: Tile) -> WindowContent:
        """Reads a window, and filters its clicks.

        An object with a click inside, a tubule about its lumen for one, has tissue within half its size. A window shows
        that much about its clicks. Where there is none, the model would find objects, too.

        Raises:
            DamagedRegionError: the slide cannot be read there.
            WsiSamServerError: UNKNOWN_SLIDE_ID; SLIDE_UNREADABLE; SHUTTING_DOWN.
        """
        background_filter = self._filter
        if background_filter is None:
            return WindowContent()

        def seen(read: Callable[[Window], NDArray[np.uint8]]) -> WindowContent:
            pixels = read(tile.window)
            tissue = background_filter.tissue_in(tile.window, pixels, self._proposal_filter.min_size)
            xs, ys = np.array([(click.x, click.y) for click in tile.clicks]).T
            near = tissue.near(xs, ys, self._proposal_filter.max_size / 2).tolist()
            background = frozenset(click for click, is_near in zip(tile.clicks, near, strict=True) if not is_near)
            return WindowContent({tile.window: pixels}, background)

        return await self._reader.run(seen)


def _readable(windows: Iterable[Window], read: Callable[[Window], NDArray[np.uint8]]) -> list[NDArray[np.uint8]]:
    """The pixels of those windows that are not damaged: what is wrong far from a region is none of its business."""
    found = []
    for window in windows:
        try:
            found.append(read(window))
        except DamagedRegionError:
            continue
    return found
