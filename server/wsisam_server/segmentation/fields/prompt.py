"""What an annotator says about one object, in slide coordinates, and the checks that it must pass."""

from __future__ import annotations

from dataclasses import dataclass, replace

from wsisam_server.core.errors import Reason, WsiSamServerError
from wsisam_server.core.geometry import Box, Point, SlideSize, Window


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


def checked(prompt: SlidePrompt, slide: SlideSize, max_points: int) -> SlidePrompt:
    """The prompt as the planner takes it: with something positive in it, on the slide, its box clipped to the slide.

    Raises:
        WsiSamServerError: EMPTY_PROMPT, ONLY_NEGATIVE_POINTS, TOO_MANY_POINTS or PROMPT_OUTSIDE_SLIDE.
    """
    if len(prompt.points) > max_points:
        raise WsiSamServerError(Reason.TOO_MANY_POINTS, count=len(prompt.points), limit=max_points)
    if prompt.box is None and not prompt.points:
        raise WsiSamServerError(Reason.EMPTY_PROMPT)
    if prompt.box is None and not any(p.positive for p in prompt.points):
        raise WsiSamServerError(Reason.ONLY_NEGATIVE_POINTS)
    for point in prompt.points:
        if not slide.contains(point.position):
            raise _outside(slide, x=point.position.x, y=point.position.y)
    if prompt.box is None:
        return prompt
    box = prompt.box
    x0, y0 = max(box.x0, 0.0), max(box.y0, 0.0)
    x1, y1 = min(box.x1, float(slide.width)), min(box.y1, float(slide.height))
    if x0 >= x1 or y0 >= y1:
        raise _outside(slide, x=box.x0, y=box.y0)
    return replace(prompt, box=Box(x0, y0, x1, y1))


def _outside(slide: SlideSize, x: float, y: float) -> WsiSamServerError:
    return WsiSamServerError(Reason.PROMPT_OUTSIDE_SLIDE, width=slide.width, height=slide.height, x=x, y=y)
