"""Where on a slide there is tissue: told from colour, as glass and background have none."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
from scipy import ndimage

from wsisam_server.geometry import Point, Window

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from wsisam_server.geometry import SlideSize

SIDE: Final = 1024
"""Of the picture that is looked at; of a slide of 3 cm, a pixel is 30 microns."""

GLASS: Final = 8
PALE: Final = 25
"""Between these the threshold lies, in steps of 0 to 255: glass and compression make less colour, the palest tissue
more. Without such bounds, Otsu's method would divide a slide of glass alone, or of tissue alone."""

SMOOTHING: Final = 2
"""Pixels of it on either side over which colour is averaged, against noise and dust."""


@dataclass(frozen=True)
class Tissue:
    """A picture of where tissue is.

    Attributes:
        mask: bool [height, width].
        downsample: level-0 pixels per pixel of the mask.
        corner: where its first one begins.
    """

    mask: NDArray[np.bool_]
    downsample: float
    corner: Point

    @property
    def share(self) -> float:
        """Of the picture's area."""
        return float(self.mask.mean())

    def touches(self, columns: NDArray[np.float64], rows: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Which cells of a grid hold tissue.

        Args:
            columns: [n + 1] edges of the cells along x, ascending, in slide coordinates.
            rows: [m + 1] edges along y.

        Returns:
            [m, n].
        """
        left, right = self._spans(columns[:-1] - self.corner.x, columns[1:] - self.corner.x, self.mask.shape[1])
        top, bottom = self._spans(rows[:-1] - self.corner.y, rows[1:] - self.corner.y, self.mask.shape[0])
        sums = self._sums()
        found = sums[np.ix_(bottom, right)] - sums[np.ix_(top, right)]
        found -= sums[np.ix_(bottom, left)] - sums[np.ix_(top, left)]
        return found > 0

    def near(self, xs: NDArray[np.float64], ys: NDArray[np.float64], reach: float) -> NDArray[np.bool_]:
        """About which places there is tissue.

        Args:
            xs: [n] in slide coordinates.
            ys: [n].
            reach: to each side, in level-0 pixels; of what lies beyond the picture nothing is known, and none counted.

        Returns:
            [n].
        """
        left, right = self._spans(xs - reach - self.corner.x, xs + reach - self.corner.x, self.mask.shape[1])
        top, bottom = self._spans(ys - reach - self.corner.y, ys + reach - self.corner.y, self.mask.shape[0])
        sums = self._sums()
        return sums[bottom, right] - sums[top, right] - sums[bottom, left] + sums[top, left] > 0

    def _sums(self) -> NDArray[np.int64]:
        """[height + 1, width + 1]: the tissue above and to the left."""
        height, width = self.mask.shape
        sums = np.zeros((height + 1, width + 1), np.int64)
        sums[1:, 1:] = self.mask.cumsum(0).cumsum(1)
        return sums

    def _spans(
        self, starts: NDArray[np.float64], ends: NDArray[np.float64], side: int
    ) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        first = np.clip(np.floor(starts / self.downsample), 0, side).astype(np.intp)
        return first, np.clip(np.ceil(ends / self.downsample), 0, side).astype(np.intp)


def find_tissue(size: SlideSize, read: Callable[[Window], NDArray[np.uint8]]) -> Tissue:
    """Looks for tissue on a coarse picture of a whole slide; single cells do not show on it.

    Args:
        size: of the slide.
        read: reads a window of it.

    Raises:
        WsiSamServerError: SLIDE_UNREADABLE.
    """
    downsample = max(size.width, size.height, SIDE) / SIDE
    picture = read(Window(0, 0, downsample, SIDE))
    inside = picture[: math.ceil(size.height / downsample), : math.ceil(size.width / downsample)]
    found = colour(inside, 2 * SMOOTHING + 1)
    return Tissue(found > divided(found), downsample, Point(0, 0))


def colour(pixels: NDArray[np.uint8], side: int) -> NDArray[np.float32]:
    """How much colour there is about each pixel: the difference of the largest and the smallest of red, green and blue.

    It is low in glass, in shadows and in black borders alike, unlike saturation, which is anything where it is dark.

    Args:
        pixels: uint8 [h, w, 3].
        side: of the square over which red, green and blue are averaged before, so that noise is no colour.

    Returns:
        [h, w], 0 to 255.
    """
    averaged = ndimage.uniform_filter(pixels.astype(np.float32), (side, side, 1), mode="nearest")
    found: NDArray[np.float32] = averaged.max(axis=2) - averaged.min(axis=2)
    return found


def divided(colours: NDArray[np.float32]) -> float:
    """The colour that divides glass from tissue in a picture of both: Otsu's method, within bounds."""
    return min(max(_otsu(colours), GLASS), PALE)


def _otsu(values: NDArray[np.float32]) -> float:
    """The threshold at which the two classes' means are farthest apart, weighed by their sizes (Otsu 1979)."""
    counts, edges = np.histogram(values, bins=256, range=(0, 256))
    below = counts.cumsum()[:-1]
    above = counts.sum() - below
    moments = (counts * np.arange(256)).cumsum()
    with np.errstate(divide="ignore", invalid="ignore"):
        apart = moments[:-1] / below - (moments[-1] - moments[:-1]) / above
    between = np.nan_to_num(below * above * apart**2, posinf=0, neginf=0)
    return float(edges[1 + between.argmax()])
