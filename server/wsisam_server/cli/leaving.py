"""Ends this process in time, whatever hangs."""

from __future__ import annotations

import logging
import os
import sys
import threading
from typing import Final

_log = logging.getLogger(__name__)

FAREWELLS: Final = 4.0
"""Seconds beyond those that accepted work may take: what was said last has to reach clients, and files are closed."""


def leave_within(seconds: float) -> None:
    """Ends the process after some seconds, if it has not ended by itself.

    Python waits for its threads at the end, and one that a network drive does not answer cannot be ended. All that was
    acknowledged is on the disk by then.

    Args:
        seconds: that accepted work may take.
    """
    timer = threading.Timer(seconds + FAREWELLS, _leave_at_last)
    timer.daemon = True
    timer.start()


def leave_now() -> None:
    """Ends the process at once and without an error, after what has been written is out."""
    logging.shutdown()
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os._exit(0)


def _leave_at_last() -> None:
    _log.warning("something does not end, such as a drive that hangs; leaving without it")
    leave_now()
