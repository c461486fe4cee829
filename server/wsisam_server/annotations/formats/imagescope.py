"""Aperio ImageScope's XML: layers of regions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import shapely

from wsisam_server.annotations.formats import asap, markup, shapes
from wsisam_server.annotations.formats.errors import FormatError, LeftOutError
from wsisam_server.annotations.formats.parsed import ParsedFile, position_of, short
from wsisam_server.annotations.store import Content, PathClass

if TYPE_CHECKING:
    import xml.etree.ElementTree as ET

    from numpy.typing import NDArray

ROOT: Final = asap.OTHER_ROOT

_RECTANGLE: Final = "1"
_ELLIPSE: Final = "2"
_OTHER: Final = {"3": "arrows", "4": "rulers", "5": "counters"}
"""Regions that are no areas."""

_AREA: Final = 3
_CORNERS: Final = 2
_QUARTER: Final = 16
"""Segments of a quarter of an ellipse, of which two corners are written."""


def read(data: str | bytes, slide_id: str, project: str = "", origin: tuple[float, float] = (0, 0)) -> ParsedFile:
    """The areas in ImageScope's XML. A layer's name becomes the class, a negative region a hole in what it lies in.

    Args:
        data: the file's content.
        slide_id: the slide that they are on.
        project: what they belong to.
        origin: where the slide's own coordinates begin in the whole frame, from whose corner ImageScope counts; level-0
            pixels.

    Raises:
        FormatError: it is no such XML.
    """
    root = markup.parse(data)
    if root.tag != ROOT:
        raise FormatError(f"this is not ImageScope's XML: it begins with <{short(root.tag)}>")
    found = ParsedFile()
    for number, layer in enumerate(root.iterfind("Annotation"), 1):
        _layer(found, layer, f"layer {number}, region", slide_id, project, origin)
    return found


def _layer(
    found: ParsedFile, layer: ET.Element, kind: str, slide_id: str, project: str, origin: tuple[float, float]
) -> None:
    positive: list[tuple[NDArray[np.float64], str, str]] = []
    negative: list[tuple[NDArray[np.float64], str]] = []
    for number, region in enumerate(layer.iterfind("Regions/Region"), 1):
        name = region.get("Text", "")
        name = "" if name == "null" else name
        where = position_of(kind, number, name=name)
        try:
            border = _border(region) - np.asarray(origin, np.float64)
        except LeftOutError as error:
            found.leave_out(error.what, where, error.why)
            continue
        if region.get("NegativeROA") == "1":
            negative.append((border, where))
        else:
            positive.append((border, name, where))
    holes = _holes(found, [border for border, _, _ in positive], negative)
    path_class = _path_class(layer, found, kind)
    for (border, name, where), inner in zip(positive, holes, strict=True):
        content = Content(
            slide_id=slide_id,
            shape=shapely.Polygon(border, inner),
            path_class=path_class,
            name=name,
            project=project,
        )
        found.add(content, None, where)


def _border(region: ET.Element) -> NDArray[np.float64]:
    kind = region.get("Type", "0")
    if kind in _OTHER:
        raise LeftOutError(f"regions that are {_OTHER[kind]}")
    vertices = asap.marked(list(region.iterfind("Vertices/Vertex")))
    if len(vertices) == _CORNERS and kind in {_RECTANGLE, _ELLIPSE}:
        (x0, y0), (x1, y1) = vertices
        if x0 != x1 and y0 != y1:
            vertices = (
                _round(x0, y0, x1, y1) if kind == _ELLIPSE else np.array([(x0, y0), (x1, y0), (x1, y1), (x0, y1)])
            )
    if not shapes.is_drawn(vertices, _AREA):
        raise shapes.too_few(_AREA)
    return vertices


def _round(x0: float, y0: float, x1: float, y1: float) -> NDArray[np.float64]:
    angle = np.arange(4 * _QUARTER) * (np.pi / 2 / _QUARTER)
    middle, half = np.array([x0 + x1, y0 + y1]) / 2, np.abs([x1 - x0, y1 - y0]) / 2
    ellipse: NDArray[np.float64] = middle + half * np.column_stack([np.cos(angle), np.sin(angle)])
    return ellipse


def _holes(
    found: ParsedFile, borders: list[NDArray[np.float64]], negative: list[tuple[NDArray[np.float64], str]]
) -> list[list[NDArray[np.float64]]]:
    """For each border, the negative regions that lie in it: each in the smallest one that holds its first vertex."""
    holes: list[list[NDArray[np.float64]]] = [[] for _ in borders]
    areas = [shapely.Polygon(border) for border in borders]
    sizes = np.array([area.area for area in areas])
    for ring, where in negative:
        # A predicate of points is defined on any ring; the ring itself may cross its border, which is mended later.
        around = np.array([area.intersects(shapely.Point(ring[0])) for area in areas], bool)
        if not around.any():
            found.leave_out("negative regions that lie in no other", where)
            continue
        holes[int(np.argmin(np.where(around, sizes, np.inf)))].append(ring)
    return holes


def _path_class(layer: ET.Element, found: ParsedFile, kind: str) -> PathClass | None:
    described = next(
        (one.get("Value", "") for one in layer.iterfind("Attributes/Attribute") if one.get("Name") == "Description"), ""
    )
    name = layer.get("Name", "").strip() or described.strip()
    if not name:
        return None
    color = layer.get("LineColor", "")
    try:
        # Windows' order: red in the lowest byte.
        red, green, blue, _ = int(color).to_bytes(4, "little")
    except (ValueError, OverflowError):
        if color:
            found.ignore("colours that are none", kind.partition(",")[0], f"the colour is no number: '{short(color)}'")
        return PathClass(name)
    return PathClass(name, red << 16 | green << 8 | blue)
