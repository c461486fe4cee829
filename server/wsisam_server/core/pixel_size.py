"""How large a pixel is: which values are plausible, and whose counts."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Final

# Microscopes reach 0.05 um per pixel at 100x; 20 um is a macro photograph. Beyond lie the 72 and 96 dpi that image
# programs write when they know nothing (353 and 265 um).
SMALLEST_MPP = 0.05
LARGEST_MPP = 20.0

SIGNIFICANT_DIFFERENCE: Final = 0.02
"""Share by which two pixel sizes may differ and still mean the same: scanners and programs round them."""


class PixelSizeSource(Enum):
    """Who says how large a pixel is."""

    NOBODY = "nobody"
    SLIDE = "slide"
    CLIENT = "client"


@dataclass(frozen=True, slots=True)
class PixelSize:
    """The pixel size that one request is answered with.

    Attributes:
        mpp: microns per level-0 pixel, the mean of x and y; None when nobody knows it, and lengths are pixels.
        source: who says so.
        ignored_mpp: the client's own, where the file says another one that differs by more than
            `SIGNIFICANT_DIFFERENCE`.
    """

    mpp: float | None = None
    source: PixelSizeSource = PixelSizeSource.NOBODY
    ignored_mpp: float | None = None

    @classmethod
    def chosen(cls, of_slide: float | None, of_client: float | None) -> PixelSize:
        """The file's where it has one, else the client's."""
        if of_slide is not None:
            ignored = of_client if differs(of_slide, of_client) else None
            return cls(of_slide, PixelSizeSource.SLIDE, ignored)
        if of_client is not None:
            return cls(of_client, PixelSizeSource.CLIENT)
        return cls()


def differs(one: float | None, other: float | None) -> bool:
    """Whether two pixel sizes, in the same unit, are known and differ so much that one of them must be wrong."""
    if one is None or other is None:
        return False
    return abs(one - other) > SIGNIFICANT_DIFFERENCE * min(one, other)


@dataclass(frozen=True, slots=True)
class Axes:
    """Microns per level-0 pixel along x and y, both plausible."""

    x: float
    y: float

    @property
    def mean(self) -> float:
        """What lengths in any direction are taken with, as in QuPath."""
        return (self.x + self.y) / 2

    @property
    def are_square(self) -> bool:
        """Whether pixels are as wide as high, as nearly all scanners' are."""
        return not differs(self.x, self.y)


def plausible_axes(x: float | None, y: float | None) -> Axes | None:
    """Both axes' microns per pixel; None when either is missing, NaN, not positive, or no microscope's."""
    if x is None or y is None:
        return None
    if not (SMALLEST_MPP <= x <= LARGEST_MPP and SMALLEST_MPP <= y <= LARGEST_MPP):
        return None
    return Axes(x, y)


def mean_mpp(x: float | None, y: float | None) -> float | None:
    """Averages the microns per pixel of both axes.

    Returns:
        Their mean; None when either is missing, NaN, not positive, or no microscope's.
    """
    axes = plausible_axes(x, y)
    return None if axes is None else axes.mean
