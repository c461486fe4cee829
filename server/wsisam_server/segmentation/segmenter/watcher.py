"""What a caller hears while its prompt is on its way, and how it is asked for pixels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from wsisam_server.core.pixels import PixelsNeededError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wsisam_server.core.geometry import FieldPair
    from wsisam_server.core.pixels import PixelWindow


class Watcher(Protocol):
    """What the caller wants to hear while a prompt is on its way. Called on the event loop."""

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


class NoPixels:
    """The watcher of a call that cannot ask its client back."""

    can_ask = False

    def planned(self, field: FieldPair) -> None:
        """Nobody listens."""

    def loading(self) -> None:
        """Nobody listens."""

    def encoding(self) -> None:
        """Nobody listens."""

    def refining(self, done: int, total: int) -> None:
        """Nobody listens."""

    async def pixels_needed(self, windows: Sequence[PixelWindow]) -> None:
        """Gives up at once.

        Raises:
            PixelsNeededError: always.
        """
        raise PixelsNeededError(windows)
