"""Every click honoured: logits are moved about a click that the model's answer contradicts.

A user who clicks on a place said what it is. The model may still draw it as the other, the more often the more clicks
there are. Here the logits are moved about such a click until its sample agrees. How far a sample moves falls with its
distance, and with how much its logit differs from the clicked one. So the border follows the model's own picture.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
from scipy import ndimage

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    Cell = tuple[int, int]

_REACH: Final = 24 / 256
"""Standard deviation of the move about a click, as a part of the mask's longer side; less where a click of the other
kind is near."""

_NEAR: Final = 1 / 3
"""Of the distance to that click."""

_MARGIN: Final = 1.0
"""The logit that a clicked sample gets: clearly on its side, and no plateau."""

_ROUNDS: Final = 3
"""Clicks near each other move one another's sample."""

_OWN_PART: Final = 0.01
"""A part that only a move made, and that is smaller than this share of the mask, belongs to the click alone."""


class Click(NamedTuple):
    """A click in the frame of a mask: sample (r, c) covers [c, c + 1) x [r, r + 1)."""

    x: float
    y: float
    positive: bool

    def cell(self, shape: tuple[int, ...]) -> Cell | None:
        """The sample (r, c) of a mask of [h, w] that it lies on; None beyond the mask."""
        height, width = shape
        return (int(self.y), int(self.x)) if 0 <= self.x < width and 0 <= self.y < height else None


def parts_of(logits: NDArray[np.float32]) -> tuple[NDArray[np.int32], int]:
    """The parts of a mask, connected by sides and corners: their numbers from 1, [h, w] with 0 elsewhere; how many."""
    parts, count = ndimage.label(logits > 0, np.ones((3, 3), bool))
    return parts, int(count)


def honoured(logits: NDArray[np.float32], clicks: Sequence[Click]) -> NDArray[np.float32]:
    """Moves logits until they agree with the clicks.

    A positive click is left as it is where honouring it would draw a small part of its own, or where the mask is empty:
    the model sees nothing there that belongs to an object.

    Args:
        logits: [h, w], finite; above 0 is the object. Never changed; returned as they are where every click agrees.
        clicks: all of the prompt. Those outside the mask have no effect.
    """
    on_mask = {index: click.cell(logits.shape) for index, click in enumerate(clicks)}
    cells = {index: cell for index, cell in on_mask.items() if cell is not None}
    if not (logits > 0).any():
        return logits
    while True:
        moved = _moved(logits, [(cell, clicks[index].positive) for index, cell in cells.items()])
        parts = _own_parts(logits, moved, {index: cell for index, cell in cells.items() if clicks[index].positive})
        if not parts:
            return moved
        for index in parts:
            del cells[index]


def _moved(logits: NDArray[np.float32], clicks: Sequence[tuple[Cell, bool]]) -> NDArray[np.float32]:
    for _ in range(_ROUNDS):
        before = logits
        for cell, positive in clicks:
            if (logits[cell] > 0) != positive:
                others = [math.dist(cell, other) for other, kind in clicks if kind is not positive]
                reach = max(min([_REACH * max(logits.shape), *(_NEAR * each for each in others)]), 1.0)
                logits = logits + _move(logits, cell, _MARGIN if positive else -_MARGIN, reach)
        if logits is before:
            break
    return logits


def _move(logits: NDArray[np.float32], cell: Cell, goal: float, reach: float) -> NDArray[np.float32]:
    """What is added so that a sample gets a logit: [h, w]."""
    rows, columns = (
        np.exp(-(((np.arange(count, dtype=np.float32) - at) / reach) ** 2) / 2)
        for count, at in zip(logits.shape, cell, strict=True)
    )
    delta = goal - float(logits[cell])
    alike = np.exp(-(((logits - logits[cell]) / delta) ** 2) / 2)
    move: NDArray[np.float32] = (delta * alike * rows[:, None] * columns).astype(np.float32)
    return move


def _own_parts(before: NDArray[np.float32], after: NDArray[np.float32], cells: Mapping[int, Cell]) -> list[int]:
    """Which clicks lie in a small part in which nothing was drawn before."""
    if after is before:
        return []
    parts, _ = parts_of(after)
    sizes = np.bincount(parts.ravel())
    small = sizes < _OWN_PART * sizes[1:].sum()
    small[parts[(before > 0) & (after > 0)]] = False
    small[0] = False
    return [index for index, cell in cells.items() if small[parts[cell]]]
