"""How far a long command is: a bar on a terminal, and a line now and then where there is none, as in a log."""

from __future__ import annotations

import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rich.console import Console

LINE_SECONDS: Final = 60.0
"""Least time between two lines."""


@contextmanager
def counted(console: Console, what: str) -> Iterator[Callable[[int, int], None]]:
    """What to call with the items done and their total. A bar is shown until the end."""
    if not console.is_terminal:
        yield _lines(console, what)
        return
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=console,
        transient=True,
        # Rich would write what goes to a file to the terminal.
        redirect_stdout=sys.stdout.isatty(),
    ) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def _lines(console: Console, what: str) -> Callable[[int, int], None]:
    last = time.monotonic()

    def tell(done: int, total: int) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last >= LINE_SECONDS:
            last = now
            console.print(f"{what}: {done} of {total}", highlight=False, soft_wrap=True)

    return tell
