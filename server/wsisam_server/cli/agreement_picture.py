"""A picture of what two people do not agree about."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Final

import shapely
from PIL import Image, ImageDraw

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shapely.geometry.base import BaseGeometry

    from wsisam_server.annotations.agreement import Matching, Outlined

SIDE: Final = 1600
"""Of the picture, pixels, without its legend."""

_MARGIN: Final = 20
_LINE: Final = 18
_NARROWEST: Final = 240

Colour = tuple[int, int, int]

# Of Okabe and Ito's colours, which people with any colour vision tell apart.
_SAME: Final = (150, 150, 150)
_ONLY_FIRST: Final = (0, 114, 178)
_ONLY_SECOND: Final = (230, 159, 0)
_OTHER_CLASS: Final = (204, 121, 167)


def differences(first: Sequence[Outlined], second: Sequence[Outlined], matching: Matching) -> bytes:
    """A PNG: objects of only one side filled, those of different classes too, what is the same as thin outlines."""
    legend = [
        (_ONLY_FIRST, f"only A: {len(matching.only_first)}"),
        (_ONLY_SECOND, f"only B: {len(matching.only_second)}"),
        (_OTHER_CLASS, "both, of different classes"),
        (_SAME, "both, of the same class"),
    ]
    sheet = _Sheet([one.shape for one in (*first, *second)], len(legend))
    for i in matching.only_first:
        sheet.draw(first[i].shape, _ONLY_FIRST, filled=True)
    for j in matching.only_second:
        sheet.draw(second[j].shape, _ONLY_SECOND, filled=True)
    for i, j, _ in matching.pairs:
        same = first[i].path_class == second[j].path_class
        for shape in (first[i].shape, second[j].shape):
            sheet.draw(shape, _SAME if same else _OTHER_CLASS, filled=not same)
    return sheet.png(legend)


class _Sheet:
    """White paper for shapes, with room for a legend below."""

    def __init__(self, shapes: list[BaseGeometry], lines: int) -> None:
        x0, y0, x1, y1 = shapely.total_bounds(shapes) if shapes else (0, 0, 1, 1)
        self._origin = x0, y0
        self._scale = SIDE / max(x1 - x0, y1 - y0, 1)
        width, height = ((end - start) * self._scale + 2 * _MARGIN for start, end in ((x0, x1), (y0, y1)))
        self._below = int(height)
        self._image = Image.new("RGB", (max(int(width), _NARROWEST), self._below + _LINE * lines), "white")
        self._draw = ImageDraw.Draw(self._image)

    def draw(self, shape: BaseGeometry, colour: Colour, *, filled: bool) -> None:
        """Draws a shape in level-0 pixels."""
        for part in shapely.get_parts(shape):
            if part.geom_type != "Polygon" or part.is_empty:
                continue
            outer, *holes = map(self._placed, (part.exterior, *part.interiors))
            if filled:
                self._draw.polygon(outer, fill=colour)
                for hole in holes:
                    self._draw.polygon(hole, fill="white")
            for ring in (outer, *holes):
                self._draw.line(ring, fill=colour, width=2)

    def png(self, legend: list[tuple[Colour, str]]) -> bytes:
        """The sheet, with its legend."""
        for line, (colour, text) in enumerate(legend):
            top = self._below + _LINE * line
            self._draw.rectangle((_MARGIN, top + 2, _MARGIN + 12, top + 12), fill=colour)
            self._draw.text((_MARGIN + 18, top), text, fill="black")
        out = io.BytesIO()
        self._image.save(out, "PNG")
        return out.getvalue()

    def _placed(self, ring: BaseGeometry) -> list[tuple[float, float]]:
        points = (shapely.get_coordinates(ring) - self._origin) * self._scale + _MARGIN
        return [(float(x), float(y)) for x, y in points]
