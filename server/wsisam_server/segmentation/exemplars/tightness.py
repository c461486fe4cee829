"""How tightly a model's masks are to be read, so that they fit what was drawn."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import shapely

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from wsisam_server.core.geometry import Window

THRESHOLDS: Final = np.linspace(-1.0, 3.0, 17)
"""Logits that are tried, about the model's own 0."""

PRIOR: Final = 0.01
"""IoU that a threshold must gain for each logit that it is off 0: a few drawn objects are no proof."""

NEAR: Final = 1.0
"""How far about a drawn object a mask counts, in its sizes: other objects in the window do not."""


def cells_inside(shape: shapely.MultiPolygon, window: Window, cells: tuple[int, ...]) -> NDArray[np.int8]:
    """Which cells of a mask over a window lie in a shape.

    Args:
        shape: level-0 pixels.
        window: where the mask lies.
        cells: the mask's height and width.

    Returns:
        int8 [h, w]: 1 inside, 0 outside, -1 far away.
    """
    height, width = cells
    xs = window.x + (np.arange(width) + 0.5) * window.extent / width
    ys = window.y + (np.arange(height) + 0.5) * window.extent / height
    x0, y0, x1, y1 = shape.bounds
    reach_x, reach_y = NEAR * (x1 - x0), NEAR * (y1 - y0)
    columns, rows = np.abs(xs - (x0 + x1) / 2) <= reach_x, np.abs(ys - (y0 + y1) / 2) <= reach_y
    found = np.full((height, width), -1, np.int8)
    near = np.ix_(rows, columns)
    grid_x, grid_y = np.meshgrid(xs[columns], ys[rows])
    found[near] = shapely.contains_xy(shape, grid_x, grid_y)
    return found


def best_threshold(logits: NDArray[np.float32], drawn: NDArray[np.int8]) -> float:
    """The threshold at which a mask fits best what was drawn.

    Args:
        logits: [h, w].
        drawn: from `cells_inside`, of the same size.
    """
    near, inside = drawn >= 0, drawn == 1
    gains = []
    for threshold in THRESHOLDS:
        mask = (logits > threshold) & near
        union = max(int(np.count_nonzero(mask | inside)), 1)
        gains.append(int(np.count_nonzero(mask & inside)) / union - PRIOR * abs(threshold))
    return float(THRESHOLDS[int(np.argmax(gains))])
