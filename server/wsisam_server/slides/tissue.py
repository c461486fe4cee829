"""Where on a slide there is tissue: what differs from the slide's own background."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from wsisam_server.core.geometry import Point, Window
from wsisam_server.slides.background import BLACK, Background, background_of, brightest_of, smoothed
from wsisam_server.slides.base import DamagedRegionError
from wsisam_server.slides.filters import reaching_the_edge, window_sums
from wsisam_server.slides.parts import read_around_damage
from wsisam_server.slides.sampling import WHITE

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from wsisam_server.core.geometry import SlideSize
    from wsisam_server.slides.base import SlideInfo

SIDE: Final = 1024
"""Of the picture that is looked at; of a slide of 3 cm, a pixel is 30 microns."""

SMOOTHED: Final = 5
"""Pixels of it over which colours are averaged, against noise and dust."""

LEAST: Final = 8
MOST: Final = 16
"""Between these the threshold lies, in steps of 0 to 255. Noise and compression make less, the palest tissue has some
20. What is taken for tissue and is none costs time; tissue that is not found is lost."""

COMMON: Final = 0.005
"""Least share of a slide that differs, where tissue can be distinguished: less is a mark or a scale bar."""

PATCHES: Final = 16
"""Patches along the longer side of a slide that are looked at, to know its background."""

PATCH: Final = 64
"""Stored pixels along a patch: a million in all, whatever the slide's size and levels; of a pyramid's top, most."""


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


@dataclass(frozen=True, slots=True)
class BackgroundFilter:
    """Separates tissue from one slide's background, window by window.

    Attributes:
        background: of the slide.
        threshold: what differs from it by more is tissue; see `Background.difference`.
    """

    background: Background
    threshold: float

    def tissue_in(self, window: Window, pixels: NDArray[np.uint8], smallest: float) -> Tissue:
        """Finds tissue in a window, so that a single object of some size is not overlooked.

        Colours are averaged over squares of half that size: they fit into the object, and noise and dust are lost in
        them.

        Args:
            window: where.
            pixels: uint8 [window.size, window.size, 3].
            smallest: size of the objects, the diameter of the circle of their area, in level-0 pixels.
        """
        side = max(round(smallest / 2 / window.downsample), 1)
        mask = self.background.difference(pixels, side) > self.threshold
        if not self.background.dark and pixels.max() <= BLACK:
            mask[:] = False
        return Tissue(mask, window.downsample, Point(window.x, window.y))


def overview(slide: SlideInfo) -> list[list[Window]]:
    """Patches all over a slide, row by row, on the coarsest stored level that does: for `background_filter`."""
    width, height = slide.size.width, slide.size.height
    cell = max(width, height) / PATCHES
    downsample = max((each for each in slide.downsamples if each <= cell / PATCH), default=slide.downsamples[0])
    xs, ys = ((np.arange(count) + 0.5) / count for count in (math.ceil(width / cell), math.ceil(height / cell)))
    return [[Window.about(Point(x * width, y * height), downsample, PATCH) for x in xs.tolist()] for y in ys.tolist()]


def background_filter(patches: Sequence[NDArray[np.uint8]]) -> BackgroundFilter | None:
    """The filter that separates tissue from background on a slide.

    Args:
        patches: uint8 [n, n, 3], those of `overview` that can be read.

    Returns:
        None where they cannot be distinguished: there is no background, or next to nothing differs from it.
    """
    if not patches:
        return None
    background = background_of(np.stack([smoothed(patch, SMOOTHED) for patch in patches]))
    if background is None:
        return None
    differences = np.stack([background.difference(patch, SMOOTHED) for patch in patches])
    threshold = _threshold(differences)
    return BackgroundFilter(background, threshold) if (differences > threshold).mean() >= COMMON else None


def find_tissue(size: SlideSize, read: Callable[[Window], NDArray[np.uint8]]) -> Tissue:
    """Finds tissue on a coarse picture of a whole slide. Single cells do not show on it.

    Args:
        size: of the slide.
        read: reads a window of it.

    Returns:
        The tissue. Where the slide is damaged there may be tissue, and counts as such.

    Raises:
        WsiSamServerError: SLIDE_UNREADABLE. DamagedRegionError where nothing can be read.
    """
    downsample = max(size.width, size.height, SIDE) / SIDE
    rows, columns = math.ceil(size.height / downsample), math.ceil(size.width / downsample)
    window = Window(0, 0, downsample, SIDE)
    picture, damaged = read_around_damage(read, window, PATCH, WHITE)
    if damaged.all():
        raise DamagedRegionError(window, private="no part of it can be read")
    inside = picture[:rows, :columns]
    # A slide without background is tissue all over, which white tells as well.
    background = background_of(smoothed(inside, SMOOTHED)) or Background()
    differences = background.difference(inside, SMOOTHED)
    mask = differences > _threshold(differences)
    if not background.dark:
        mask &= ~_unscanned(inside)
    mask |= damaged[:rows, :columns]
    return Tissue(mask, downsample, Point(0, 0))


def _threshold(differences: NDArray[np.float32]) -> float:
    """Twice what the background has in the middle, within bounds; what lies far above does not count."""
    pale = differences[differences <= MOST]
    return min(max(2 * float(np.median(pale)) if pale.size else 0, LEAST), MOST)


def _unscanned(picture: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Black that reaches the picture's edge, with the rim that averaging gives it: bool [h, w]."""
    black: NDArray[np.bool_] = brightest_of(picture) <= BLACK
    if not black.any():
        return black
    return window_sums(reaching_the_edge(black), 2 * (SMOOTHED // 2) + 1, (0, 1), "constant") > 0
