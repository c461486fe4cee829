"""A slide's background, and how far pixels differ from it.

In: pixels from all over a slide. Out: a `Background`, which measures the difference of any other pixels of that slide.
It must never know what is asked about the slide, nor files.

Three kinds are distinguished. A bright background is white, or tinted or dimmed by the light or the mounting medium. A
dark one is that of fluorescence. A picture of tissue alone has none. Tissue differs from a bright background in colour
or in being darker: silver and black chromogens have no colour. Tissue is never taken for a tinted background, because
eosin and haematoxylin absorb green light the most, and no background does.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from wsisam_server.slides.filters import window_maxima, window_sums

if TYPE_CHECKING:
    from numpy.typing import NDArray

BLACK: Final = 8
"""What is not brighter was not scanned."""

WHITE: Final = 250
"""What is not darker was overexposed, or filled in by the reader where nothing was scanned."""

STEP: Final = 8
"""Width of a histogram's bin along each of red, green and blue. A peak is three bins wide."""

DIMMEST: Final = 140
"""A bright background has at least this brightness: cameras without a white balance show it at 150 or 160."""

TINT: Final = 64
"""Most by which the channels of a bright background differ: warm light and yellowed medium make 40."""

MAGENTA: Final = 10
"""Most by which red and blue exceed green on it. The palest eosin has 19, a camera's bluish white 7."""

PEAK: Final = 0.01
"""Least share of the pixels in a peak that is background: a small piece of it between tissue counts."""

SHARP: Final = 0.5
"""Least share of a peak in what lies around it. Background is even; pale tissue spreads over many colours."""

TINTED_BESIDE_WHITE: Final = 0.1
"""The same where white was found, which is background or filled in: then a second kind must be common."""

DARKEST: Final = 60
MOSTLY: Final = 0.2
"""A dark background is darker, and covers at least this share."""

DARKNESS: Final = 0.5
"""Weight of being darker beside being coloured: shadows and the edge of the field of view are darker, too."""


@dataclass(frozen=True, slots=True)
class Background:
    """What surrounds tissue on one slide.

    Attributes:
        colour: red, green and blue, 0 to 255. White where none was found.
        dark: brighter pixels differ from it, as in fluorescence; otherwise coloured and darker ones do.
    """

    colour: tuple[float, float, float] = (255.0, 255.0, 255.0)
    dark: bool = False

    def difference(self, pixels: NDArray[np.uint8], side: int) -> NDArray[np.float32]:
        """How far the place about each pixel differs from this background.

        Beside a bright background it is the range of red, green and blue after white balance, or half of how much
        darker the place is, whichever is greater. What is brighter than the background does not differ.

        Args:
            pixels: uint8 [h, w, 3].
            side: of the square in pixels over which red, green and blue are averaged before, against noise and dust.

        Returns:
            float32 [h, w], 0 to 255.
        """
        averaged = smoothed(pixels, side)
        own = np.array(self.colour, np.float32)
        if self.dark:
            return brightest_of(np.maximum(averaged - own, 0))
        balanced = np.minimum(averaged * (np.float32(255) / own), np.float32(255))
        brightest = brightest_of(balanced)
        coloured, darker = brightest - darkest_of(balanced), np.float32(DARKNESS) * (255 - brightest)
        return np.asarray(np.maximum(coloured, darker), np.float32)


def brightest_of(colours: NDArray[Any]) -> NDArray[np.float32]:
    """The greatest of red, green and blue: [..., 3] to float32 [...]. `max(axis=-1)` takes fifty times as long."""
    return np.asarray(np.maximum(np.maximum(colours[..., 0], colours[..., 1]), colours[..., 2]), np.float32)


def darkest_of(colours: NDArray[Any]) -> NDArray[np.float32]:
    """The least of red, green and blue."""
    return np.asarray(np.minimum(np.minimum(colours[..., 0], colours[..., 1]), colours[..., 2]), np.float32)


def smoothed(pixels: NDArray[np.uint8], side: int) -> NDArray[np.float32]:
    """Pixels averaged over squares: uint8 [h, w, 3] to float32 [h, w, 3]."""
    sums = window_sums(pixels, side, (0, 1), "edge")
    return np.asarray(sums / side**2, np.float32)


def background_of(averaged: NDArray[np.float32]) -> Background | None:
    """The background of a slide.

    Args:
        averaged: float32 [..., 3] from `smoothed`, of all the slide or of places all over it.

    Returns:
        None where there is none: tissue everywhere, or nothing that is as even as a background.
    """
    colours = averaged.reshape(-1, 3)
    if not len(colours):
        return None
    scanned = colours[brightest_of(colours) > BLACK]
    white = darkest_of(scanned) >= WHITE
    peak = _bright_background(scanned[~white], len(scanned))
    if white.sum() >= max(PEAK * len(scanned), 1):
        return Background(peak[0]) if peak and peak[1] >= TINTED_BESIDE_WHITE else Background()
    return Background(peak[0]) if peak else _dark(colours)


def _bright_background(colours: NDArray[np.float32], of: int) -> tuple[tuple[float, float, float], float] | None:
    """The brightest peak that can be background, and its share of `of` pixels."""
    counts = _histogram(colours)
    peaks, around = _sums(counts, 3), _sums(counts, 7)
    is_top = window_maxima(peaks, 3) == peaks
    tops = np.argwhere(is_top & (peaks >= max(PEAK * of, 1)) & (peaks >= SHARP * around))
    for at in sorted(tops, key=lambda top: -int(top.sum())):
        members = _members(colours, at)
        red, green, blue = colour = _median(members)
        is_bright = sum(colour) / 3 >= DIMMEST
        if is_bright and max(colour) - min(colour) <= TINT and (red + blue) / 2 - green <= MAGENTA:
            return colour, len(members) / of
    return None


def _dark(colours: NDArray[np.float32]) -> Background | None:
    counts = _histogram(colours)
    peaks = _sums(counts, 3)
    members = _members(colours, _at(peaks))
    colour = _median(members)
    if max(colour) > DARKEST or len(members) < MOSTLY * len(colours):
        return None
    return Background(colour, dark=True)


def _at(values: NDArray[np.int64]) -> NDArray[np.intp]:
    """Where the largest value is."""
    return np.array(np.unravel_index(values.argmax(), values.shape), np.intp)


def _members(colours: NDArray[np.float32], at: NDArray[np.intp]) -> NDArray[np.float32]:
    """The colours in a peak."""
    return np.asarray(colours[(np.abs(_bins(colours) - at) <= 1).all(axis=1)], np.float32)


def _median(colours: NDArray[np.float32]) -> tuple[float, float, float]:
    red, green, blue = np.median(colours, axis=0).tolist()
    return red, green, blue


def _bins(colours: NDArray[np.float32]) -> NDArray[np.intp]:
    return np.minimum(colours / STEP, 256 // STEP - 1).astype(np.intp)


def _histogram(colours: NDArray[np.float32]) -> NDArray[np.int64]:
    side = 256 // STEP
    flat = np.ravel_multi_index(tuple(_bins(colours).T), (side, side, side))
    return np.bincount(flat, minlength=side**3).reshape(side, side, side)


def _sums(counts: NDArray[np.int64], side: int) -> NDArray[np.int64]:
    """About each bin, over a cube of bins."""
    return window_sums(counts, side, (0, 1, 2), "constant")
