"""Who hears of every prompt that ended, whoever asked."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Protocol

from wsisam_server.core.errors import Reason, WsiSamServerError

if TYPE_CHECKING:
    from wsisam_server.core.answers import Outcome
    from wsisam_server.core.requests import Request


class Observer(Protocol):
    """Hears of each prompt once. Called on the event loop; must neither block nor raise."""

    def answered(self, request: Request, outcome: Outcome, seconds: float) -> None:
        """An outline was made, `seconds` after it was asked for."""
        ...

    def failed(self, request: Request, error: BaseException) -> None:
        """There is none: an error, or asyncio.CancelledError when nobody wants it any more; see `why_failed`."""
        ...


class Observers:
    """Several that hear, or none.

    Args:
        all_of_them: told in this order.
    """

    def __init__(self, *all_of_them: Observer) -> None:
        self._all = all_of_them

    def answered(self, request: Request, outcome: Outcome, seconds: float) -> None:
        """See `Observer.answered`."""
        for one in self._all:
            one.answered(request, outcome, seconds)

    def failed(self, request: Request, error: BaseException) -> None:
        """See `Observer.failed`."""
        for one in self._all:
            one.failed(request, error)


def why_failed(error: BaseException) -> Reason | None:
    """The catalogue's reason for what `Observer.failed` was told; None when nobody wants the outline any more."""
    if isinstance(error, WsiSamServerError):
        return error.reason
    return None if isinstance(error, asyncio.CancelledError) else Reason.INTERNAL
