"""Whether a stream that was cut off is gone on with, and when."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

    from wsisam_server.client.errors import ServerError

SECONDS_TO_COME_BACK = 20.0
"""How long it is tried to reach a server again that was lost."""

FIRST_PAUSE: Final = 1.0

_GONE: Final = frozenset({"STARTING", "SHUTTING_DOWN"})


class Recovery:
    """Of one stream. Attempts are made for `SECONDS_TO_COME_BACK`; an answer ends the trouble.

    Args:
        reopen: opens the slide again under the same id, and says whether it did: a server that was restarted does not
            know it any more.
    """

    def __init__(self, reopen: Callable[[], bool]) -> None:
        self._reopen = reopen
        self._until: float | None = None
        self._pause = 0.0
        self._reopened = False
        self._first: ServerError | None = None

    def answered(self) -> None:
        """Notes that an answer came."""
        self._until, self._pause, self._reopened, self._first = None, 0.0, False, None

    def prepared(self, error: ServerError) -> bool:
        """Waits, or opens the slide again. False where asking again would not help, or was tried for long enough."""
        self._first = self._first or error
        if error.reason == "UNKNOWN_SLIDE_ID" and self._until is not None and not self._reopened:
            self._reopened = True
            return self._reopen()
        if not (is_lost(error) or error.reason in _GONE):
            return False
        now = time.monotonic()
        self._until = self._until or now + SECONDS_TO_COME_BACK
        # Not at all at first, then longer each time; a server that says how long is believed.
        pause = self._pause if error.retry_seconds is None else error.retry_seconds
        if now + pause >= self._until:
            return False
        time.sleep(pause)
        self._pause = 2 * self._pause or FIRST_PAUSE
        return True

    def tells_most(self, error: ServerError) -> ServerError:
        """Of the trouble's errors the one to raise: what a server said before it was lost says more than that it is."""
        return self._first if self._first is not None and is_lost(error) else error


def is_lost(error: ServerError) -> bool:
    """Whether gRPC, and not the server, says that a call cannot be answered."""
    return error.status == "UNAVAILABLE" and not error.reason
