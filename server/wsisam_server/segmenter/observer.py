"""Who hears of every prompt that ended, whoever asked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from wsisam_server.segmenter.request import Outcome, Request


class Observer(Protocol):
    """Hears of each prompt once. Called on the event loop; must neither block nor raise."""

    def answered(self, request: Request, outcome: Outcome, seconds: float) -> None:
        """An outline was made, `seconds` after it was asked for."""
        ...

    def failed(self, request: Request, error: BaseException) -> None:
        """There is none: an error, or asyncio.CancelledError when nobody wants it any more."""
        ...


class Unobserved:
    """Where nobody counts."""

    def answered(self, request: Request, outcome: Outcome, seconds: float) -> None:
        """Nobody listens."""

    def failed(self, request: Request, error: BaseException) -> None:
        """Nobody listens."""
