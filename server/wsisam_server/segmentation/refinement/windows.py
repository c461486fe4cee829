"""Which finer windows a coarse answer's border needs, within a bound on their number."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from wsisam_server.core.geometry import FieldPair, SlideSize, Window
from wsisam_server.segmentation.fields import onto_slide
from wsisam_server.segmentation.refinement.resampling import centers

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from wsisam_server.core.requests import ResolvedRefinement


STRIDE: Final = 0.5
"""From one window to the next, in sides of the window: weights that fall to 0 at the edges then add up to 1 inside."""

REACH: Final = 0.25
"""A window is read if the border passes through its middle, up to this share of its side from the centre."""


MAX_OCTAVES: Final = 4
"""The finest cell is a 16th of the coarse one: an object that takes half the coarse field then has the extent of 8
windows, and a mosaic over the whole field, the worst case, 4,096 cells a side."""


@dataclass(frozen=True, slots=True)
class BorderWindows:
    """The windows along a border.

    Attributes:
        levels: of each level its windows, row by row from the top, as the slide's tiles lie. The coarsest level is
            first, and each has half the downsample of the one before.
        truncated: whether the finest is coarser than was asked for, because that would have needed more windows.
    """

    levels: tuple[tuple[FieldPair, ...], ...]
    truncated: bool


def border_windows(
    logits: NDArray[np.float32], window: Window, slide: SlideSize, refinement: ResolvedRefinement
) -> BorderWindows:
    """Plans rings about an answer's border, as fine as the bound allows.

    Each level has half the downsample of the one before, up to `MAX_OCTAVES` times. So its windows lie on the planner's
    grid of scales. They also lie on a grid of half windows from the slide's corner, so that neighbours and repeated
    prompts share them. On the slide's border they move inwards, as all fields do.

    Args:
        logits: [n, n] over the window.
        window: the coarse field's.
        slide: the slide's size.
        refinement: how fine, and in how many windows.

    Returns:
        None of them where the answer has no border on the slide, or is fine enough as it is.
    """
    cell = window.extent / logits.shape[0]
    wanted = min(max(round(math.log2(cell / refinement.downsample)), 0), MAX_OCTAVES)
    xs, ys = _border(logits, window, slide)
    levels: list[tuple[FieldPair, ...]] = []
    left = refinement.max_windows
    for octaves in range(1, wanted + 1):
        fields = _along(xs, ys, window.downsample / 2**octaves, window.size, slide)
        left -= len(fields)
        if left < 0 or not fields:
            break
        levels.append(fields)
    return BorderWindows(tuple(levels), truncated=left < 0)


def _border(
    logits: NDArray[np.float32], window: Window, slide: SlideSize
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Middles of the cells on the slide that have a neighbour of the other sign, in level-0 pixels: [k] each."""
    inside = logits > 0
    border = np.zeros_like(inside)
    across, down = inside[:, 1:] != inside[:, :-1], inside[1:] != inside[:-1]
    border[:, 1:] |= across
    border[:, :-1] |= across
    border[1:] |= down
    border[:-1] |= down
    rows, columns = np.nonzero(border)
    xs = centers(window.x, window.extent, logits.shape[1])[columns]
    ys = centers(window.y, window.extent, logits.shape[0])[rows]
    seen = (xs >= 0) & (xs <= slide.width) & (ys >= 0) & (ys <= slide.height)
    return xs[seen], ys[seen]


def _along(
    xs: NDArray[np.float64], ys: NDArray[np.float64], downsample: float, size: int, slide: SlideSize
) -> tuple[FieldPair, ...]:
    extent = downsample * size
    step, reach = STRIDE * extent, REACH * extent
    # Each place lies in the middle of one window along each axis, or of two where their middles meet.
    places = set()
    for right in (-reach, reach):
        for under in (-reach, reach):
            columns = np.rint((xs + right * 0.999) / step).astype(int)
            rows = np.rint((ys + under * 0.999) / step).astype(int)
            near = (np.abs(columns * step - xs) <= reach) & (np.abs(rows * step - ys) <= reach)
            places |= set(zip(rows[near].tolist(), columns[near].tolist(), strict=True))
    windows = dict.fromkeys(
        Window(
            onto_slide(column * step - extent / 2, extent, slide.width),
            onto_slide(row * step - extent / 2, extent, slide.height),
            downsample,
            size,
        )
        for row, column in sorted(places)
    )
    return tuple(FieldPair(window) for window in windows)
