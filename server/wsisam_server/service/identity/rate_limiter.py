"""Rate limits by user."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Final

from wsisam_server.core.errors import Reason, WsiSamServerError

if TYPE_CHECKING:
    from collections.abc import Callable

MOST_USERS: Final = 10_000
"""Users that are remembered before idle ones are forgotten. Without tokens, each connection is a user."""


class RateLimiter:
    """A token bucket for each user (generic cell rate algorithm). Used from one event loop.

    Args:
        per_second: sustained rate of one user's messages.
        burst: messages that may come at once.
        clock: monotonic seconds.
    """

    def __init__(self, per_second: float, burst: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._per_second = per_second
        self._interval = 1 / per_second
        self._burst_seconds = burst / per_second
        self._clock = clock
        # When all that a user has sent would have come at exactly the rate: the whole bucket in one number.
        self._due: dict[str, float] = {}

    def allows(self, user: str) -> bool:
        """Counts one more message and returns True, unless it comes too early."""
        due = self._next(user)
        # Slack for rounding, which must not cost the last message of a burst.
        if due - self._clock() > self._burst_seconds + self._interval / 1000:
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
        """Counts a message, as several if it is large, and returns when it may be read."""
        due = self._due[user] = self._next(user, count)
        early = due - self._burst_seconds - self._clock()
        if early > 0:
            await asyncio.sleep(early)

    def _next(self, user: str, count: float = 1.0) -> float:
        now = self._clock()
        if len(self._due) > MOST_USERS:
            # A full bucket carries no state.
            self._due = {known: due for known, due in self._due.items() if due > now}
        return max(self._due.get(user, 0.0), now) + count * self._interval
