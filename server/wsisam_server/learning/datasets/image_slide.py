"""An image in memory as a slide, so that experiments read and pad patches exactly as the server does."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wsisam_server.core.geometry import SlideSize
from wsisam_server.slides import SlideInfo
from wsisam_server.slides.sampling import Grid, sample

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from wsisam_server.core.geometry import Window


class ImageSlide:
    """A slide of one level that is an array.

    Args:
        image: uint8 [H, W, 3], RGB; not copied.
        mpp: microns per pixel, if known.
    """

    def __init__(self, image: NDArray[np.uint8], mpp: float | None = None) -> None:
        self._level = _ArrayLevel(image)
        self._info = SlideInfo(
            size=SlideSize(image.shape[1], image.shape[0]),
            mpp=mpp,
            downsamples=(1.0,),
            fingerprint="",
            source="array",
        )

    @property
    def info(self) -> SlideInfo:
        """See `Slide.info`; without a fingerprint, since nothing is cached for longer than the array lives."""
        return self._info

    @property
    def nbytes(self) -> int:
        """See `Slide.nbytes`."""
        return self._level.nbytes

    def read(self, window: Window) -> NDArray[np.uint8]:
        """See `Slide.read`."""
        return sample(self._level, self._info.size, window)

    def close(self) -> None:
        """See `Slide.close`; there is nothing to let go of."""


class _ArrayLevel:
    def __init__(self, image: NDArray[np.uint8]) -> None:
        self._image = image
        self.nbytes = image.nbytes
        self.grid = Grid(0.0, 0.0, 1.0, 1.0, image.shape[1], image.shape[0])

    def snap(self, x: int, y: int) -> tuple[float, float]:
        return float(x), float(y)

    def read(self, x: float, y: float, width: int, height: int) -> NDArray[np.uint8]:
        left, top = int(x), int(y)
        return self._image[top : top + height, left : left + width]
