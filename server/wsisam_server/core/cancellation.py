"""Cancellation of work that blocks on a thread: asked for from anywhere, noticed where the work can stop.

A thread cannot be interrupted. What runs long in pieces (a window read tile by tile) calls `checkpoint` between them.
"""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


class WorkCancelledError(Exception):
    """Nobody wants the result any more. Not an error that anybody sees."""


class _Current(threading.local):
    event: threading.Event | None = None


_current = _Current()


@contextmanager
def cancellable(event: threading.Event) -> Iterator[None]:
    """Lets `event` cancel what this thread does in the block; blocks nest, the innermost counts."""
    before, _current.event = _current.event, event
    try:
        yield
    finally:
        _current.event = before


def checkpoint() -> None:
    """To be called between pieces of long work, on the thread that does it.

    Raises:
        WorkCancelledError: the work was given up; on a thread without a `cancellable` block, never.
    """
    if _current.event is not None and _current.event.is_set():
        raise WorkCancelledError
