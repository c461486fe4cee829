"""Threads that a program can leave behind: a database that hangs must not keep the server from ending."""

from __future__ import annotations

import asyncio
import queue
import threading
import time
from concurrent.futures import Executor, Future
from functools import partial
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

Given = ParamSpec("Given")
Result = TypeVar("Result")


class Threads(Executor):
    """Runs calls on a few threads, in their order.

    The standard library's pool waits at the end of the program for all calls that run, however long they take. These
    threads end with the program.

    Args:
        count: of threads; each is started when it is needed.
        name: of the threads, for people.
    """

    def __init__(self, count: int, name: str) -> None:
        self._count = count
        self._name = name
        self._calls: queue.SimpleQueue[tuple[Future[Any], Callable[[], Any]] | None] = queue.SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._lock = threading.Lock()
        self._closed = False
        self._taken: set[Future[Any]] = set()
        self._began: dict[Future[Any], float] = {}
        self._ended = 0.0

    def submit(self, call: Callable[Given, Result], /, *args: Given.args, **kwargs: Given.kwargs) -> Future[Result]:
        """See Executor.

        Raises:
            RuntimeError: it is closed, or the system gives no thread.
        """
        future: Future[Result] = Future()
        with self._lock:
            if self._closed:
                raise RuntimeError(f"{self._name} is closed")
            self._taken.add(future)
            future.add_done_callback(self._taken.discard)
            self._calls.put((future, partial(call, *args, **kwargs)))
            if len(self._threads) < min(self._count, len(self._taken)):
                thread = threading.Thread(target=self._run, name=f"{self._name}-{len(self._threads)}", daemon=True)
                try:
                    thread.start()
                except RuntimeError:
                    # The system gives no more. Those that run take the call, if there are any.
                    if not self._threads:
                        future.cancel()
                        raise
                else:
                    self._threads.append(thread)
        return future

    def run_seconds(self, future: Future[Any]) -> float:
        """For how long a call has been running; 0 for one that is not."""
        with self._lock:
            began = self._began.get(future)
        return 0.0 if began is None else time.monotonic() - began

    def silent_seconds(self) -> float:
        """For how long calls have been running of which none has ended; 0 where none runs."""
        with self._lock:
            began = min(self._began.values(), default=None)
            return 0.0 if began is None else time.monotonic() - max(began, self._ended)

    def is_stuck(self, seconds: float) -> bool:
        """Whether all threads run calls that take longer than so many seconds."""
        with self._lock:
            now = time.monotonic()
            return sum(now - began > seconds for began in self._began.values()) >= self._count

    async def close(self, seconds: float) -> bool:
        """Takes no more calls, lets those end that were taken, and leaves behind what takes longer.

        Returns:
            Whether all have ended.
        """
        with self._lock:
            self._closed = True
            taken = [asyncio.wrap_future(future) for future in tuple(self._taken)]
            for _ in self._threads:
                self._calls.put(None)
        if not taken:
            return True
        ended, left = await asyncio.wait(taken, timeout=seconds)
        for one in ended:
            # It is the caller's; asyncio would log it as nobody's.
            one.cancelled() or one.exception()
        return not left

    def _run(self) -> None:
        while (item := self._calls.get()) is not None:
            future, call = item
            if future.set_running_or_notify_cancel():
                with self._lock:
                    self._began[future] = time.monotonic()
                try:
                    result, problem = call(), None
                except BaseException as error:  # noqa: BLE001 - it is the caller's
                    result, problem = None, error
                with self._lock:
                    del self._began[future]
                    self._ended = time.monotonic()
                if problem is None:
                    future.set_result(result)
                else:
                    future.set_exception(problem)
                del result, problem
            del future, call, item
