"""Options of a dataset export."""

from __future__ import annotations

from dataclasses import dataclass

SMALLEST_WINDOW = 64


@dataclass(frozen=True, slots=True)
class ExportOptions:
    """Options of a dataset export.

    Attributes:
        window: side of the image windows in their own pixels, even.
        mpp: microns per pixel of the windows; None for the slide's full resolution.
        val: share of the slides that validate; 0 for none.
        slide_mpp: microns per level-0 pixel of the slides whose files do not say.
        case: regular expression; what it finds in a slide's name (its first group, if it has one) is the case that
            the slide belongs to, and a case is never split. None when each slide is a case of its own.
        seed: of all random choices.

    Raises:
        ValueError: a value makes no sense.
    """

    window: int = 1024
    mpp: float | None = None
    slide_mpp: float | None = None
    val: float = 0.2
    case: str | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        if self.window < SMALLEST_WINDOW or self.window % 2:
            raise ValueError(f"a window has an even number of pixels a side, {SMALLEST_WINDOW} or more")
        if self.mpp is not None and not 0 < self.mpp < float("inf"):
            raise ValueError("mpp is a number of microns above 0")
        if self.slide_mpp is not None and not 0 < self.slide_mpp < float("inf"):
            raise ValueError("slide_mpp is a number of microns above 0")
        if not 0 <= self.val < 1:
            raise ValueError("the share that validates is at least 0 and below 1")
