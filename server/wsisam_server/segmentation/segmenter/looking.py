"""Which clicks of a survey lie on glass: told window by window, from the pixels that are encoded if any do not."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from wsisam_server.slides import DamagedPlaceError, background_filter, overview

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from numpy.typing import NDArray

    from wsisam_server.core.geometry import Point, Window
    from wsisam_server.core.requests import Wanted
    from wsisam_server.segmentation.proposals import Tile
    from wsisam_server.segmentation.segmenter.segmenter import Segmenter
    from wsisam_server.slides import BackgroundFilter

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class View:
    """What was seen in a window.

    Attributes:
        pixels: of the window, so that it is not read again; none where it was not looked at.
        on_glass: clicks about which there is no tissue.
    """

    pixels: Mapping[Window, NDArray[np.uint8]] = field(default_factory=dict)
    on_glass: frozenset[Point] = frozenset()


class Looking:
    """Looks at the windows of one survey, in the turns of whom it is for and behind all for whom somebody waits.

    What it says of a click follows from the slide, the sizes and the click's own window: in every region the same.

    Args:
        segmenter: reads.
        slide_id: an open slide.
        wanted: sizes in level-0 pixels.
        owner: whose turns it uses; see `Job`.
    """

    def __init__(self, segmenter: Segmenter, slide_id: str, wanted: Wanted, owner: str) -> None:
        self._segmenter = segmenter
        self._slide_id = slide_id
        self._wanted = wanted
        self._owner = owner
        self._filter: BackgroundFilter | None = None

    async def begin(self) -> None:
        """Looks over the slide, once and before the first window, to know what its background is like.

        Where background cannot be told from tissue, no click is left out. Nor is one on a slide in pixel mode, whose
        pixels are not asked for only to look.

        Raises:
            WsiSamServerError: UNKNOWN_SLIDE_ID; SHUTTING_DOWN.
        """
        slides = self._segmenter.slides
        if slides.pushed(self._slide_id) is not None:
            return
        read = slides.reader(self._slide_id)
        patches: list[NDArray[np.uint8]] = []
        for row in overview(slides.info(self._slide_id)):
            patches += await self._segmenter.in_turn(self._owner, partial(_readable, read, row))
        self._filter = await asyncio.to_thread(background_filter, patches)
        if self._filter is None:
            _log.info("background cannot be told from tissue on a slide; all clicks are asked")

    async def look(self, tile: Tile) -> View:
        """Looks at a window.

        An object with a click inside, a tubule about its lumen for one, has tissue within half its size. A window shows
        that much about its clicks. Where there is none, the model would find objects, too.

        Raises:
            DamagedPlaceError: the slide cannot be read there.
            WsiSamServerError: UNKNOWN_SLIDE_ID; SLIDE_UNREADABLE; SHUTTING_DOWN.
        """
        tells = self._filter
        if tells is None:
            return View()
        read = self._segmenter.slides.reader(self._slide_id)

        def seen() -> View:
            pixels = read(tile.window)
            tissue = tells.tissue_in(tile.window, pixels, self._wanted.min_size)
            xs, ys = np.array([(click.x, click.y) for click in tile.clicks]).T
            near = tissue.near(xs, ys, self._wanted.max_size / 2).tolist()
            on_glass = frozenset(click for click, is_near in zip(tile.clicks, near, strict=True) if not is_near)
            return View({tile.window: pixels}, on_glass)

        return await self._segmenter.in_turn(self._owner, seen)


def _readable(read: Callable[[Window], NDArray[np.uint8]], windows: Iterable[Window]) -> list[NDArray[np.uint8]]:
    """The pixels of those windows that are not damaged: what is wrong far from a region is none of its business."""
    found = []
    for window in windows:
        try:
            found.append(read(window))
        except DamagedPlaceError:
            continue
    return found
