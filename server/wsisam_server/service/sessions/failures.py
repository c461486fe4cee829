"""Failures are answered at a rate: whoever asks for what fails again and again asks faster than for what succeeds."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

from wsisam_server.core.errors import Reason, WsiSamServerError
from wsisam_server.service.identity import Pace, current_user

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

PER_SECOND: Final = 100
AT_ONCE: Final = 500
"""Items of one user's batches that fail: a hundred thousand that cost nothing else would fill the loop."""

READ: Final = 20
"""What a read that failed counts as: it was begun each time."""

_READS: Final = frozenset({Reason.SLIDE_UNREADABLE, Reason.TILE_UNREADABLE})


class Failures:
    """Counts each user's failures. Used from one event loop."""

    def __init__(self) -> None:
        self._pace = Pace(PER_SECOND, AT_ONCE)

    async def item(self, error: Exception) -> None:
        """Counts an item that failed, and returns when it may be answered."""
        await self._pace.wait(current_user().principal, READ if _is_read(error) else 1)

    async def call(self, error: Exception) -> None:
        """Counts a call that failed if something was read for it, and returns when it may be answered."""
        if _is_read(error):
            await self.item(error)

    @asynccontextmanager
    async def slowed(self) -> AsyncIterator[None]:
        """Counts a call that fails in here; its error goes on when it may be answered."""
        try:
            yield
        except WsiSamServerError as error:
            await self.call(error)
            raise


def _is_read(error: Exception) -> bool:
    return isinstance(error, WsiSamServerError) and error.reason in _READS
