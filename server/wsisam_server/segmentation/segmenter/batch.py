"""In which order a batch's prompts are best answered."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from wsisam_server.core.cancellation import checkpoint
from wsisam_server.core.errors import WsiSamServerError

if TYPE_CHECKING:
    from collections.abc import Callable

    from wsisam_server.core.requests import Request
    from wsisam_server.segmentation.segmenter.segmenter import Segmenter

ITEMS_AT_ONCE: Final = 50
PAUSE: Final = 0.003
"""Seconds after so many items, which take about as long: the loop that answers everybody has its turn then."""


def by_field(segmenter: Segmenter, wanted: Callable[[int], Request], count: int) -> list[int]:
    """Puts a batch's prompts in an order in which each window is read and encoded once, however small the cache.

    Field after field, the finest first, row by row from the top: neighbouring windows share the slide's tiles. Prompts
    that cannot be planned come before all others; the error is theirs when they are asked. Blocks: planning takes some
    seconds for 100,000 prompts.

    Args:
        segmenter: plans the fields.
        wanted: the request of a number.
        count: of prompts; their numbers are 0 to count - 1.

    Raises:
        WorkCancelledError: see `cancellation.checkpoint`.
    """

    def place(number: int) -> tuple[float, float, float, int]:
        checkpoint()
        if number % ITEMS_AT_ONCE == ITEMS_AT_ONCE - 1:
            time.sleep(PAUSE)
        try:
            high = segmenter.field_for(wanted(number))[0].high
        except WsiSamServerError:
            return 0, 0, 0, number
        return high.downsample, high.y, high.x, number

    return sorted(range(count), key=place)
