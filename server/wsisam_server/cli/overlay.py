"""A picture of prompts and outlines on the slide, for people to judge."""

from __future__ import annotations

import io
from contextlib import closing
from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING

import click
import numpy as np
from PIL import Image, ImageDraw

from wsisam.v1 import segmentation_pb2 as pb
from wsisam_server.cli.outputs import write
from wsisam_server.client import geometry
from wsisam_server.core.errors import WsiSamServerError
from wsisam_server.core.geometry import Window
from wsisam_server.core.settings import Limits
from wsisam_server.slides import open_slide, read_around_damage, read_in_parts

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import shapely

    from wsisam_server.cli.prompts import PromptOutline
    from wsisam_server.slides import Slide

SIDE = 1400
"""Longest side of the picture in pixels."""

MARGIN = 0.15
"""Context about the prompts and outlines, as a share of their extent."""

PIECE = 100
"""Side of the pieces in which a damaged region is read; divides SIDE."""

DAMAGED = 128
"""Grey where the slide is damaged."""

COLORS = ("#ffd400", "#00c2ff", "#ff5ad1", "#6cff3d", "#ff8a00", "#b48cff")


Extent = tuple[float, float, float, float]
"""(x0, y0, x1, y1) in level-0 pixels."""


def draw(slide: Slide, results: Sequence[PromptOutline], path: Path, region: Extent | None = None) -> None:
    """Writes a picture: the region about all results, outlines as lines over a light fill.

    Boxes and shapes are dashed, points are dots, and the other candidates thin lines.

    Args:
        slide: what the results lie on.
        results: at least one, or a region.
        path: where to write.
        region: is shown, too.

    Raises:
        click.ClickException: it cannot be written.
    """
    view, height, width = _view(slide, results, region)
    pixels, _ = read_around_damage(partial(read_in_parts, slide.read), view, PIECE, DAMAGED)
    picture = Image.fromarray(np.ascontiguousarray(pixels[:height, :width]))
    fill = Image.new("RGBA", picture.size)
    for number, result in enumerate(results):
        _fill(ImageDraw.Draw(fill), result, view, COLORS[number % len(COLORS)])
    picture.paste(fill, mask=fill)
    pen = ImageDraw.Draw(picture)
    for number, result in enumerate(results):
        _lines(pen, result, view, COLORS[number % len(COLORS)])
        _prompt(pen, result.prompt, view)
    data = io.BytesIO()
    picture.save(data, "JPEG" if path.suffix.lower() in {".jpg", ".jpeg"} else "PNG")
    write(path, data.getvalue())


def draw_on(slide: Path, results: Sequence[PromptOutline], path: Path, region: Extent | None = None) -> None:
    """Opens a slide and draws on it, as `draw` does.

    Args:
        slide: its file, on this machine.
        results: at least one, or a region.
        path: where to write.
        region: is shown, too.

    Raises:
        click.ClickException: it cannot be read here.
    """
    try:
        opened = open_slide(slide, Limits())
    except WsiSamServerError as error:
        raise click.ClickException(
            f"no overlay: {slide} cannot be read on this machine, which draws it. Leave out --overlay."
        ) from error
    with closing(opened):
        draw(opened, results, path, region)


def _view(slide: Slide, results: Sequence[PromptOutline], region: Extent | None) -> tuple[Window, int, int]:
    extents = [] if region is None else [region]
    extents += [_prompt_extent(result.prompt) for result in results]
    shapes = [shape for result in results for shape in (result.geometry, *(other for _, other in result.others))]
    extents += [shape.bounds for shape in shapes if not shape.is_empty]
    x0, y0 = (min(extent[axis] for extent in extents) for axis in (0, 1))
    x1, y1 = (max(extent[axis] for extent in extents) for axis in (2, 3))
    margin = MARGIN * max(x1 - x0, y1 - y0, 64)
    x0, y0 = max(x0 - margin, 0.0), max(y0 - margin, 0.0)
    x1, y1 = min(x1 + margin, float(slide.info.size.width)), min(y1 + margin, float(slide.info.size.height))
    downsample = max(x1 - x0, y1 - y0) / SIDE
    return (
        Window(x0, y0, downsample, SIDE),
        max(round((y1 - y0) / downsample), 1),
        max(round((x1 - x0) / downsample), 1),
    )


def _prompt_extent(prompt: pb.Prompt) -> Extent:
    xs = [point.position.x for point in prompt.points]
    ys = [point.position.y for point in prompt.points]
    if prompt.HasField("box"):
        xs += [prompt.box.x0, prompt.box.x1]
        ys += [prompt.box.y0, prompt.box.y1]
    if prompt.HasField("shape"):
        x0, y0, x1, y1 = geometry(prompt.shape).bounds
        xs += [x0, x1]
        ys += [y0, y1]
    return min(xs), min(ys), max(xs), max(ys)


def _at(view: Window, x: float, y: float) -> tuple[float, float]:
    return (x - view.x) / view.downsample, (y - view.y) / view.downsample


def _fill(pen: ImageDraw.ImageDraw, result: PromptOutline, view: Window, color: str) -> None:
    for polygon in result.geometry.geoms:
        pen.polygon([_at(view, x, y) for x, y in polygon.exterior.coords], fill=f"{color}38")
        for hole in polygon.interiors:
            pen.polygon([_at(view, x, y) for x, y in hole.coords], fill="#00000000")


def _lines(pen: ImageDraw.ImageDraw, result: PromptOutline, view: Window, color: str) -> None:
    for _, other in result.others:
        for ring in _rings(other):
            pen.line([_at(view, x, y) for x, y in ring.coords], fill=color, width=1)
    for ring in _rings(result.geometry):
        pen.line([_at(view, x, y) for x, y in ring.coords], fill=color, width=3, joint="curve")


def _rings(shape: shapely.MultiPolygon) -> list[shapely.LinearRing]:
    return [ring for part in shape.geoms for ring in (part.exterior, *part.interiors)]


def _prompt(pen: ImageDraw.ImageDraw, prompt: pb.Prompt, view: Window) -> None:
    if prompt.HasField("box"):
        x0, y0 = _at(view, prompt.box.x0, prompt.box.y0)
        x1, y1 = _at(view, prompt.box.x1, prompt.box.y1)
        for start, end in (((x0, y0), (x1, y0)), ((x1, y0), (x1, y1)), ((x1, y1), (x0, y1)), ((x0, y1), (x0, y0))):
            _dashed(pen, start, end)
    if prompt.HasField("shape"):
        for ring in _rings(geometry(prompt.shape)):
            corners = [_at(view, x, y) for x, y in ring.coords]
            for start, end in pairwise(corners):
                _dashed(pen, start, end)
    for point in prompt.points:
        x, y = _at(view, point.position.x, point.position.y)
        color = "#00e05a" if point.label == pb.POINT_LABEL_POSITIVE else "#ff2020"
        pen.ellipse((x - 6, y - 6, x + 6, y + 6), fill=color, outline="white", width=2)


def _dashed(pen: ImageDraw.ImageDraw, start: tuple[float, float], end: tuple[float, float], dash: float = 8) -> None:
    first, last = np.array(start), np.array(end)
    steps = max(int(np.hypot(*(last - first)) / dash), 1)
    for step in range(0, steps, 2):
        a = first + (last - first) * step / steps
        b = first + (last - first) * min(step + 1, steps) / steps
        pen.line([tuple(a), tuple(b)], fill="black", width=2)
