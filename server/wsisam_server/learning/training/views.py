"""A window's pixels and labels, at high and at low resolution."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from wsisam_server.learning.datasets import ImageSlide

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from wsisam_server.core.geometry import Window
    from wsisam_server.learning.datasets import Sample
    from wsisam_server.learning.training.augment import Augmentation

LABEL_SIDE = 256
"""Side of the label maps: that of the model's masks, whatever the side of its input."""


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
