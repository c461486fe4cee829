"""Ends a server's process within a deadline, whatever hangs in it.

Python waits for its threads when it ends. A thread that decodes an enormous tile, or reads from a drive that does not
answer, cannot be interrupted. So a stop has a deadline of its own.
"""

from __future__ import annotations

import logging
import os
import sys
import threading
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

EXIT_SECONDS: Final = 4.5
"""That a stop may take beyond what accepted work has (`drain_seconds`)."""

_TIMER: Final = "wsisam-exit"

_log = logging.getLogger(__name__)


def exit_within(seconds: float, exit_process: Callable[[int], None] = os._exit) -> threading.Timer:
    """Ends the process after so many seconds, if it has not ended by itself.

    What was acknowledged is on the disk then: the store answers after its commit, and files appear whole.

    Returns:
        The timer, which can be cancelled.
    """

    def at_deadline() -> None:
        names = sorted(thread.name for thread in threading.enumerate() if thread is not timer)
        _log.warning("the process exits; these threads did not end: %s", ", ".join(names))
        exit_now(exit_process)

    timer = threading.Timer(seconds, at_deadline)
    timer.daemon = True
    timer.name = _TIMER
    timer.start()
    return timer


def are_threads_left() -> bool:
    """Whether a daemon thread of ours still waits for a drive or a database."""
    ours = (thread for thread in threading.enumerate() if thread.daemon and thread.name.startswith("wsisam-"))
    return any(thread.name != _TIMER for thread in ours)


def exit_now(exit_process: Callable[[int], None] = os._exit) -> None:
    """Ends the process at once and without an error, after what has been written is out."""
    logging.shutdown()
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    exit_process(0)
