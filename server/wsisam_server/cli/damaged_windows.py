"""Warns of windows of a slide that could not be read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import click

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

MOST_NAMED = 20
"""Windows that are named one by one."""


class _Window(Protocol):
    """A square of a slide, as a value or as a message."""

    @property
    def x(self) -> float: ...
    @property
    def y(self) -> float: ...
    @property
    def downsample(self) -> float: ...
    @property
    def size(self) -> int: ...


def warn_of_damage(slide: Path, windows: Sequence[_Window]) -> None:
    """Names, on standard error, the windows that were left out. Says nothing where there are none.

    Args:
        slide: the file, as the user gave it.
        windows: in level-0 pixels.
    """
    if not windows:
        return
    named = [f"  {_described(window)}" for window in windows[:MOST_NAMED]]
    more = [f"  and {len(windows) - MOST_NAMED} more"] if len(windows) > MOST_NAMED else []
    head = (
        f"warning: {slide} is damaged: {len(windows)} {'window' if len(windows) == 1 else 'windows'} could not be read "
        "and were left out. Copy the file again, and run this again. In level-0 pixels:"
    )
    click.echo("\n".join([head, *named, *more]), err=True)


def _described(window: _Window) -> str:
    side = round(window.size * window.downsample)
    return f"x {round(window.x)}, y {round(window.y)}, {side} x {side}"
