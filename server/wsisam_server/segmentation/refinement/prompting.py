"""What a finer window is asked: about the box of the part that it sees, with sure points."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
from scipy import ndimage

from wsisam_server.core.geometry import Box, Point
from wsisam_server.core.prompt import PromptPoint, SlidePrompt
from wsisam_server.segmentation.refinement.resampling import centers, read

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from wsisam_server.core.geometry import Window

POINTS: Final = 3
"""Of each kind. One of each was measured to leave the model to guess what is meant."""

DEPTH_CELLS: Final = 4.0
"""A point lies at least so far from the coarse border and the window's edge, in the window's cells."""

SPREAD: Final = 0.7
"""Each further point is as deep, and as far from the earlier ones, as can be; this share of the distance counts."""


def refinement_prompt(logits: NDArray[np.float32], window: Window, fine: Window) -> SlidePrompt | None:
    """Asks about the part of a coarse answer that a finer window sees: its box, and points deep inside and outside.

    Not with the coarse answer as a mask: of the ways that were tried this was the best
    (`benchmarks/large_objects.md`).

    Args:
        logits: [n, n], the coarse answer.
        window: where it lies.
        fine: the finer window.

    Returns:
        None where the window sees nothing of the object.
    """
    side = logits.shape[0]
    xs, ys = centers(fine.x, fine.extent, side), centers(fine.y, fine.extent, side)
    inside = read(logits, window, xs, ys) > 0
    if not inside.any():
        return None
    rows, columns = np.nonzero(inside)
    cell = fine.extent / side
    # A cell's edges, so that a part of one cell has a box too.
    left, right = float(xs[columns.min()] - cell / 2), float(xs[columns.max()] + cell / 2)
    top, bottom = float(ys[rows.min()] - cell / 2), float(ys[rows.max()] + cell / 2)
    box = Box(left, top, right, bottom)
    points = tuple(
        PromptPoint(Point(float(xs[column]), float(ys[row])), positive)
        for positive, mask in ((True, inside), (False, ~inside))
        for row, column in _deepest(mask)
    )
    return SlidePrompt(points, box)


def _deepest(mask: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """Cells (row, column) far from the mask's border, the window's edge, and from each other; at most `POINTS`."""
    depth = ndimage.distance_transform_edt(np.pad(mask, 1))[1:-1, 1:-1]
    rows, columns = np.indices(mask.shape)
    found: list[tuple[int, int]] = []
    while len(found) < POINTS:
        row, column = (int(place) for place in np.unravel_index(int(depth.argmax()), depth.shape))
        if depth[row, column] < DEPTH_CELLS:
            break
        found.append((row, column))
        depth = np.minimum(depth, SPREAD * np.hypot(rows - row, columns - column))
    return found
