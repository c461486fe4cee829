"""Logits of one window, read at places of another."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from wsisam_server.core.geometry import Window


def centers(edge: float, extent: float, count: int) -> NDArray[np.float64]:
    """The middles of `count` equal cells from `edge` on, over `extent`: [count]."""
    return edge + (np.arange(count) + 0.5) / count * extent


def read(
    logits: NDArray[np.float32], window: Window, xs: NDArray[np.float64], ys: NDArray[np.float64]
) -> NDArray[np.float32]:
    """Logits over a window, interpolated linearly between samples as outlines are; beyond, the nearest sample repeats.

    Args:
        logits: [h, w] over the whole window.
        window: where they lie on the slide.
        xs: level-0 positions of the columns wanted, [n].
        ys: level-0 positions of the rows wanted, [m].

    Returns:
        [m, n].
    """
    rows, columns = logits.shape
    top, bottom, down = _neighbours((ys - window.y) / window.extent, rows)
    left, right, across = _neighbours((xs - window.x) / window.extent, columns)
    # Along the longer axis last: the intermediate stays as small as the logits are.
    lines = logits[:, left] * (1 - across) + logits[:, right] * across
    return (lines[top] * (1 - down)[:, None] + lines[bottom] * down[:, None]).astype(np.float32, copy=False)


def _neighbours(
    shares: NDArray[np.float64], count: int
) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.float32]]:
    """The samples before and after each place along one axis, and how far it is on from the first to the second."""
    position = np.clip(shares * count - 0.5, 0, count - 1)
    before = np.floor(position).astype(np.intp)
    return before, np.minimum(before + 1, count - 1), (position - before).astype(np.float32)
