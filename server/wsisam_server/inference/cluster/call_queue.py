"""A fair queue of calls to replicas, with a bound on those in progress."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from wsisam_server.core.errors import Reason, WsiSamServerError
from wsisam_server.inference.scheduler import FairQueue, Priority, QueueEntry, WorkItem

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


class CallQueue:
    """Admits calls by priority and fairly among principals, up to a limit. Used from one event loop.

    Background calls (batches and prefetches) never take more than half of the limit: a click can overtake a call that
    was sent only in the replica's own queue.

    Args:
        limit: calls in progress; at least 2.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._queue: FairQueue[asyncio.Future[QueueEntry]] = FairQueue()
        self._running = 0
        self._background = 0
        self._closed = False

    @asynccontextmanager
    async def slot(self, work_item: WorkItem) -> AsyncIterator[QueueEntry]:
        """Waits for a slot, which is held as long as the context. Gives the queue entry that was served.

        Raises:
            WsiSamServerError: SHUTTING_DOWN.
        """
        if self._closed:
            raise WsiSamServerError(Reason.SHUTTING_DOWN)
        begun: asyncio.Future[QueueEntry] = asyncio.get_running_loop().create_future()
        self._queue.put(work_item, begun)
        self._begin()
        try:
            entry = await begun
            yield entry
        finally:
            self._queue.discard(work_item, begun)
            if begun.done() and not begun.cancelled() and begun.exception() is None:
                self._end(begun.result())

    def join(self, work_item: WorkItem, entry: QueueEntry) -> None:
        """Adds a queue entry of a work item, which may wait here or not."""
        self._queue.join(work_item, entry)
        self._begin()

    def set_limit(self, limit: int) -> None:
        """Changes the limit. Calls in progress go on."""
        self._limit = limit
        self._begin()

    def waiting(self) -> dict[Priority, int]:
        """How many calls wait, by priority. From any thread."""
        return self._queue.depth()

    def close(self) -> None:
        """Fails those that wait with SHUTTING_DOWN, and takes no more."""
        self._closed = True
        for begun in self._queue.drain():
            if not begun.done():
                begun.set_exception(WsiSamServerError(Reason.SHUTTING_DOWN))

    def _begin(self) -> None:
        while self._running < self._limit and (entry := self._queue.next()) is not None:
            if _background(entry) and self._background >= self._limit // 2:
                return
            begun = self._queue.take()
            assert begun is not None
            if begun.done():  # cancelled, and not yet taken out
                continue
            self._running += 1
            self._background += _background(entry)
            begun.set_result(entry)

    def _end(self, entry: QueueEntry) -> None:
        self._running -= 1
        self._background -= _background(entry)
        self._begin()


def _background(entry: QueueEntry) -> bool:
    return entry.priority >= Priority.PREFETCH
