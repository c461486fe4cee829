"""ASAP's XML: annotations drawn in ASAP (Automated Slide Analysis Platform), as CAMELYON has them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import numpy as np
import shapely

from wsisam_server.annotations.formats import markup, shapes
from wsisam_server.annotations.formats.errors import FormatError, LeftOutError
from wsisam_server.annotations.formats.parsed import ParsedFile, position_of, short
from wsisam_server.annotations.store import Content, PathClass

if TYPE_CHECKING:
    import xml.etree.ElementTree as ET

    from numpy.typing import NDArray
    from shapely.geometry.base import BaseGeometry

ROOT: Final = "ASAP_Annotations"
OTHER_ROOT: Final = "Annotations"
"""Of Aperio ImageScope's XML."""

_LEAST: Final = {
    "Dot": 1,
    "PointSet": 1,
    "Polygon": 3,
    "Rectangle": 3,
    # Its vertices, without the curve between them: ASAP does the same when it makes masks.
    "Spline": 3,
}
"""Different vertices of each type."""

_NO_GROUP: Final = "None"
_AREA: Final = 3
_COLOR: Final = re.compile(r"#([0-9A-Fa-f]{6})(?:[0-9A-Fa-f]{2})?")


def read(data: str | bytes, slide_id: str, project: str = "", origin: tuple[float, float] = (0, 0)) -> ParsedFile:
    """The annotations in ASAP's XML. Its groups become classes.

    Args:
        data: the file's content.
        slide_id: the slide that they are on.
        project: what they belong to.
        origin: where the slide's own coordinates begin in the whole frame, from whose corner ASAP counts; level-0
            pixels.

    Raises:
        FormatError: it is no such XML.
    """
    root = markup.parse(data)
    if root.tag != ROOT:
        hint = "; it looks like Aperio ImageScope's" if root.tag == OTHER_ROOT else ""
        raise FormatError(f"this is not ASAP's XML: it begins with <{short(root.tag)}>{hint}")
    found = ParsedFile()
    colors = {group.get("Name", ""): _rgb(group, found) for group in root.iterfind("AnnotationGroups/Group")}
    for number, element in enumerate(root.iterfind("Annotations/Annotation"), 1):
        where = position_of("annotation", number, name=element.get("Name"))
        try:
            shape = _shape(element, origin)
        except LeftOutError as error:
            found.leave_out(error.what, where, error.why)
            continue
        group = element.get("PartOfGroup", _NO_GROUP)
        content = Content(
            slide_id=slide_id,
            shape=shape,
            path_class=None if group in {_NO_GROUP, ""} else PathClass(group, colors.get(group)),
            name=element.get("Name", ""),
            project=project,
        )
        found.add(content, None, where)
    return found


def _shape(element: ET.Element, origin: tuple[float, float]) -> BaseGeometry:
    kind = element.get("Type", "")
    least = _LEAST.get(kind)
    if least is None:
        raise LeftOutError(f"annotations of the type '{short(kind)}'")
    vertices = marked(_in_order(list(element.iterfind("Coordinates/Coordinate")))) - np.asarray(origin, np.float64)
    if not shapes.is_drawn(vertices, least):
        raise shapes.too_few(least)
    if least == _AREA:
        return shapely.Polygon(vertices)
    return shapely.Point(vertices[0]) if kind == "Dot" else shapely.MultiPoint(vertices)


def _in_order(marks: list[ET.Element]) -> list[ET.Element]:
    """By their numbers; as they are written, where one has none."""
    try:
        return sorted(marks, key=lambda mark: shapes.number(mark.get("Order", "")))
    except ValueError:
        return marks


def marked(marks: list[ET.Element]) -> NDArray[np.float64]:
    """The vertices (float64 [n, 2]) that elements with X and Y stand for.

    Raises:
        LeftOutError: one has no number.
    """
    rows = []
    for position, mark in enumerate(marks, 1):
        x, y = mark.get("X"), mark.get("Y")
        try:
            rows.append((shapes.number(x), shapes.number(y)))
        except ValueError as error:
            said = f"X is '{short(x or '')}' and Y '{short(y or '')}'"
            raise LeftOutError(shapes.NO_NUMBER, f"its vertex {position} is no pair of numbers: {said}") from error
    return np.array(rows, np.float64).reshape(-1, 2)


def _rgb(group: ET.Element, found: ParsedFile) -> int | None:
    """A colour such as #64FE2E, the one form that ASAP writes; anything else is none."""
    value = group.get("Color")
    matched = _COLOR.fullmatch(value or "")
    if matched:
        return int(matched[1], 16)
    if value:
        where = f"group '{short(group.get('Name', ''))}'"
        found.ignore("colours that are none", where, f"the colour is not of the form #RRGGBB: '{short(value)}'")
    return None
