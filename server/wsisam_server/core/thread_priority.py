"""Priorities of threads: long work runs when no short work wants the processor.

A process without privileges can only lower a thread's priority. So such a thread ends with its work.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
import time
from typing import Final

NICENESS: Final = 10
"""A tenth of the processor's time where others want all of it; all of it where nobody does."""


def lower_priority(thread: threading.Thread | None = None) -> None:
    """Lowers a thread's priority for good. Only Linux has priorities of threads: elsewhere, nothing happens.

    Threads that it starts afterwards have the same priority.

    Args:
        thread: one that runs; None for the running one.
    """
    thread_id = (thread or threading.current_thread()).native_id
    if sys.platform == "linux" and thread_id is not None:
        # A container without the call is no reason to fail a read.
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, thread_id, NICENESS)


def processor_seconds(thread: threading.Thread) -> float:
    """What a running thread has taken of the processor's time so far; 0 where the system does not tell."""
    if sys.platform == "linux" and thread.ident is not None:
        with contextlib.suppress(OSError):
            return time.clock_gettime(time.pthread_getcpuclockid(thread.ident))
    return 0.0
