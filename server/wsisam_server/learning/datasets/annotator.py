"""A simulated annotator: where a careful person would click, and how a hasty one draws a box.

Clicks follow the protocol of interactive segmentation (Xu et al. 2016, Sofiiuk et al. 2021): the first in the middle of
the object, each next one in the middle of the largest region that is still wrong.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import shapely
from scipy import ndimage

from wsisam_server.core.shapes import polygonal
from wsisam_server.learning.datasets.sample import CONNECTED

if TYPE_CHECKING:
    from numpy.typing import NDArray

BOX_JITTER = 0.1
"""How far a hand-drawn box is off, as the largest share of its own width or height."""


CRUDE_VERTICES = 12
CRUDE_SHIFT = 0.1
"""How far a crude outline is off its place, as a share of the object's width and height."""


class Click(NamedTuple):
    """A click in image pixels, pixel i covering [i, i + 1).

    Attributes:
        x: to the right.
        y: down.
        positive: whether it says "this belongs to the object".
    """

    x: float
    y: float
    positive: bool


def first_click(mask: NDArray[np.bool_]) -> tuple[float, float]:
    """The middle of the pixel that lies farthest from the object's edge.

    Distances are Euclidean to the nearest pixel outside; the image's border is an edge too, since nobody clicks where
    the object leaves the picture. Of several such pixels the uppermost counts, of those the leftmost.

    Args:
        mask: [H, W], the object; a crop will do if it holds the whole object.

    Returns:
        (x, y) in pixels of the mask.

    Raises:
        ValueError: the mask is empty.
    """
    if not mask.any():
        raise ValueError("there is nothing to click on: the mask is empty")
    (rows, columns) = ndimage.find_objects(mask.astype(np.int8))[0]
    depth = ndimage.distance_transform_edt(np.pad(mask[rows, columns], 1))
    y, x = np.unravel_index(int(depth.argmax()), depth.shape)
    return columns.start + float(x) - 0.5, rows.start + float(y) - 0.5


def next_click(mask: NDArray[np.bool_], prediction: NDArray[np.bool_]) -> Click | None:
    """The click that corrects the largest error: `first_click` of the largest region of wrong pixels.

    A region is 8-connected and either wholly missing from the prediction (positive click) or wholly too much (negative
    click). Of equally large ones a missing one counts first, then the uppermost.

    Args:
        mask: [H, W], the object.
        prediction: [H, W], what was predicted.

    Returns:
        The click in pixels of the mask, or None where the prediction is right everywhere.
    """
    wrong = mask != prediction
    if not wrong.any():
        return None
    (rows, columns) = ndimage.find_objects(wrong.astype(np.int8))[0]
    inside = mask[rows, columns]
    missing = _largest(wrong[rows, columns] & inside)
    surplus = _largest(wrong[rows, columns] & ~inside)
    positive = int(missing.sum()) >= int(surplus.sum())
    x, y = first_click(missing if positive else surplus)
    return Click(columns.start + x, rows.start + y, positive)


def jittered_box(
    box: tuple[float, float, float, float],
    size: tuple[int, int],
    random: np.random.Generator,
    *,
    share: float = BOX_JITTER,
) -> tuple[float, float, float, float]:
    """A box as a hand draws it: each side moved on its own, then clipped to the image.

    Args:
        box: (x0, y0, x1, y1) in image pixels, x0 < x1 and y0 < y1.
        size: (width, height) of the image.
        random: where chance comes from.
        share: each side moves by a uniform share of the box's extent across it, at most this; below 0.5, so that
            the sides cannot change places.

    Returns:
        (x0, y0, x1, y1).
    """
    x0, y0, x1, y1 = box
    dx0, dy0, dx1, dy1 = random.uniform(-share, share, 4)
    width, height = x1 - x0, y1 - y0
    return (
        max(x0 + float(dx0) * width, 0.0),
        max(y0 + float(dy0) * height, 0.0),
        min(x1 + float(dx1) * width, float(size[0])),
        min(y1 + float(dy1) * height, float(size[1])),
    )


def _largest(region: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The largest connected part of a region; all False if there is none."""
    labels, count = ndimage.label(region, structure=CONNECTED)
    if count == 0:
        return region
    return np.asarray(labels == 1 + int(np.bincount(labels.ravel())[1:].argmax()))


def crude_outline(
    box: tuple[float, float, float, float], size: tuple[int, int], random: np.random.Generator
) -> shapely.MultiPolygon:
    """A rough outline as a hasty hand draws it: the ellipse in an object's box, of 12 vertices, off its place.

    Args:
        box: (x0, y0, x1, y1) in image pixels, x0 < x1 and y0 < y1.
        size: (width, height) of the image, at which the outline is clipped.
        random: where chance comes from: the direction in which it is moved, by a tenth of the box's extent.
    """
    x0, y0, x1, y1 = box
    direction = float(random.uniform(0, 2 * np.pi))
    angles = np.arange(CRUDE_VERTICES) * 2 * np.pi / CRUDE_VERTICES
    xs = (x0 + x1) / 2 + (x1 - x0) * (CRUDE_SHIFT * np.cos(direction) + np.cos(angles) / 2)
    ys = (y0 + y1) / 2 + (y1 - y0) * (CRUDE_SHIFT * np.sin(direction) + np.sin(angles) / 2)
    ellipse = shapely.Polygon(np.stack([xs, ys], axis=1))
    return polygonal(shapely.intersection(ellipse, shapely.box(0, 0, *size)))
