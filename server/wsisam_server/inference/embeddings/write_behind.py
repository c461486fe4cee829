"""Write-behind: embeddings are written after the answer has gone out."""

from __future__ import annotations

import logging
import queue
import threading
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

_log = logging.getLogger(__name__)

MOST_WAITING: Final = 8
"""Writes that wait. Each holds its values in memory. Where the disk is slower than the model, further writes are
dropped, and their values are computed again when they are needed."""

CLOSING_SECONDS: Final = 2.0
"""Bound on the wait for queued writes at the end. What a hanging disk lacks is computed again."""


class WriteBehindQueue:
    """Runs writes one after the other on a thread of their own, best effort: failures are logged, once in a row.

    The thread ends with the process, also where a write hangs.

    Args:
        prepare: called first on the thread.

    Attributes:
        failed: writes that failed.
        left_out: writes that were dropped.
    """

    def __init__(self, prepare: Callable[[], None] | None = None) -> None:
        self._prepare = prepare
        self._writes: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()
        self._waiting = 0
        self._closed = False
        self._is_failing = False
        self.failed = 0
        self.left_out = 0

    def put(self, write: Callable[[], None]) -> None:
        """Queues a write; drops it when too many wait. Does not block."""
        with self._lock:
            if self._closed or self._waiting >= MOST_WAITING or not self._is_running():
                self.left_out += 1
                return
            self._waiting += 1
            self._writes.put(write)

    def close(self, seconds: float = CLOSING_SECONDS) -> None:
        """Writes what waits, and ends. Blocks.

        Args:
            seconds: that it may take; what then still waits is dropped.
        """
        with self._lock:
            self._closed = True
        if self._thread is None:
            return
        self._writes.put(None)
        self._thread.join(seconds)
        if self._thread.is_alive():
            with self._lock:
                self.left_out += self._waiting
            _log.warning("the disk for embeddings does not answer: %d are not written", self._waiting)

    def _is_running(self) -> bool:
        """Starts the thread with the first write. Call it with the lock."""
        if self._thread is None:
            thread = threading.Thread(target=self._work, name="wsisam-write-behind", daemon=True)
            try:
                thread.start()
            except RuntimeError:  # the system gives none: with the next write
                return False
            self._thread = thread
        return True

    def _work(self) -> None:
        if self._prepare is not None:
            self._prepare()
        while (write := self._writes.get()) is not None:
            self._run(write)
            del write  # its values

    def _run(self, write: Callable[[], None]) -> None:
        try:
            write()
        except Exception as error:  # noqa: BLE001 - whatever it is, the answer has gone out
            self.failed += 1
            if not self._is_failing:
                _log.warning("embeddings cannot be written to the disk; going on without: %r", error)
            self._is_failing = True
        else:
            self._is_failing = False
        finally:
            with self._lock:
                self._waiting -= 1
