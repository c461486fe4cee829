"""Cancellation of work that blocks on a thread: asked for from anywhere, noticed where the work can stop.

A thread cannot be interrupted. What runs long in pieces (a window read tile by tile) calls `checkpoint` between them,
also on another thread, to which the work went in a copy of its context.
"""

from __future__ import annotations

from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import threading
    from collections.abc import Iterator


class WorkCancelledError(Exception):
    """Nobody wants the result any more. Not an error that anybody sees."""


_current: ContextVar[threading.Event | None] = ContextVar("wsisam_cancelled", default=None)


@contextmanager
def cancellable(event: threading.Event) -> Iterator[None]:
    """Lets `event` cancel what is done in the block; blocks nest, the innermost counts."""
    token = _current.set(event)
    try:
        yield
    finally:
        _current.reset(token)


@contextmanager
def uncancellable() -> Iterator[None]:
    """Lets nothing cancel what is done in the block: others wait for it, too."""
    token = _current.set(None)
    try:
        yield
    finally:
        _current.reset(token)


def checkpoint() -> None:
    """To be called between pieces of long work, on the thread that does it.

    Raises:
        WorkCancelledError: the work was given up; outside `cancellable` blocks, never.
    """
    event = _current.get()
    if event is not None and event.is_set():
        raise WorkCancelledError
