"""Threads that serve a fair queue of blocking calls, and the pool of them that reads slides."""

from __future__ import annotations

import asyncio
import contextvars
import logging
import os
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
    from wsisam_server.inference.scheduler.fair_queue import QueueEntry, WorkItem

Result = TypeVar("Result")

SLOW_SECONDS: Final = 1.0
"""Seconds after which a call counts as slow, where spare threads are there for such."""

LONG_SECONDS: Final = 0.25
"""Seconds after which a call is long. Of a principal whose last call was long, fewer run at once."""

_log = logging.getLogger(__name__)


@dataclass(slots=True, eq=False)
class _PendingCall:
    call: Callable[[], object]
    done: asyncio.Future[object]
    principals: frozenset[str]
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
        spare: further threads. A call that takes longer than `SLOW_SECONDS` no longer counts among `threads`: it reads
            from a drive that does not answer, or decodes a hundred million pixels.
        per_principal: most calls of one principal that run at once; principals without a name are not counted.
        long_per_principal: the same, for a principal whose last call was long.
    """

    def __init__(
        self,
        name: str,
        threads: int = 1,
        prepare: Callable[[], None] | None = None,
        *,
        spare: int = 0,
        per_principal: int | None = None,
        long_per_principal: int | None = None,
    ) -> None:
        self._queue: FairQueue[_PendingCall] = FairQueue()
        self._running: set[_PendingCall] = set()
        self._threads = threads
        self._spare = spare
        self._per_principal = per_principal
        self._long_per_principal = per_principal if long_per_principal is None else long_per_principal
        self._have_long: set[str] = set()
        self._pool = ThreadPoolExecutor(max_workers=threads + spare, thread_name_prefix=name, initializer=prepare)
        self._closed = False

    async def run(self, work_item: WorkItem, call: Callable[[], Result]) -> Result:
        """Queues a call, runs it on a thread, and returns its result or raises its error.

        Raises:
            WsiSamServerError: SHUTTING_DOWN.
        """
        if self._closed:
            raise WsiSamServerError(Reason.SHUTTING_DOWN)
        principals = frozenset(entry.principal for entry in work_item.entries)
        pending = _PendingCall(call, asyncio.get_running_loop().create_future(), principals)
        self._queue.put(work_item, pending)
        self._begin()
        try:
            return cast(Result, await pending.done)
        finally:
            # Cancelled: with the call goes what it holds, such as pixels.
            self._queue.discard(work_item, pending)
            pending.given_up.set()

    def join(self, work_item: WorkItem, entry: QueueEntry) -> None:
        """Adds a queue entry of a work item, which may wait here or not."""
        self._queue.join(work_item, entry)

    def waiting(self) -> dict[Priority, int]:
        """How many calls wait, by priority. From any thread."""
        return self._queue.depth()

    async def close(self, seconds: float | None = None) -> None:
        """Fails all calls with SHUTTING_DOWN, and lets those that run end.

        Args:
            seconds: that they may take; then their threads are abandoned. None for no limit.
        """
        self._closed = True
        for pending in (*self._running, *self._queue.drain()):
            pending.given_up.set()
            if not pending.done.done():
                pending.done.set_exception(WsiSamServerError(Reason.SHUTTING_DOWN))
        if seconds is None:
            await asyncio.to_thread(self._pool.shutdown)
            return
        self._pool.shutdown(wait=False)
        running = [pending.ended for pending in self._running if pending.ended is not None]
        if running:
            await asyncio.wait(running, timeout=seconds)
        if self._running:
            _log.warning("%d calls that do not end are abandoned", len(self._running))

    def _begin(self) -> None:
        """Starts as many calls as there are idle threads: what waits in the pool itself could not be overtaken."""
        while self._has_room() and (pending := self._queue.take(self._busy())) is not None:
            self._running.add(pending)
            loop = asyncio.get_running_loop()
            try:
                running = pending.ended = loop.run_in_executor(self._pool, pending.run)
            except RuntimeError as error:
                # The system gives no thread. The pool may yet run the call; its result is dropped.
                self._running.discard(pending)
                pending.given_up.set()
                pending.done.set_exception(error)
                return
            running.add_done_callback(partial(self._ended, pending))
            if self._spare:
                loop.call_later(LONG_SECONDS, self._note_long, pending)
                loop.call_later(SLOW_SECONDS, self._look_at, pending)

    def _has_room(self) -> bool:
        quick = sum(not pending.is_slow for pending in self._running)
        return quick < self._threads and len(self._running) < self._threads + self._spare

    def _busy(self) -> set[str]:
        """Principals of whom no more calls are begun now."""
        if self._per_principal is None or self._long_per_principal is None:
            return set()
        counts = Counter(principal for pending in self._running for principal in pending.principals if principal)
        limits = {True: self._long_per_principal, False: self._per_principal}
        return {principal for principal, count in counts.items() if count >= limits[principal in self._have_long]}

    def _note_long(self, pending: _PendingCall) -> None:
        if pending in self._running:
            pending.is_long = True
            self._have_long |= pending.principals

    def _look_at(self, pending: _PendingCall) -> None:
        if pending in self._running and not self._closed:
            pending.is_slow = True
            self._begin()

    def _ended(self, pending: _PendingCall, running: asyncio.Future[object]) -> None:
        self._running.discard(pending)
        if not pending.is_long:
            self._have_long -= pending.principals
        if not self._closed:
            self._begin()
        error = running.exception()
        if pending.done.done():
            return
        if error is None:
            pending.done.set_result(running.result())
        else:
            pending.done.set_exception(error)


def timed(call: Callable[[], Result]) -> tuple[Result, float]:
    """Runs a call on a worker's thread. Returns its result and its milliseconds, without those that it waited."""
    started = time.perf_counter()
    result = call()
    return result, (time.perf_counter() - started) * 1000


READERS: Final = 4
"""Reading is decompression and I/O outside Python's lock; four keep one device fed."""

SPARE: Final = 12
"""Threads for when some of the others take long; see `Worker`."""

PER_PRINCIPAL: Final = READERS - 1
"""One is always left for another user."""

LONG_PER_PRINCIPAL: Final = max(1, min(PER_PRINCIPAL, (os.cpu_count() or 1) - 1))
"""Decoding is what takes long: one user's decoding leaves a processor to the others."""

ABANDON_SECONDS: Final = 0.5
"""That reads may take to end when the server stops: a decoder cannot be interrupted, nor a drive that hangs."""


class Readers(Worker):
    """A `Worker` with threads enough, and rules that keep one user's reads from holding up another's."""

    def __init__(self) -> None:
        super().__init__(
            "wsisam-reader", READERS, spare=SPARE, per_principal=PER_PRINCIPAL, long_per_principal=LONG_PER_PRINCIPAL
        )

    async def close(self, seconds: float | None = ABANDON_SECONDS) -> None:
        """See `Worker.close`."""
        await super().close(seconds)
