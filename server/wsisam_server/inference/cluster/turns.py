"""Whose call may go to a replica next: a bound on what is under way, with the fair queue before it."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from wsisam_server.core.errors import Reason, WsiSamServerError
from wsisam_server.inference.scheduler import Claim, FairQueue, Priority, Ticket

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


class Turns:
    """Lets so many calls be under way at once, by priority and in turns. Used from one event loop.

    Of these, those for which nobody waits (batches, guesses) never take more than half: what is under way cannot be
    overtaken by a click, but in the replica's own queue.

    Args:
        limit: calls under way; at least 2.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._queue: FairQueue[asyncio.Future[Claim]] = FairQueue()
        self._running = 0
        self._patient = 0
        self._closed = False

    @asynccontextmanager
    async def turn(self, ticket: Ticket) -> AsyncIterator[Claim]:
        """Waits for a turn, which lasts as long as the context; gives the claim that it was got with.

        Raises:
            WsiSamServerError: SHUTTING_DOWN.
        """
        if self._closed:
            raise WsiSamServerError(Reason.SHUTTING_DOWN)
        begun: asyncio.Future[Claim] = asyncio.get_running_loop().create_future()
        self._queue.put(ticket, begun)
        self._begin()
        try:
            claim = await begun
            yield claim
        finally:
            self._queue.discard(ticket, begun)
            if begun.done() and not begun.cancelled() and begun.exception() is None:
                self._end(begun.result())

    def join(self, ticket: Ticket, claim: Claim) -> None:
        """Takes note that a ticket has got one more claim; it may wait here or not."""
        self._queue.join(ticket, claim)
        self._begin()

    def allow(self, limit: int) -> None:
        """Changes how many calls may be under way; those that are, go on."""
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
        while self._running < self._limit and (claim := self._queue.next()) is not None:
            if _patient(claim) and self._patient >= self._limit // 2:
                return
            begun = self._queue.take()
            assert begun is not None
            if begun.done():  # cancelled, and not yet taken out
                continue
            self._running += 1
            self._patient += _patient(claim)
            begun.set_result(claim)

    def _end(self, claim: Claim) -> None:
        self._running -= 1
        self._patient -= _patient(claim)
        self._begin()


def _patient(claim: Claim) -> bool:
    return claim.priority >= Priority.PREFETCH
