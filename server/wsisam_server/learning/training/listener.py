"""Listeners of a run: the terminal and TensorBoard get its progress, and the loop knows neither."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from wsisam_server.learning.training.history import Validation


class TrainingListener(Protocol):
    """Is called with the progress of a run."""

    def encoded(self, done: int, total: int) -> None:
        """So many of the windows have their features."""
        ...

    def stepped(self, step: int, steps: int, loss: float) -> None:
        """A step is done; `step` counts from 1."""
        ...

    def validated(self, validation: Validation) -> None:
        """A validation is done."""
        ...


class SilentListener:
    """Has no effect."""

    def encoded(self, done: int, total: int) -> None:
        """See `TrainingListener`."""

    def stepped(self, step: int, steps: int, loss: float) -> None:
        """See `TrainingListener`."""

    def validated(self, validation: Validation) -> None:
        """See `TrainingListener`."""
