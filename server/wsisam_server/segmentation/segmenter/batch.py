"""The prompts of a batch: each planned once, and in which order they are best answered."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from wsisam_server.core.cancellation import checkpoint
from wsisam_server.core.errors import WsiSamServerError

if TYPE_CHECKING:
    from collections.abc import Callable

    from wsisam_server.core.pixels import PixelWindow
    from wsisam_server.core.requests import Request
    from wsisam_server.segmentation.planning import PlannedPrompt
    from wsisam_server.segmentation.segmenter.segmenter import Segmenter

ITEMS_AT_ONCE: Final = 50
PAUSE: Final = 0.003
"""Seconds of sleep after so many items, which take about as long: so the event loop can serve others."""


@dataclass(frozen=True, slots=True)
class BatchItem:
    """A prompt of a batch.

    Attributes:
        request: what is asked; or why it is no request.
        provisional: its plan; None where it cannot be planned, which is its error when it is asked.
    """

    request: Request | WsiSamServerError
    provisional: PlannedPrompt | None = None

    @property
    def place(self) -> tuple[float, float, float]:
        """Before which others it is best answered."""
        if self.provisional is None:
            return 0, 0, 0
        high = self.provisional.field.high
        return high.downsample, high.y, high.x


class Batch:
    """Prompts that were planned.

    Each window is read and encoded once, however small the cache: field after field, the finest first, row by row from
    the top, so that neighbouring windows share the slide's tiles. Prompts that cannot be planned come first.

    Args:
        items: by their numbers.

    Attributes:
        order: the numbers in the order in which the prompts are best answered.
    """

    def __init__(self, items: list[BatchItem]) -> None:
        self._items: list[BatchItem | None] = [*items]
        self.order = sorted(range(len(items)), key=lambda number: (*items[number].place, number))

    @classmethod
    def planned(cls, segmenter: Segmenter, request: Callable[[int], Request], count: int) -> Batch:
        """Plans prompts. Blocks: it takes some seconds for 100,000.

        Args:
            segmenter: plans them.
            request: what is asked under a number; called once for each.
            count: of prompts; their numbers are 0 to count - 1.

        Raises:
            WorkCancelledError: see `cancellation.checkpoint`.
        """
        items = []
        for number in range(count):
            checkpoint()
            if number % ITEMS_AT_ONCE == ITEMS_AT_ONCE - 1:
                time.sleep(PAUSE)
            items.append(_item(segmenter, request, number))
        return cls(items)

    def pixel_windows(self, segmenter: Segmenter) -> set[PixelWindow]:
        """What the prompts read on a slide in pixel mode. Those that cannot be planned need none."""
        drafts = [item.provisional for item in self._items if item is not None and item.provisional is not None]
        return set().union(*map(segmenter.pixel_windows, drafts))

    def take(self, number: int) -> BatchItem:
        """Hands out a prompt, once: a plan that was asked for is not kept."""
        item, self._items[number] = self._items[number], None
        assert item is not None
        return item


def _item(segmenter: Segmenter, wanted: Callable[[int], Request], number: int) -> BatchItem:
    try:
        request = wanted(number)
    except WsiSamServerError as error:
        return BatchItem(error)
    try:
        return BatchItem(request, segmenter.provisional_plan(request))
    except WsiSamServerError:
        return BatchItem(request)
