"""What an annotator says about one object, in slide coordinates."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from wsisam_server.core.geometry import Box

if TYPE_CHECKING:
    import shapely

    from wsisam_server.core.geometry import Point, Window


@dataclass(frozen=True, slots=True)
class PromptPoint:
    """A point in slide coordinates that lies on the object (positive) or does not.

    Attributes:
        position: where.
        positive: whether the object is there.
        candidate: the number of the candidate that was seen when the point was set, of the answer to all that was said
            before it; None for the chosen one.
    """

    position: Point
    positive: bool
    candidate: int | None = None


@dataclass(frozen=True, slots=True)
class SlidePrompt:
    """Points, a box and a rough outline about one object, in slide coordinates.

    Attributes:
        points: in the order in which they were set.
        box: about the object.
        shape: a rough outline of it: valid polygons.
        candidate: the number of the candidate of the answer that is meant; None for the one of the highest score.
    """

    points: tuple[PromptPoint, ...] = ()
    box: Box | None = None
    shape: shapely.MultiPolygon | None = None
    candidate: int | None = None

    @property
    def has_area(self) -> bool:
        """Whether something but points says where the object is: a box or a shape."""
        return self.box is not None or self.shape is not None

    @property
    def frame(self) -> Box | None:
        """The box, or where there is none that about the shape."""
        return self.box if self.box is not None or self.shape is None else Box(*self.shape.bounds)

    @property
    def extent(self) -> tuple[float, float, float, float]:
        """The smallest rectangle (x0, y0, x1, y1) about everything in the prompt; it may have no area."""
        xs = [p.position.x for p in self.points]
        ys = [p.position.y for p in self.points]
        if self.box is not None:
            xs += [self.box.x0, self.box.x1]
            ys += [self.box.y0, self.box.y1]
        if self.shape is not None:
            x0, y0, x1, y1 = self.shape.bounds
            xs += [x0, x1]
            ys += [y0, y1]
        return min(xs), min(ys), max(xs), max(ys)

    @property
    def target(self) -> tuple[float, float, float, float]:
        """The rectangle that says where the object is: about box and shape, else about the positive points."""
        if self.has_area:
            return SlidePrompt(box=self.box, shape=self.shape).extent
        return SlidePrompt(tuple(p for p in self.points if p.positive)).extent

    def extends(self, earlier: SlidePrompt) -> bool:
        """Whether this is an earlier prompt on the same object and more: something added, nothing taken back."""
        added = replace(self, candidate=None) != replace(earlier, candidate=None)
        kept = earlier.box in (None, self.box) and earlier.shape in (None, self.shape)
        return added and kept and set(earlier.points) <= set(self.points)

    def before(self, count: int) -> SlidePrompt:
        """What had been said before the point of this index: the earlier points, box and shape."""
        return replace(self, points=self.points[:count], candidate=None)

    def to_model(
        self, window: Window
    ) -> tuple[list[tuple[float, float]], list[int], tuple[float, float, float, float] | None]:
        """Points, labels (1 positive, 0 negative) and box in the frame of SAM's prompt encoder for a window.

        A shape without a box has that about it.
        """
        points = [window.to_model(p.position) for p in self.points]
        labels = [int(p.positive) for p in self.points]
        return points, labels, None if self.frame is None else window.box_to_model(self.frame)
