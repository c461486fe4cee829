"""Prompts and outlines as the command line writes them."""

from __future__ import annotations

import math
import shlex
import uuid
from typing import TYPE_CHECKING, Any

import click

from wsisam.v1 import geometry_pb2 as geo
from wsisam.v1 import segmentation_pb2 as pb
from wsisam_server.client import geometry
from wsisam_server.client.outline import Outline

if TYPE_CHECKING:
    from collections.abc import Sequence

    import shapely

Numbers = tuple[float, ...]


class BoxType(click.ParamType):  # type: ignore[type-arg]
    """x0,y0,x1,y1 in level-0 pixels."""

    name = "x0,y0,x1,y1"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Numbers:
        """Parses it; whether the box lies on the slide is for the server to say."""
        numbers = self._numbers(value, param, ctx)
        if len(numbers) != 4:  # noqa: PLR2004 - two corners
            self.fail(f"{value!r}: write it as x0,y0,x1,y1", param, ctx)
        x0, y0, x1, y1 = numbers
        if x0 >= x1 or y0 >= y1:
            self.fail(f"{value!r}: the box must have x0 < x1 and y0 < y1", param, ctx)
        return numbers

    def _numbers(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> Numbers:
        try:
            numbers = tuple(float(part) for part in value.split(","))
        except ValueError:
            numbers = (math.nan,)
        if not all(map(math.isfinite, numbers)):
            self.fail(f"{value!r}: coordinates are numbers", param, ctx)
        return numbers


class PointType(BoxType):
    """x,y or x,y,- in level-0 pixels; the minus sign marks a point that is not on the object."""

    name = "x,y[,-]"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Numbers:
        """Parses it into x, y and 1.0 (on the object) or 0.0 (not)."""
        positive = True
        if value.endswith((",-", ",+")):
            value, positive = value[:-2], value.endswith("+")
        numbers = self._numbers(value, param, ctx)
        if len(numbers) != 2:  # noqa: PLR2004 - x and y
            self.fail(f"{value!r}: write it as x,y or x,y,-", param, ctx)
        return (*numbers, float(positive))


def prompts(
    boxes: Sequence[Numbers], points: Sequence[Numbers], shapes: Sequence[geo.MultiPolygon] = ()
) -> list[pb.Prompt]:
    """Each box or shape is an object of its own; the points are one, with the box or shape if there is just one.

    Raises:
        click.UsageError: there is none, or points with several boxes or shapes, or boxes and shapes.
    """
    clicks = [
        pb.PromptPoint(
            position=geo.Point(x=x, y=y), label=pb.POINT_LABEL_POSITIVE if positive else pb.POINT_LABEL_NEGATIVE
        )
        for x, y, positive in points
    ]
    frames = [geo.Box(x0=x0, y0=y0, x1=x1, y1=y1) for x0, y0, x1, y1 in boxes]
    if not clicks and not frames and not shapes:
        raise click.UsageError("give at least one --box, --point or --shape")
    if len(frames) + len(shapes) > 1 and (clicks or (frames and shapes)):
        raise click.UsageError(
            "points go with one box, one shape or none, and boxes with no shapes; use one command for each object"
        )
    if clicks:
        return [pb.Prompt(points=clicks, box=next(iter(frames), None), shape=next(iter(shapes), None))]
    return [*(pb.Prompt(box=frame) for frame in frames), *(pb.Prompt(shape=shape) for shape in shapes)]


class PromptOutline(Outline):
    """A prompt and its outline.

    Args:
        prompt: the prompt.
        outline: its answer.
        shape_file: where its shape is from.
        annotation_id: its UUID, in the store or in a file; a new one if not given.
    """

    def __init__(self, prompt: pb.Prompt, outline: pb.Outline, shape_file: str = "", annotation_id: str = "") -> None:
        super().__init__(prompt, outline)
        self.shape_file = shape_file
        self.id = annotation_id or str(uuid.uuid4())

    @property
    def outline(self) -> pb.Outline:
        """The answer as the contract has it."""
        return self.message

    @property
    def others(self) -> list[tuple[pb.Candidate, shapely.MultiPolygon]]:
        """The candidates that are not the outline, in ascending area."""
        candidates = enumerate(self.outline.candidates)
        return [(one, geometry(one.geometry)) for place, one in candidates if place != self.outline.chosen]

    @property
    def text(self) -> str:
        """The prompt for people; see `describe`."""
        return describe(self.prompt, self.shape_file)

    def named_feature(self, name: str | None = None, path_class: str | None = None) -> dict[str, Any]:
        """The outline as a GeoJSON feature for QuPath, with what is needed to make it again."""
        number = self.outline.candidates[self.outline.chosen].number if self.outline.candidates else None
        return self.to_geojson(id=self.id, name=name, path_class=path_class, metadata=self._said(number))

    def candidate_features(self, name: str, path_class: str | None = None) -> list[dict[str, Any]]:
        """The other candidates in the same way, in ascending area."""
        return [
            self.feature(
                shape,
                self.provenance(one),
                name=f"{name}, candidate {one.number}",
                path_class=path_class,
                metadata=self._said(one.number),
            )
            for one, shape in self.others
            if not shape.is_empty
        ]

    def _said(self, candidate: int | None) -> dict[str, str]:
        """What people read of the prompt, beside what programs do."""
        said = {"wsisam.prompt": self.text}
        return said if candidate is None else {**said, "wsisam.candidate": str(candidate)}


def describe(prompt: pb.Prompt, shape_file: str = "") -> str:
    """A prompt as the options of `wsisam segment` that repeat it."""
    parts = []
    if prompt.HasField("shape"):
        parts.append(f"--shape {shlex.quote(shape_file)}" if shape_file else "a shape")
    if prompt.HasField("box"):
        box = prompt.box
        parts.append(f"--box {','.join(map(_number, (box.x0, box.y0, box.x1, box.y1)))}")
    for point in prompt.points:
        sign = "" if point.label == pb.POINT_LABEL_POSITIVE else ",-"
        parts.append(f"--point {_number(point.position.x)},{_number(point.position.y)}{sign}")
    return " ".join(parts)


def _number(value: float) -> str:
    """As short as it can be without losing anything: what is written down must repeat the prompt exactly."""
    return repr(value).removesuffix(".0")
