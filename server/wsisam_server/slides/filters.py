"""Filters over small arrays: sums and maxima over squares and cubes, and what is connected to an array's edge.

In: arrays. Out: arrays of the same size. In numpy alone: a machine that only reads slides needs
no scipy (tests hold both to the same results).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray


def window_sums(
    values: NDArray[Any], side: int, axes: Sequence[int], beyond: Literal["edge", "constant"]
) -> NDArray[np.int64]:
    """Sums over a square or cube about each value. They are exact.

    Args:
        values: integers or booleans, of any shape.
        side: of the cube. One of even size reaches further to the lower indices, as in scipy.
        axes: along which it reaches.
        beyond: what lies beyond the array: its outermost values, or zeros.

    Returns:
        int64, of the same shape.
    """
    sums = np.asarray(values, np.int64)
    for axis in axes:
        padded = np.moveaxis(_padded(sums, side, axis, beyond), axis, 0)
        totals = np.cumsum(padded, axis=0)
        totals[side:] -= totals[:-side].copy()
        sums = np.moveaxis(totals[side - 1 :], 0, axis)
    return sums


def window_maxima(values: NDArray[np.int64], side: int) -> NDArray[np.int64]:
    """The largest of the values in a cube about each one, along all axes; values are not negative.

    Args:
        values: of any shape.
        side: of the cube, odd.
    """
    maxima = values
    for axis in range(values.ndim):
        windows = np.lib.stride_tricks.sliding_window_view(_padded(maxima, side, axis, "constant"), side, axis)
        maxima = windows.max(axis=-1)
    return maxima


def reaching_the_edge(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Of a mask, what is connected to the array's edge: pixels that share a side are connected.

    Args:
        mask: bool [h, w].

    Returns:
        bool [h, w].
    """
    height, width = mask.shape
    # Node 0 is all that lies beyond the edge; the others are the mask's pixels.
    nodes = np.zeros((height + 2, width + 2), np.intp)
    nodes[1:-1, 1:-1][mask] = np.arange(1, np.count_nonzero(mask) + 1)
    known = np.pad(mask, 1, constant_values=True)
    pairs = [
        np.stack([one[both], other[both]])
        for one, other, both in (
            (nodes[1:], nodes[:-1], known[1:] & known[:-1]),
            (nodes[:, 1:], nodes[:, :-1], known[:, 1:] & known[:, :-1]),
        )
    ]
    found = np.zeros_like(mask)
    found[mask] = _components(int(np.count_nonzero(mask)) + 1, np.concatenate(pairs, axis=1))[1:] == 0
    return found


def _components(count: int, pairs: NDArray[np.intp]) -> NDArray[np.intp]:
    """For each node the lowest one that it is connected to, for pairs [2, n] of connected nodes.

    In each round, every root hooks onto its lowest neighbour, which halves the roots at least; then all paths are cut
    short.
    """
    parents = np.arange(count)
    while True:
        one, other = parents[pairs]
        apart = one != other
        if not apart.any():
            return parents
        one, other = one[apart], other[apart]
        np.minimum.at(parents, np.maximum(one, other), np.minimum(one, other))
        while True:
            shorter = parents[parents]
            if (shorter == parents).all():
                break
            parents = shorter


def _padded(values: NDArray[np.int64], side: int, axis: int, beyond: Literal["edge", "constant"]) -> NDArray[np.int64]:
    widths = [(0, 0)] * values.ndim
    widths[axis] = (side // 2, side - 1 - side // 2)
    return np.pad(values, widths, mode=beyond)
