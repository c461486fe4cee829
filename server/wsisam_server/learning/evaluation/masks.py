"""Logits of a window -> the mask in image pixels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from wsisam_server.core.geometry import SlideSize, Window


@dataclass(frozen=True, slots=True)
class PixelRegion:
    """A half-open rectangle of image pixels."""

    x0: int
    y0: int
    x1: int
    y1: int

    @classmethod
    def about(cls, box: tuple[int, int, int, int], window: Window, size: SlideSize) -> PixelRegion:
        """The smallest region that holds a box of the image, and the window as far as it lies on the image.

        Outside it neither an object with this box nor an answer in this window has a pixel, so that scores over the
        region are scores over the whole image.
        """
        seen = window.region
        return cls(
            min(box[0], max(int(np.floor(seen.x0)), 0)),
            min(box[1], max(int(np.floor(seen.y0)), 0)),
            max(box[2], min(int(np.ceil(seen.x1)), size.width)),
            max(box[3], min(int(np.ceil(seen.y1)), size.height)),
        )

    def union(self, other: PixelRegion) -> PixelRegion:
        """The smallest region that holds both."""
        return PixelRegion(
            min(self.x0, other.x0), min(self.y0, other.y0), max(self.x1, other.x1), max(self.y1, other.y1)
        )


def predicted(logits: NDArray[np.float32], window: Window, region: PixelRegion) -> NDArray[np.bool_]:
    """The pixels of a region whose centre lies in the window, where the logits are positive.

    Between samples the logits are interpolated linearly along both axes; the outer half cell repeats the nearest
    sample, as in the outlines that the server sends.

    Args:
        logits: [h, w] over the whole window: sample (r, c) lies at (c + 0.5) / w and (r + 0.5) / h of its extent.
        window: in image pixels.
        region: what to return.

    Returns:
        bool [region.y1 - region.y0, region.x1 - region.x0].
    """
    height, width = logits.shape
    mask = np.zeros((region.y1 - region.y0, region.x1 - region.x0), bool)
    rows, top, bottom, down = _samples(region.y0, region.y1, window.y, window.extent, height)
    columns, left, right, across = _samples(region.x0, region.x1, window.x, window.extent, width)
    if not rows.size or not columns.size:
        return mask
    lines = logits[top] * (1 - down)[:, None] + logits[bottom] * down[:, None]
    values = lines[:, left] * (1 - across) + lines[:, right] * across
    mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1] = values > 0
    return mask


def _samples(
    start: int, stop: int, edge: float, extent: float, count: int
) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.intp], NDArray[np.float64]]:
    """Along one axis: the pixels whose centre lies in the window, the samples before and after each, and how far on."""
    share = (np.arange(start, stop) + 0.5 - edge) / extent
    inside = np.flatnonzero((share >= 0) & (share < 1))
    position = np.clip(share[inside] * count - 0.5, 0, count - 1)
    before = np.floor(position).astype(np.intp)
    return inside, before, np.minimum(before + 1, count - 1), position - before
