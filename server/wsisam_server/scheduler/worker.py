"""One device's queue: jobs run one after the other on one thread, the most urgent first."""

from __future__ import annotations

import asyncio
import itertools
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar, cast

from wsisam_server.errors import Reason, WsiSamServerError

if TYPE_CHECKING:
    from collections.abc import Callable

    from wsisam_server.scheduler.engine import Priority

Result = TypeVar("Result")


@dataclass(order=True, slots=True)
class _Item:
    priority: Priority
    number: int
    call: Callable[[], object] = field(compare=False)
    done: asyncio.Future[object] = field(compare=False)


class DeviceWorker:
    """Runs blocking calls for one device in order of priority, first come first served within one.

    A call whose caller was cancelled while it waited is dropped. One that has begun runs to its end (a model step
    cannot be interrupted) and its result is discarded.

    Args:
        prepare: run on the thread before its first call.
    """

    def __init__(self, prepare: Callable[[], None] | None = None) -> None:
        self._queue: asyncio.PriorityQueue[_Item] = asyncio.PriorityQueue()
        self._numbers = itertools.count()
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="wsisam-device", initializer=prepare)
        self._runner: asyncio.Task[None] | None = None
        self._closed = False

    async def run(self, priority: Priority, call: Callable[[], Result]) -> Result:
        """Waits for its turn, runs the call on the device's thread and returns its result or raises its error."""
        if self._closed:
            raise WsiSamServerError(Reason.SHUTTING_DOWN)
        loop = asyncio.get_running_loop()
        if self._runner is None:
            self._runner = loop.create_task(self._run_all())
        item = _Item(priority, next(self._numbers), call, loop.create_future())
        self._queue.put_nowait(item)
        return cast(Result, await item.done)

    async def close(self) -> None:
        """Lets the running call end and fails those that wait with SHUTTING_DOWN."""
        self._closed = True
        if self._runner is not None:
            self._runner.cancel()
            await asyncio.gather(self._runner, return_exceptions=True)
        while not self._queue.empty():
            item = self._queue.get_nowait()
            if not item.done.done():
                item.done.set_exception(WsiSamServerError(Reason.SHUTTING_DOWN))
        await asyncio.to_thread(self._thread.shutdown)

    async def _run_all(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            item = await self._queue.get()
            if item.done.done():
                continue
            try:
                result = await loop.run_in_executor(self._thread, item.call)
            except asyncio.CancelledError:
                if not item.done.done():
                    item.done.set_exception(WsiSamServerError(Reason.SHUTTING_DOWN))
                raise
            except Exception as error:  # noqa: BLE001 - handed to the caller, whatever it is
                if not item.done.done():
                    item.done.set_exception(error)
            else:
                if not item.done.done():
                    item.done.set_result(result)
