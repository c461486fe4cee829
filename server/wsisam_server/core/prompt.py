"""What an annotator says about one object, in slide coordinates."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from wsisam_server.core.geometry import Box, Point, Window


@dataclass(frozen=True, slots=True)
class PromptPoint:
    """A point in slide coordinates that lies on the object (positive) or does not."""

    position: Point
    positive: bool


@dataclass(frozen=True, slots=True)
class SlidePrompt:
    """Points and a box about one object, in slide coordinates."""

    points: tuple[PromptPoint, ...] = ()
    box: Box | None = None

    @property
    def extent(self) -> tuple[float, float, float, float]:
        """The smallest rectangle (x0, y0, x1, y1) about everything in the prompt; it may have no area."""
        xs = [p.position.x for p in self.points]
        ys = [p.position.y for p in self.points]
        if self.box is not None:
            xs += [self.box.x0, self.box.x1]
            ys += [self.box.y0, self.box.y1]
        return min(xs), min(ys), max(xs), max(ys)

    @property
    def target(self) -> tuple[float, float, float, float]:
        """The rectangle that says where the object is: the box, or the one about the positive points."""
        if self.box is not None:
            return self.box.x0, self.box.y0, self.box.x1, self.box.y1
        return SlidePrompt(tuple(p for p in self.points if p.positive)).extent

    def extends(self, earlier: SlidePrompt) -> bool:
        """Whether this is an earlier prompt on the same object and more: points or a box added, none taken back."""
        return set(earlier.points) <= set(self.points) and earlier.box in (None, self.box) and self != earlier

    def to_model(
        self, window: Window
    ) -> tuple[list[tuple[float, float]], list[int], tuple[float, float, float, float] | None]:
        """Points, labels (1 positive, 0 negative) and box in the frame of SAM's prompt encoder for a window."""
        points = [window.to_model(p.position) for p in self.points]
        labels = [int(p.positive) for p in self.points]
        return points, labels, None if self.box is None else window.box_to_model(self.box)
