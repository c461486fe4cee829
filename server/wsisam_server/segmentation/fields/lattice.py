"""Fields that are the same for everybody: of one scale, half a window apart over the whole slide.

A planned field has its click within an eighth of its middle, and sixteen of them begin in each window's area; of these
it is four, and each takes the clicks in its middle half. So what was encoded for one view, or over night, serves every
later click there.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from wsisam_server.core.geometry import Box, Point, Viewport
from wsisam_server.core.prompt import PromptPoint, SlidePrompt
from wsisam_server.core.requests import AtDownsample
from wsisam_server.segmentation.fields.plan import plan

if TYPE_CHECKING:
    from wsisam_server.core.geometry import FieldPair, SlideSize

REACH: Final = 0.25
"""How far from its middle a field takes a click, in sides of the window; a field planned for the click has it within an
eighth. On the slide's border windows move inwards, and take what lies between them and the border."""


@dataclass(frozen=True, slots=True)
class Lattice:
    """The fields of one scale.

    Attributes:
        slide: the slide's level-0 size.
        image_size: side of the model's square input in pixels.
        downsample: of the HR windows; one of the planner's.
    """

    slide: SlideSize
    image_size: int
    downsample: float

    @classmethod
    def near(cls, slide: SlideSize, image_size: int, downsample: float) -> Lattice:
        """The one whose scale is that at which clicks are answered in a view of about this downsample.

        Args:
            slide: the slide's level-0 size.
            image_size: side of the model's input.
            downsample: level-0 pixels for one of the model's.
        """
        extent = downsample * image_size
        view = Viewport(Box(0, 0, extent, extent), downsample)
        return cls(slide, image_size, plan(_click(0, 0), slide, image_size, viewport=view).high.downsample)

    @property
    def step(self) -> float:
        """Distance of two neighbours' middles, in level-0 pixels."""
        return 2 * REACH * self.downsample * self.image_size

    @property
    def columns(self) -> int:
        """Number of places along x; on the borders several may be of one field."""
        return round(self.slide.width / self.step) + 1

    @property
    def rows(self) -> int:
        """Number of places along y."""
        return round(self.slide.height / self.step) + 1

    def place(self, point: Point) -> tuple[int, int]:
        """Column and row of the field that takes a click at a point on the slide."""
        return round(point.x / self.step), round(point.y / self.step)

    def field(self, column: int, row: int) -> FieldPair:
        """The field of a place."""
        x, y = min(column * self.step, float(self.slide.width)), min(row * self.step, float(self.slide.height))
        return plan(_click(x, y), self.slide, self.image_size, choice=AtDownsample(self.downsample))


def shared(prompt: SlidePrompt, planned: FieldPair, slide: SlideSize) -> FieldPair | None:
    """The field of the lattice that takes a first click; None for other prompts.

    Args:
        prompt: checked against the slide.
        planned: what `plan` says; its scale is kept.
        slide: the slide's level-0 size.
    """
    if prompt.has_area or len(prompt.points) != 1:
        return None
    lattice = Lattice(slide, planned.high.size, planned.high.downsample)
    return lattice.field(*lattice.place(prompt.points[0].position))


def _click(x: float, y: float) -> SlidePrompt:
    return SlidePrompt((PromptPoint(Point(x, y), positive=True),))
