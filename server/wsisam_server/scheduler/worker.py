"""Threads that serve a queue: whose turn it is runs next."""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, TypeVar, cast

from wsisam_server.errors import Reason, WsiSamServerError
from wsisam_server.scheduler.fair_queue import FairQueue

if TYPE_CHECKING:
    from collections.abc import Callable

    from wsisam_server.scheduler.engine import Priority
    from wsisam_server.scheduler.fair_queue import Claim, Ticket

Result = TypeVar("Result")


@dataclass(slots=True, eq=False)
class _Item:
    call: Callable[[], object]
    done: asyncio.Future[object]


class Worker:
    """Runs blocking calls on threads of its own, in the order of a `FairQueue`.

    A call whose caller was cancelled while it waited is dropped. One that has begun runs to its end (a model step
    cannot be interrupted) and its result is discarded. Used from one event loop.

    Args:
        name: of the threads, for people.
        threads: how many; a device has one.
        prepare: run on each thread before its first call.
    """

    def __init__(self, name: str, threads: int = 1, prepare: Callable[[], None] | None = None) -> None:
        self._queue: FairQueue[_Item] = FairQueue()
        self._running: set[_Item] = set()
        self._threads = threads
        self._pool = ThreadPoolExecutor(max_workers=threads, thread_name_prefix=name, initializer=prepare)
        self._closed = False

    async def run(self, ticket: Ticket, call: Callable[[], Result]) -> Result:
        """Waits for its turn, runs the call on a thread and returns its result or raises its error.

        Raises:
            WsiSamServerError: SHUTTING_DOWN.
        """
        if self._closed:
            raise WsiSamServerError(Reason.SHUTTING_DOWN)
        item = _Item(call, asyncio.get_running_loop().create_future())
        self._queue.put(ticket, item)
        self._begin()
        try:
            return cast(Result, await item.done)
        finally:
            # Cancelled: with the call goes what it holds, such as pixels.
            self._queue.discard(ticket, item)

    def join(self, ticket: Ticket, claim: Claim) -> None:
        """Takes note that a ticket has got one more claim; it may wait here or not."""
        self._queue.join(ticket, claim)

    def waiting(self) -> dict[Priority, int]:
        """How many calls wait, by priority. From any thread."""
        return self._queue.depth()

    async def close(self) -> None:
        """Lets running calls end, and fails them and those that wait with SHUTTING_DOWN."""
        self._closed = True
        for item in (*self._running, *self._queue.drain()):
            if not item.done.done():
                item.done.set_exception(WsiSamServerError(Reason.SHUTTING_DOWN))
        await asyncio.to_thread(self._pool.shutdown)

    def _begin(self) -> None:
        """Starts as many calls as there are idle threads: what waits in the pool itself could not be overtaken."""
        while len(self._running) < self._threads and (item := self._queue.take()) is not None:
            self._running.add(item)
            running = asyncio.get_running_loop().run_in_executor(self._pool, item.call)
            running.add_done_callback(partial(self._ended, item))

    def _ended(self, item: _Item, running: asyncio.Future[object]) -> None:
        self._running.discard(item)
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
