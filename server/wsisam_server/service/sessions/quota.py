"""How many prompts each user may have waiting, in all streams and calls together."""

from __future__ import annotations

from collections import Counter
from contextlib import contextmanager
from typing import TYPE_CHECKING

from wsisam_server.core.errors import Reason, WsiSamServerError

if TYPE_CHECKING:
    from collections.abc import Iterator


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
