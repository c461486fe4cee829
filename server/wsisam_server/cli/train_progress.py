"""How far a training run is: bars on a terminal, and a line now and then where there is none, as in a log."""

from __future__ import annotations

import time
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import Console

    from wsisam_server.learning.training import TrainingListener, Validation

LINE_SECONDS = 60.0
"""Least time between two lines."""


@contextmanager
def watching(console: Console) -> Iterator[TrainingListener]:
    """A listener that writes to the console for as long as the context lasts."""
    if not console.is_terminal:
        yield Lines(console)
        return
    bars = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
        console=console,
    )
    with bars:
        yield Bars(bars)


class Bars:
    """Shows bars with the time left, and a line for each validation."""

    def __init__(self, bars: Progress) -> None:
        self._bars = bars
        self._windows = bars.add_task("encoding windows", total=None, note="")
        self._steps = bars.add_task("training", total=None, note="", visible=False)

    def encoded(self, done: int, total: int) -> None:
        """See `TrainingListener`."""
        self._bars.update(self._windows, completed=done, total=total)

    def stepped(self, step: int, steps: int, loss: float) -> None:
        """See `TrainingListener`."""
        self._bars.update(self._steps, completed=step, total=steps, visible=True, note=f"loss {loss:.3f}")

    def validated(self, validation: Validation) -> None:
        """See `TrainingListener`."""
        self._bars.console.print(_line(validation), highlight=False)


class Lines:
    """Writes lines, at most one a minute and one for each validation."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._last = -LINE_SECONDS
        self._first: tuple[int, float] | None = None

    def encoded(self, done: int, total: int) -> None:
        """See `TrainingListener`."""
        if self._is_time() or done == total:
            self._write(f"encoding windows: {done} of {total}")

    def stepped(self, step: int, steps: int, loss: float) -> None:
        """See `TrainingListener`."""
        now = time.monotonic()
        first_step, started = self._first = self._first or (step, now)
        if step > first_step and (self._is_time() or step == steps):
            pace = (now - started) / (step - first_step)
            left = timedelta(seconds=round(pace * (steps - step)))
            self._write(f"step {step} of {steps}: loss {loss:.3f}, {pace:.2f} s a step, {left} left")

    def validated(self, validation: Validation) -> None:
        """See `TrainingListener`."""
        self._write(_line(validation))

    def _is_time(self) -> bool:
        now = time.monotonic()
        if now - self._last < LINE_SECONDS:
            return False
        self._last = now
        return True

    def _write(self, text: str) -> None:
        self._console.print(text, highlight=False, soft_wrap=True)


def _line(validation: Validation) -> str:
    means = "  ".join(f"{prompt} {value:.3f}" for prompt, value in validation.means.items())
    return f"step {validation.step}: Dice {means}"
