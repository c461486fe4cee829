"""How fast each user may send."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Final

from wsisam_server.core.errors import Reason, WsiSamServerError

if TYPE_CHECKING:
    from collections.abc import Callable

MOST_USERS: Final = 10_000
"""That are remembered before those are forgotten who send nothing: without tokens, each connection is a user."""


class Pace:
    """A bucket of messages for each user, which fills at a rate. Used from one event loop.

    Args:
        per_second: messages of one user, in the long run.
        burst: messages that may come at once after a silence.
        clock: seconds that never go back.
    """

    def __init__(self, per_second: float, burst: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._per_second = per_second
        self._interval = 1 / per_second
        self._ahead = burst / per_second
        self._clock = clock
        # When all that a user has sent would have come at exactly the rate: the whole bucket in one number.
        self._due: dict[str, float] = {}

    def allows(self, user: str) -> bool:
        """Counts one more message, unless it comes too early."""
        due = self._next(user)
        # A hair's breadth for rounding, which must not cost the last message of a burst.
        if due - self._clock() > self._ahead + self._interval / 1000:
            return False
        self._due[user] = due
        return True

    def take(self, user: str) -> None:
        """Counts one more message.

        Raises:
            WsiSamServerError: TOO_MANY_MESSAGES; it is then not counted.
        """
        if not self.allows(user):
            raise WsiSamServerError(Reason.TOO_MANY_MESSAGES, limit=f"{self._per_second:g}")

    async def wait(self, user: str, count: float = 1.0) -> None:
        """Counts one more message, or a large one as several, in any case, and returns when it may be read."""
        due = self._due[user] = self._next(user, count)
        early = due - self._ahead - self._clock()
        if early > 0:
            await asyncio.sleep(early)

    def _next(self, user: str, count: float = 1.0) -> float:
        now = self._clock()
        if len(self._due) > MOST_USERS:
            # Those whose bucket is full again are as if they had never been here.
            self._due = {known: due for known, due in self._due.items() if due > now}
        return max(self._due.get(user, 0.0), now) + count * self._interval
