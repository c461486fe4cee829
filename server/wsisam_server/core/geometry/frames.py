"""The types: points, boxes and viewports in slide coordinates, and the square windows that the model reads."""

from __future__ import annotations

import math
from dataclasses import dataclass


def _require_finite(owner: str, **values: float) -> None:
    for name, value in values.items():
        if not math.isfinite(value):
            raise ValueError(f"{owner}.{name} must be a finite number, not {value}")


@dataclass(frozen=True, slots=True)
class Point:
    """A point in slide coordinates (level-0 pixels).

    Raises:
        ValueError: a coordinate is NaN or infinite.
    """

    x: float
    y: float

    def __post_init__(self) -> None:
        _require_finite("Point", x=self.x, y=self.y)


@dataclass(frozen=True, slots=True)
class Box:
    """An axis-aligned rectangle [x0, x1) x [y0, y1) in slide coordinates (level-0 pixels).

    Raises:
        ValueError: a coordinate is NaN or infinite, or a side is not positive.
    """

    x0: float
    y0: float
    x1: float
    y1: float

    def __post_init__(self) -> None:
        _require_finite("Box", x0=self.x0, y0=self.y0, x1=self.x1, y1=self.y1)
        if self.x1 <= self.x0 or self.y1 <= self.y0:
            raise ValueError(f"Box must have x0 < x1 and y0 < y1, not ({self.x0}, {self.y0}, {self.x1}, {self.y1})")

    @property
    def width(self) -> float:
        """Level-0 pixels along x."""
        return self.x1 - self.x0

    @property
    def height(self) -> float:
        """Level-0 pixels along y."""
        return self.y1 - self.y0


@dataclass(frozen=True, slots=True)
class SlideSize:
    """Width and height of a slide's level 0, in pixels."""

    width: int
    height: int

    def __post_init__(self) -> None:
        if self.width < 1 or self.height < 1:
            raise ValueError(f"a slide must be at least 1 x 1 pixel, not {self.width} x {self.height}")

    def contains(self, point: Point) -> bool:
        """Whether the point lies on the slide, its border included."""
        return 0 <= point.x <= self.width and 0 <= point.y <= self.height


@dataclass(frozen=True, slots=True)
class Viewport:
    """What the annotator sees: a region in slide coordinates and the zoom at which it is shown.

    Attributes:
        region: the visible rectangle; may reach beyond the slide.
        downsample: level-0 pixels per screen pixel (below 1 when magnified).
    """

    region: Box
    downsample: float

    def __post_init__(self) -> None:
        _require_finite("Viewport", downsample=self.downsample)
        if self.downsample <= 0:
            raise ValueError(f"Viewport.downsample must be positive, not {self.downsample}")


@dataclass(frozen=True, slots=True)
class Window:
    """A square patch of a slide as the model reads it.

    Attributes:
        x: left edge in slide coordinates; may be negative (the patch then reaches beyond the slide).
        y: top edge in slide coordinates.
        downsample: level-0 pixels per patch pixel; below 1 when the patch is magnified.
        size: side of the patch in its own pixels.

    Raises:
        ValueError: an attribute is not finite, or downsample or size is not positive.
    """

    x: float
    y: float
    downsample: float
    size: int

    def __post_init__(self) -> None:
        _require_finite("Window", x=self.x, y=self.y, downsample=self.downsample)
        if self.downsample <= 0 or self.size < 1:
            raise ValueError(f"Window needs downsample > 0 and size >= 1, not {self.downsample}, {self.size}")

    @classmethod
    def about(cls, center: Point, downsample: float, size: int) -> Window:
        """The window of `size` patch pixels about a centre in slide coordinates."""
        half = downsample * size / 2
        return cls(center.x - half, center.y - half, downsample, size)

    @property
    def extent(self) -> float:
        """Side of the covered square in level-0 pixels."""
        return self.downsample * self.size

    @property
    def region(self) -> Box:
        """The covered square in slide coordinates."""
        return Box(self.x, self.y, self.x + self.extent, self.y + self.extent)

    @property
    def center(self) -> Point:
        """The middle, in slide coordinates."""
        return Point(self.x + self.extent / 2, self.y + self.extent / 2)

    def to_window(self, point: Point) -> tuple[float, float]:
        """Slide coordinates -> window pixels (pixel i covers [i, i + 1))."""
        return (point.x - self.x) / self.downsample, (point.y - self.y) / self.downsample

    def to_model(self, point: Point) -> tuple[float, float]:
        """Slide coordinates -> the pixel indices that SAM's prompt encoder takes (it adds half a pixel itself)."""
        x, y = self.to_window(point)
        return x - 0.5, y - 0.5

    def box_to_model(self, box: Box) -> tuple[float, float, float, float]:
        """A box in slide coordinates -> XYXY in the frame of SAM's prompt encoder."""
        x0, y0 = self.to_model(Point(box.x0, box.y0))
        x1, y1 = self.to_model(Point(box.x1, box.y1))
        return x0, y0, x1, y1


@dataclass(frozen=True, slots=True)
class FieldPair:
    """The two patches that WSI-SAM reads about one centre: HR at downsample d, LR at 2d (arXiv 2403.09257).

    Both have the same side in patch pixels, so the LR patch covers twice the HR patch's extent.
    """

    high: Window

    @property
    def low(self) -> Window:
        """The LR patch."""
        return Window.about(self.high.center, self.high.downsample * 2, self.high.size)
