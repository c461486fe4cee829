"""Who watches a run: the terminal and TensorBoard look in through this, and the loop knows neither."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from wsisam_server.learning.training.history import Validation


class Observer(Protocol):
    """Is told what happens."""

    def encoded(self, done: int, total: int) -> None:
        """So many of the windows have their features."""
        ...

    def stepped(self, step: int, steps: int, loss: float) -> None:
        """A step is done; `step` counts from 1."""
        ...

    def validated(self, validation: Validation) -> None:
        """A validation is done."""
        ...


class Quiet:
    """Looks away."""

    def encoded(self, done: int, total: int) -> None:
        """See `Observer`."""

    def stepped(self, step: int, steps: int, loss: float) -> None:
        """See `Observer`."""

    def validated(self, validation: Validation) -> None:
        """See `Observer`."""
