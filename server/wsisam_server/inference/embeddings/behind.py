"""What is written after the answer has gone out."""

from __future__ import annotations

import logging
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

_log = logging.getLogger(__name__)

MOST_WAITING: Final = 8
"""Writes that wait. Each holds its values in memory; where the disk is slower than the model, further ones are left
out, and computed again one day."""


class Behind:
    """Runs writes one after the other on a thread of their own. They may fail: it is logged, once, and goes on.

    Args:
        prepare: called first on the thread.

    Attributes:
        failed: writes that failed.
        left_out: writes that were too many.
    """

    def __init__(self, prepare: Callable[[], None] | None = None) -> None:
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="wsisam-behind", initializer=prepare)
        self._lock = threading.Lock()
        self._waiting = 0
        self._is_failing = False
        self.failed = 0
        self.left_out = 0

    def later(self, write: Callable[[], None]) -> None:
        """Has something written when those before it are; left out when too many wait. Does not block."""
        with self._lock:
            if self._waiting >= MOST_WAITING:
                self.left_out += 1
                return
            self._waiting += 1
        self._thread.submit(self._run, write)

    def close(self) -> None:
        """Writes what waits, and ends. Blocks."""
        self._thread.shutdown(wait=True)

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
