"""ASAP's XML: annotations drawn in ASAP (Automated Slide Analysis Platform), as CAMELYON has them."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from typing import TYPE_CHECKING, Any, Final

import shapely

from wsisam_server.formats.errors import FormatError
from wsisam_server.formats.found import Found
from wsisam_server.store import Content, PathClass

if TYPE_CHECKING:
    from collections.abc import Callable

    from shapely.geometry.base import BaseGeometry

_SHAPES: Final[dict[str, Callable[[Any], BaseGeometry]]] = {
    "Dot": lambda vertices: shapely.Point(vertices[0]),
    "PointSet": shapely.MultiPoint,
    "Polygon": shapely.Polygon,
    "Rectangle": shapely.Polygon,
    # Its vertices, without the curve between them: ASAP does the same when it makes masks.
    "Spline": shapely.Polygon,
}

_NO_GROUP: Final = "None"

_AREA: Final = 3
"""Vertices."""


def read(text: str, slide_id: str, project: str = "") -> Found:
    """The annotations in ASAP's XML. Its groups become classes.

    Args:
        text: the file's content.
        slide_id: the slide that they are on.
        project: what they belong to.

    Raises:
        FormatError: it is no such XML, or an annotation makes no sense.
    """
    try:
        # Python's parser (expat 2.4.1 and newer) stops at texts that blow up, and never reads other files.
        root = ET.fromstring(text)  # noqa: S314
    except ET.ParseError as error:
        raise FormatError(f"this is no XML: {error}") from error
    if root.tag != "ASAP_Annotations":
        hint = "; it looks like Aperio ImageScope's" if root.tag == "Annotations" else ""
        raise FormatError(f"this is not ASAP's XML: it begins with <{root.tag}>{hint}")
    colors = {group.get("Name", ""): _rgb(group.get("Color")) for group in root.iterfind("AnnotationGroups/Group")}
    found = Found()
    for number, element in enumerate(root.iterfind("Annotations/Annotation"), 1):
        try:
            _take(found, element, colors, slide_id, project)
        except (ValueError, TypeError, shapely.errors.ShapelyError) as error:
            raise FormatError(f"annotation {number} ({element.get('Name', '')}): {error}") from error
    return found


def _take(found: Found, element: ET.Element, colors: dict[str, int | None], slide_id: str, project: str) -> None:
    kind = element.get("Type", "")
    make = _SHAPES.get(kind)
    if make is None:
        found.left_out[f"annotations of the type '{kind}'"] += 1
        return
    vertices = _vertices(element)
    if not vertices or (make is shapely.Polygon and len(vertices) < _AREA):
        found.left_out["annotations with too few vertices"] += 1
        return
    group = element.get("PartOfGroup", _NO_GROUP)
    content = Content(
        slide_id=slide_id,
        shape=make(vertices),
        path_class=None if group in {_NO_GROUP, ""} else PathClass(group, colors.get(group)),
        name=element.get("Name", ""),
        project=project,
    )
    found.add(content, None)


def _vertices(element: ET.Element) -> list[tuple[float, float]]:
    marks = sorted(element.iterfind("Coordinates/Coordinate"), key=lambda mark: int(float(mark.get("Order", "0"))))
    return [(float(mark.get("X", "nan")), float(mark.get("Y", "nan"))) for mark in marks]


def _rgb(value: str | None) -> int | None:
    """A colour such as #64FE2E."""
    if value is None or not value.startswith("#"):
        return None
    return int(value[1:7], 16)
