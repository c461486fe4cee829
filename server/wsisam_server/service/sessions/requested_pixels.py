"""The pixel windows that a session has requested from its client."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from wsisam_server.core.pixels import PixelsNeededError

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from wsisam_server.core.pixels import PixelWindow


class RequestedPixels:
    """Requested windows that have not arrived yet. Used from one event loop."""

    def __init__(self) -> None:
        self._waited_for: set[PixelWindow] = set()
        self._changed = asyncio.Condition()
        self._ended = False

    def __contains__(self, window: PixelWindow) -> bool:
        """Whether a tile of this window is waited for."""
        return window in self._waited_for

    def add(self, windows: Sequence[PixelWindow]) -> tuple[PixelWindow, ...]:
        """Notes that windows are needed. Returns those that were not requested before."""
        fresh = tuple(window for window in windows if window not in self._waited_for)
        self._waited_for.update(fresh)
        return fresh

    async def arrived(self, window: PixelWindow) -> None:
        """Notes that a window's tile is there."""
        self._waited_for.discard(window)
        async with self._changed:
            self._changed.notify_all()

    async def end(self) -> None:
        """Notes that nothing will arrive any more."""
        self._ended = True
        async with self._changed:
            self._changed.notify_all()

    async def wait(self, windows: Collection[PixelWindow]) -> None:
        """Waits until the tiles of all these windows are there.

        Raises:
            PixelsNeededError: they can come no more.
        """
        async with self._changed:
            await self._changed.wait_for(lambda: self._ended or not self._waited_for.intersection(windows))
        missing = [window for window in windows if window in self._waited_for]
        if missing:
            raise PixelsNeededError(missing)
