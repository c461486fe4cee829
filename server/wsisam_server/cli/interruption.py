"""Ctrl+C: what a command has kept by then, and how to go on, instead of "Aborted!"."""

from __future__ import annotations

from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, Any, Final

import click

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

INTERRUPTED: Final = 130
"""The exit status of what was stopped by Ctrl+C, as shells have it (128 and the signal's number)."""


class StoppedError(click.ClickException):
    """A command was stopped by Ctrl+C. It is no error: the text says what was kept."""

    exit_code = INTERRUPTED

    def show(self, file: IO[Any] | None = None) -> None:
        """See click.ClickException."""
        click.echo(f"stopped: {self.message}" if self.message else "stopped", file=file, err=file is None)


@contextmanager
def on_stop(say: Callable[[], str]) -> Iterator[None]:
    """Ends the command on Ctrl+C within.

    Args:
        say: what was kept, and how to go on; asked for when it happens.

    Raises:
        StoppedError: Ctrl+C.
    """
    try:
        yield
    except KeyboardInterrupt:
        raise StoppedError(say()) from None
