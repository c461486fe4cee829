"""Quotas by user: of prompts that wait for answers, and of failures.

Failures are answered at a limited rate: a client that retries what fails asks faster than for what succeeds.
"""

from __future__ import annotations

from collections import Counter
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Final

from wsisam_server.core.errors import Reason, WsiSamServerError
from wsisam_server.service.identity import RateLimiter, current_user

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator


PER_SECOND: Final = 100
AT_ONCE: Final = 500
"""Items of one user's batches that fail: a hundred thousand that cost nothing else would fill the loop."""

READ: Final = 20
"""What a failed read counts as: each time, it was begun."""

_READS: Final = frozenset({Reason.SLIDE_UNREADABLE, Reason.TILE_UNREADABLE})


class PromptQuota:
    """Counts the prompts that wait for answers, by user. Used from one event loop.

    Args:
        limit: of one user.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._waiting: Counter[str] = Counter()

    def take(self, user: str, *, leaving: int = 0) -> None:
        """Counts one more prompt.

        Args:
            user: whose it is.
            leaving: prompts that will be given back for it.

        Raises:
            WsiSamServerError: TOO_MANY_PROMPTS; it is then not counted.
        """
        if self._waiting[user] - leaving >= self._limit:
            raise WsiSamServerError(Reason.TOO_MANY_PROMPTS, limit=self._limit)
        self._waiting[user] += 1

    def give_back(self, user: str) -> None:
        """Counts one prompt less."""
        self._waiting[user] -= 1
        if not self._waiting[user]:
            del self._waiting[user]

    @contextmanager
    def taken(self, user: str) -> Iterator[None]:
        """Counts a prompt while it is answered.

        Raises:
            WsiSamServerError: TOO_MANY_PROMPTS.
        """
        self.take(user)
        try:
            yield
        finally:
            self.give_back(user)


class FailureLimiter:
    """Limits the rate at which each user's failures are answered. Used from one event loop."""

    def __init__(self) -> None:
        self._rate_limiter = RateLimiter(PER_SECOND, AT_ONCE)

    async def item(self, error: Exception) -> None:
        """Counts an item that failed, and returns when it may be answered."""
        await self._rate_limiter.wait(current_user().principal, READ if _is_read(error) else 1)

    async def call(self, error: Exception) -> None:
        """Counts a call that failed if something was read for it, and returns when it may be answered."""
        if _is_read(error):
            await self.item(error)

    @asynccontextmanager
    async def limited(self) -> AsyncIterator[None]:
        """Counts a call that fails in the context. Its error is delayed until it may be answered."""
        try:
            yield
        except WsiSamServerError as error:
            await self.call(error)
            raise


def _is_read(error: Exception) -> bool:
    return isinstance(error, WsiSamServerError) and error.reason in _READS
