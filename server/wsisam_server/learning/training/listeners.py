"""Listeners of a run: the terminal and TensorBoard get its progress, and the loop knows neither."""

from __future__ import annotations

import importlib.util
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from pathlib import Path

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


class SilentTrainingListener:
    """Has no effect."""

    def encoded(self, done: int, total: int) -> None:
        """See `TrainingListener`."""

    def stepped(self, step: int, steps: int, loss: float) -> None:
        """See `TrainingListener`."""

    def validated(self, validation: Validation) -> None:
        """See `TrainingListener`."""


class TensorBoardListener:
    """Writes TensorBoard's files, and forwards to another listener.

    Args:
        folder: where the files go.
        then: the listener that is called after it.
    """

    def __init__(self, folder: Path, then: TrainingListener) -> None:
        from torch.utils.tensorboard import SummaryWriter  # noqa: PLC0415 - optional

        self._writer = SummaryWriter(str(folder))
        self._then = then

    def encoded(self, done: int, total: int) -> None:
        """See `TrainingListener`."""
        self._then.encoded(done, total)

    def stepped(self, step: int, steps: int, loss: float) -> None:
        """See `TrainingListener`."""
        self._writer.add_scalar("loss", loss, step)
        self._then.stepped(step, steps, loss)

    def validated(self, validation: Validation) -> None:
        """See `TrainingListener`."""
        for prompt, value in validation.means.items():
            self._writer.add_scalar(f"dice/{prompt}", value, validation.step)
        self._writer.flush()
        self._then.validated(validation)


def with_tensorboard(folder: Path, listener: TrainingListener) -> TrainingListener:
    """The listener, and one for TensorBoard's files in the folder if TensorBoard is installed."""
    return listener if importlib.util.find_spec("tensorboard") is None else TensorBoardListener(folder, listener)
