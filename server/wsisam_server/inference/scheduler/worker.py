"""Threads that serve a queue: whose turn it is runs next."""

from __future__ import annotations

import asyncio
import contextvars
import logging
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Final, TypeVar, cast

from wsisam_server.core.cancellation import cancellable
from wsisam_server.core.errors import Reason, WsiSamServerError
from wsisam_server.inference.scheduler.fair_queue import FairQueue

if TYPE_CHECKING:
    from collections.abc import Callable

    from wsisam_server.inference.scheduler.engine import Priority
    from wsisam_server.inference.scheduler.fair_queue import Claim, Ticket

Result = TypeVar("Result")

PATIENCE: Final = 1.0
"""Seconds after which a call counts as slow, where spare threads are there for such."""

LONG: Final = 0.25
"""Seconds after which a call is long: of an owner whose last one was, fewer run at once."""

_log = logging.getLogger(__name__)


@dataclass(slots=True, eq=False)
class _Item:
    call: Callable[[], object]
    done: asyncio.Future[object]
    owners: frozenset[str]
    context: contextvars.Context = field(default_factory=contextvars.copy_context)
    given_up: threading.Event = field(default_factory=threading.Event)
    is_long: bool = False
    is_slow: bool = False
    ended: asyncio.Future[object] | None = None

    def run(self) -> object:
        """In the caller's context."""
        return self.context.run(self._run)

    def _run(self) -> object:
        with cancellable(self.given_up):
            return self.call()


class Worker:
    """Runs blocking calls on threads of its own, in the order of a `FairQueue`.

    A call whose caller was cancelled while it waited is dropped. One that has begun ends at its next
    `cancellation.checkpoint`, or runs to its end where it has none (a model step cannot be interrupted); its result is
    discarded. Used from one event loop.

    Args:
        name: of the threads, for people.
        threads: how many; a device has one.
        prepare: run on each thread before its first call.
        spare: further threads, for when calls take longer than `PATIENCE`: one that reads from a drive that does not
            answer, or decodes a hundred million pixels, then no longer counts among `threads`.
        per_owner: calls of one owner that run at once, at most; owners without a name are not counted.
        long_per_owner: the same, of an owner whose last call was a long one.
    """

    def __init__(
        self,
        name: str,
        threads: int = 1,
        prepare: Callable[[], None] | None = None,
        *,
        spare: int = 0,
        per_owner: int | None = None,
        long_per_owner: int | None = None,
    ) -> None:
        self._queue: FairQueue[_Item] = FairQueue()
        self._running: set[_Item] = set()
        self._threads = threads
        self._spare = spare
        self._per_owner = per_owner
        self._long_per_owner = per_owner if long_per_owner is None else long_per_owner
        self._have_long: set[str] = set()
        self._pool = ThreadPoolExecutor(max_workers=threads + spare, thread_name_prefix=name, initializer=prepare)
        self._closed = False

    async def run(self, ticket: Ticket, call: Callable[[], Result]) -> Result:
        """Waits for its turn, runs the call on a thread and returns its result or raises its error.

        Raises:
            WsiSamServerError: SHUTTING_DOWN.
        """
        if self._closed:
            raise WsiSamServerError(Reason.SHUTTING_DOWN)
        owners = frozenset(claim.owner for claim in ticket.claims)
        item = _Item(call, asyncio.get_running_loop().create_future(), owners)
        self._queue.put(ticket, item)
        self._begin()
        try:
            return cast(Result, await item.done)
        finally:
            # Cancelled: with the call goes what it holds, such as pixels.
            self._queue.discard(ticket, item)
            item.given_up.set()

    def join(self, ticket: Ticket, claim: Claim) -> None:
        """Takes note that a ticket has got one more claim; it may wait here or not."""
        self._queue.join(ticket, claim)

    def waiting(self) -> dict[Priority, int]:
        """How many calls wait, by priority. From any thread."""
        return self._queue.depth()

    async def close(self, seconds: float | None = None) -> None:
        """Fails all calls with SHUTTING_DOWN, and lets those that run end.

        Args:
            seconds: that they may take; then they are left alone on their threads. None for any time.
        """
        self._closed = True
        for item in (*self._running, *self._queue.drain()):
            item.given_up.set()
            if not item.done.done():
                item.done.set_exception(WsiSamServerError(Reason.SHUTTING_DOWN))
        if seconds is None:
            await asyncio.to_thread(self._pool.shutdown)
            return
        self._pool.shutdown(wait=False)
        running = [item.ended for item in self._running if item.ended is not None]
        if running:
            await asyncio.wait(running, timeout=seconds)
        if self._running:
            _log.warning("%d calls that do not end are left alone", len(self._running))

    def _begin(self) -> None:
        """Starts as many calls as there are idle threads: what waits in the pool itself could not be overtaken."""
        while self._has_room() and (item := self._queue.take(self._busy())) is not None:
            self._running.add(item)
            loop = asyncio.get_running_loop()
            try:
                running = item.ended = loop.run_in_executor(self._pool, item.run)
            except RuntimeError as error:
                # The system gives no thread. The pool may yet run the call, for nobody.
                self._running.discard(item)
                item.given_up.set()
                item.done.set_exception(error)
                return
            running.add_done_callback(partial(self._ended, item))
            if self._spare:
                loop.call_later(LONG, self._note_long, item)
                loop.call_later(PATIENCE, self._look_at, item)

    def _has_room(self) -> bool:
        quick = sum(not item.is_slow for item in self._running)
        return quick < self._threads and len(self._running) < self._threads + self._spare

    def _busy(self) -> set[str]:
        """Owners of whom no more calls are begun now."""
        if self._per_owner is None or self._long_per_owner is None:
            return set()
        counts = Counter(owner for item in self._running for owner in item.owners if owner)
        limits = {True: self._long_per_owner, False: self._per_owner}
        return {owner for owner, count in counts.items() if count >= limits[owner in self._have_long]}

    def _note_long(self, item: _Item) -> None:
        if item in self._running:
            item.is_long = True
            self._have_long |= item.owners

    def _look_at(self, item: _Item) -> None:
        if item in self._running and not self._closed:
            item.is_slow = True
            self._begin()

    def _ended(self, item: _Item, running: asyncio.Future[object]) -> None:
        self._running.discard(item)
        if not item.is_long:
            self._have_long -= item.owners
        if not self._closed:
            self._begin()
        error = running.exception()
        if item.done.done():
            return
        if error is None:
            item.done.set_result(running.result())
        else:
            item.done.set_exception(error)


def timed(call: Callable[[], Result]) -> tuple[Result, float]:
    """Runs a call on a worker's thread. Returns its result and its milliseconds, without those that it waited."""
    started = time.perf_counter()
    result = call()
    return result, (time.perf_counter() - started) * 1000
