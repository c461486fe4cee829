"""Threads that give way: what takes long runs when nobody who waits for less wants the processor.

A thread's priority can only ever be lowered: whoever may not raise it back ends the thread with its work.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from typing import Final

NICENESS: Final = 10
"""A tenth of the processor's time where others want all of it; all of it where nobody does."""


def give_way(thread_id: int | None = None) -> None:
    """Lowers a thread's priority for good. Only Linux has priorities of threads: elsewhere, nothing happens.

    Threads that it starts afterwards have the same priority.

    Args:
        thread_id: its `native_id`; None for the running thread.
    """
    if sys.platform == "linux":
        # A thread that has just ended, or a container without the call, is no reason to fail a read.
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id() if thread_id is None else thread_id, NICENESS)
