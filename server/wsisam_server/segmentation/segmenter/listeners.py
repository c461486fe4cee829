"""Listeners: a caller's, called while its prompt is answered, and those that are called when any prompt has ended."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Protocol

from wsisam_server.core.errors import Reason, WsiSamServerError
from wsisam_server.core.pixels import PixelsNeededError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wsisam_server.core.answers import Outcome
    from wsisam_server.core.geometry import FieldPair
    from wsisam_server.core.pixels import PixelWindow
    from wsisam_server.core.requests import Request


class ProgressListener(Protocol):
    """Is called on the event loop while a prompt is answered, and may be asked for pixels."""

    @property
    def can_ask(self) -> bool:
        """Whether `pixels_needed` may return."""
        ...

    def planned(self, field: FieldPair) -> None:
        """The prompt is answered in this field. May be called again with another one, before the model is asked."""
        ...

    def loading(self) -> None:
        """The prompt waits for its model to be loaded: it will take seconds longer."""
        ...

    def encoding(self) -> None:
        """The prompt waits for an encoder: it will take longer than a warm one."""
        ...

    def refining(self, done: int, total: int) -> None:
        """So many of a border's finer windows are answered, of so many."""
        ...

    async def pixels_needed(self, windows: Sequence[PixelWindow]) -> None:
        """The windows' pixels are missing. Returns once they were pushed; raises to give up.

        Raises:
            WsiSamServerError: the caller cannot wait for pixels (PIXELS_NEEDED).
        """
        ...


class SilentListener:
    """The listener of a call that cannot ask its client for pixels."""

    can_ask = False

    def planned(self, field: FieldPair) -> None:
        """Has no effect."""

    def loading(self) -> None:
        """Has no effect."""

    def encoding(self) -> None:
        """Has no effect."""

    def refining(self, done: int, total: int) -> None:
        """Has no effect."""

    async def pixels_needed(self, windows: Sequence[PixelWindow]) -> None:
        """Gives up at once.

        Raises:
            PixelsNeededError: always.
        """
        raise PixelsNeededError(windows)


class PromptListener(Protocol):
    """Is called once for each prompt, on the event loop. It must neither block nor raise."""

    def answered(self, request: Request, outcome: Outcome, seconds: float) -> None:
        """An outline was made, `seconds` after it was asked for."""
        ...

    def failed(self, request: Request, error: BaseException) -> None:
        """No outline was made: an error, or asyncio.CancelledError after a cancellation. See `failure_reason`."""
        ...


class PromptListeners:
    """Several listeners as one.

    Args:
        listeners: called in this order.
    """

    def __init__(self, *listeners: PromptListener) -> None:
        self._listeners = listeners

    def answered(self, request: Request, outcome: Outcome, seconds: float) -> None:
        """See `PromptListener.answered`."""
        for one in self._listeners:
            one.answered(request, outcome, seconds)

    def failed(self, request: Request, error: BaseException) -> None:
        """See `PromptListener.failed`."""
        for one in self._listeners:
            one.failed(request, error)


def failure_reason(error: BaseException) -> Reason | None:
    """The catalogue's reason for an error that `PromptListener.failed` got; None for a cancellation."""
    if isinstance(error, WsiSamServerError):
        return error.reason
    return None if isinstance(error, asyncio.CancelledError) else Reason.INTERNAL
