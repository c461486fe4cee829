"""Where on a slide there is tissue: told from colour, as glass and background have none."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from wsisam_server.geometry import Point, Window

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from wsisam_server.slides import Slide

SIDE: Final = 1024
"""Of the picture that is looked at; on a slide of 3 cm, a pixel is 30 microns."""

GLASS: Final = 8
PALE: Final = 25
"""Between these the threshold lies, in steps of 0 to 255: glass and compression make less colour, the palest tissue
more. Without such bounds, Otsu's method would divide a slide of glass alone, or of tissue alone."""

SMOOTHING: Final = 2
"""Pixels on either side over which colour is averaged, against noise and dust."""


@dataclass(frozen=True)
class Tissue:
    """A picture of where tissue is.

    Attributes:
        mask: bool [height, width].
        downsample: level-0 pixels per pixel of the mask, whose first one begins at the slide's corner.
    """

    mask: NDArray[np.bool_]
    downsample: float

    @property
    def share(self) -> float:
        """Of the slide's area."""
        return float(self.mask.mean())

    def touches(self, columns: NDArray[np.float64], rows: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Which cells of a grid hold tissue.

        Args:
            columns: [n + 1] edges of the cells along x, ascending, in slide coordinates.
            rows: [m + 1] edges along y.

        Returns:
            [m, n].
        """
        height, width = self.mask.shape
        sums = np.zeros((height + 1, width + 1), np.int64)
        sums[1:, 1:] = self.mask.cumsum(0).cumsum(1)

        def spans(edges: NDArray[np.float64], side: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
            pixels = edges / self.downsample
            first = np.clip(np.floor(pixels[:-1]), 0, side).astype(np.intp)
            return first, np.clip(np.ceil(pixels[1:]), 0, side).astype(np.intp)

        (left, right), (top, bottom) = spans(columns, width), spans(rows, height)
        found = sums[np.ix_(bottom, right)] - sums[np.ix_(top, right)]
        found -= sums[np.ix_(bottom, left)] - sums[np.ix_(top, left)]
        return found > 0


def find_tissue(slide: Slide) -> Tissue:
    """Looks for tissue on a coarse picture of a slide.

    Colour is the difference of the largest and the smallest of red, green and blue: low in glass, in shadows and in
    black borders alike, unlike saturation, which is anything where it is dark. Otsu's method divides it in two.

    Raises:
        WsiSamServerError: SLIDE_UNREADABLE.
    """
    size = slide.info.size
    downsample = max(size.width, size.height, SIDE) / SIDE
    half = downsample * SIDE / 2
    picture = slide.read(Window.about(Point(half, half), downsample, SIDE))
    inside = picture[: math.ceil(size.height / downsample), : math.ceil(size.width / downsample)]
    colour = _averaged(inside.max(axis=2).astype(np.float32) - inside.min(axis=2))
    threshold = min(max(_otsu(colour), GLASS), PALE)
    return Tissue(colour > threshold, downsample)


def _averaged(values: NDArray[np.float32]) -> NDArray[np.float32]:
    for axis in (0, 1):
        width = [(SMOOTHING, SMOOTHING) if axis == each else (0, 0) for each in (0, 1)]
        padded = np.pad(values, width, mode="edge")
        count = values.shape[axis]
        parts = [np.take(padded, range(first, first + count), axis) for first in range(2 * SMOOTHING + 1)]
        values = np.mean(parts, axis=0, dtype=np.float32)
    return values


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
