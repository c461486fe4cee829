"""Training windows, each about one object at a scale at which the server would show it: pixels and labels."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

from wsisam_server.core.geometry import FieldPair, Window
from wsisam_server.learning.datasets import ImageSlide, ObjectMask, Sample, crop
from wsisam_server.learning.training.augment import Augmentation
from wsisam_server.segmentation.fields import onto_slide

if TYPE_CHECKING:
    from numpy.typing import NDArray

LABEL_SIDE = 256
"""Side of the label maps: that of the model's masks, whatever the side of its input."""

SHARES = ((0.08, 0.25, 0.12), (0.25, 0.70, 0.76), (0.70, 0.80, 0.12))
"""(low, high, probability): the object's part of the window's side. The planner aims at 0.5 within a factor of
sqrt(2) when the viewport shows twice the object, so most windows lie there; the rest is for other zooms."""

WIDE_SHARES = ((1 / 12, 0.25, 0.35), (0.25, 0.70, 0.43), (0.70, 1.00, 0.12), (1.00, 1.60, 0.10))
"""The same for somebody who has not zoomed in, or so far that the object does not fit into the window. Where the image
is too small for the first, which it is for all but nuclei, as much of it is shown as there is."""

_SHARE_AIMED_AT = 0.5

OFF_CENTER = 1 / 8
"""How far the planner's grid may put a prompt's centre off the window's, as a share of the window's side."""

_ABOUT_CLICK = 0.6  # of the windows lie about a click, as the planner places them; the others about a box


@dataclass(frozen=True, slots=True)
class TrainingWindow:
    """One window of one image.

    Attributes:
        field: HR and LR window.
        label: the object that it was chosen for.
        augmentation: what is changed in it.
    """

    field: FieldPair
    label: int
    augmentation: Augmentation


def draw(
    sample: Sample,
    items: list[ObjectMask],
    image_size: int,
    random: np.random.Generator,
    *,
    vary_scale: bool = True,
    vary_stain: bool = True,
    wide: bool = False,
) -> TrainingWindow:
    """Draws a window about one of an image's objects.

    Args:
        sample: the image.
        items: its objects, at least one.
        image_size: side of the model's square input in pixels.
        random: where chance comes from.
        vary_scale: without, the object is always half the window's side.
        vary_stain: see `Augmentation.draw`.
        wide: draw from `WIDE_SHARES` instead of `SHARES`.
    """
    item = items[int(random.integers(len(items)))]
    x0, y0, x1, y1 = item.box
    extent = max(x1 - x0, y1 - y0)
    height, width = sample.labels.shape
    share = _share(random, WIDE_SHARES if wide else SHARES)
    side = min(extent / (share if vary_scale else _SHARE_AIMED_AT), float(max(width, height)))
    # an object that does not fit is seen about a click on it: no box about it could be drawn
    if random.random() < _ABOUT_CLICK or extent > side:
        x, y = interior_point(crop(sample.labels, item), random)
        center_x, center_y = x0 + x, y0 + y
    else:
        center_x, center_y = (x0 + x1) / 2, (y0 + y1) / 2
    shift_x, shift_y = random.uniform(-OFF_CENTER, OFF_CENTER, 2) * side
    window = Window(
        onto_slide(center_x + float(shift_x) - side / 2, side, width),
        onto_slide(center_y + float(shift_y) - side / 2, side, height),
        side / image_size,
        image_size,
    )
    return TrainingWindow(FieldPair(window), item.label, Augmentation.draw(random, vary_stain=vary_stain))


def interior_point(mask: NDArray[np.bool_], random: np.random.Generator) -> tuple[float, float]:
    """A point on an object, as hands hit it: rather in the middle than near the edge.

    Args:
        mask: [H, W], the object, not empty.
        random: where chance comes from.

    Returns:
        (x, y) of the middle of a pixel, drawn in proportion to the cube of its distance from the edge.
    """
    depth = ndimage.distance_transform_edt(np.pad(mask, 1))[1:-1, 1:-1]
    weights = np.cumsum(depth.ravel() ** 3)
    index = int(np.searchsorted(weights, random.random() * weights[-1], side="right"))
    y, x = np.unravel_index(min(index, mask.size - 1), mask.shape)
    return float(x) + 0.5, float(y) + 0.5


def generator(seed: int, *names: object) -> np.random.Generator:
    """A source of chance of its own for each name, so that one image more does not change the draws of the others."""
    digest = hashlib.sha256(repr((seed, *names)).encode()).digest()
    return np.random.default_rng(int.from_bytes(digest[:16], "big"))


def _share(random: np.random.Generator, shares: tuple[tuple[float, float, float], ...]) -> float:
    low, high, _ = shares[int(random.choice(len(shares), p=[probability for *_, probability in shares]))]
    return float(random.uniform(low, high))


def read_pixels(sample: Sample, window: Window, augmentation: Augmentation) -> NDArray[np.uint8]:
    """Reads a window as the server does, padding included, and changes it: uint8 [S, S, 3], RGB."""
    return augmentation.orient(augmentation.stain(ImageSlide(sample.image).read(window)))


def read_labels(sample: Sample, window: Window, augmentation: Augmentation) -> NDArray[np.uint16]:
    """The object at each pixel of the window's mask, 0 for none and beyond the image: uint16 [256, 256]."""
    return augmentation.orient(labels_in(sample.labels, window)).astype(np.uint16)


def labels_in(labels: NDArray[np.int32], window: Window) -> NDArray[np.int32]:
    """The labels under the middles of a mask's pixels.

    Args:
        labels: [H, W] of the image.
        window: where in the image.

    Returns:
        [256, 256]; 0 beyond the image.
    """
    step = window.extent / LABEL_SIDE
    middle = (np.arange(LABEL_SIDE) + 0.5) * step
    columns, rows = np.floor(window.x + middle).astype(int), np.floor(window.y + middle).astype(int)
    height, width = labels.shape
    inside = np.ix_((rows >= 0) & (rows < height), (columns >= 0) & (columns < width))
    out = np.zeros((LABEL_SIDE, LABEL_SIDE), np.int32)
    out[inside] = labels[np.ix_(rows[(rows >= 0) & (rows < height)], columns[(columns >= 0) & (columns < width)])]
    return out
