"""An old outline and a new one on the tissue, for people to judge."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from PIL import Image, ImageDraw

from wsisam_server.core.geometry import Point, Window
from wsisam_server.core.shapes import polygonal
from wsisam_server.learning.replay.selection import origin
from wsisam_server.slides import read_in_parts

if TYPE_CHECKING:
    from shapely.geometry.base import BaseGeometry

    from wsisam_server.learning.replay.report import Comparison
    from wsisam_server.slides import Slide

SIDE: Final = 640
"""Of a picture, in pixels."""

CONTEXT: Final = 1.6
"""Side of what is shown, in lengths of both outlines together."""

OLD: Final = "#00c85a"
NEW: Final = "#ff28c8"
BOX: Final = "#ffd400"
_DOTS: Final = {True: "#00ff66", False: "#ff2020"}
_DOT: Final = 5


def picture(slide: Slide, compared: Comparison) -> Image.Image:
    """The old outline green, the new one pink, the prompt's box yellow, its clicks as dots."""
    old, new = compared.annotation.content.shape, compared.replayed.shape
    x0, y0, x1, y1 = old.union(new).bounds
    side = CONTEXT * max(x1 - x0, y1 - y0, 8.0)
    view = Window.about(Point((x0 + x1) / 2, (y0 + y1) / 2), side / SIDE, SIDE)
    drawn = Image.fromarray(read_in_parts(slide.read, view))
    pen = ImageDraw.Draw(drawn)
    made = origin(compared.annotation.content)
    if made is not None and made.prompt is not None:
        box = made.prompt.box
        if box is not None:
            pen.rectangle([_at(view, box.x0, box.y0), _at(view, box.x1, box.y1)], outline=BOX)
        if made.prompt.shape is not None:
            _lines(pen, view, made.prompt.shape, BOX)
        for mark in made.prompt.points:
            x, y = _at(view, mark.position.x, mark.position.y)
            pen.ellipse((x - _DOT, y - _DOT, x + _DOT, y + _DOT), fill=_DOTS[mark.positive], outline="white")
    for shape, color in ((old, OLD), (new, NEW)):
        _lines(pen, view, shape, color)
    return drawn


def _lines(pen: ImageDraw.ImageDraw, view: Window, shape: BaseGeometry, color: str) -> None:
    for polygon in polygonal(shape).geoms:
        for ring in (polygon.exterior, *polygon.interiors):
            pen.line([_at(view, x, y) for x, y, *_ in ring.coords], fill=color, width=2)


def _at(view: Window, x: float, y: float) -> tuple[float, float]:
    return view.to_window(Point(x, y))
