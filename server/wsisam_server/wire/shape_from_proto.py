"""Messages to shapes, many at once. Every malformed one becomes INVALID_FIELD with the field's path in the request."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import shapely

from wsisam.v1 import annotations_pb2 as pb
from wsisam_server.core.shapes import areas_of, decode_many
from wsisam_server.wire.from_proto import RING_VERTICES, invalid

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray
    from shapely.geometry.base import BaseGeometry

    from wsisam.v1 import geometry_pb2

LINE_VERTICES = 2


def shapes_of(messages: Sequence[pb.Annotation], field: str) -> list[BaseGeometry]:
    """The shapes of annotations that all lie in one field of a request."""
    return shapes_at(messages, [f"{field}[{number}]" for number in range(len(messages))])


def shapes_at(messages: Sequence[pb.Annotation], fields: Sequence[str]) -> list[BaseGeometry]:
    """As `shapes_of`, of annotations whose paths in the request are these."""
    for message, field in zip(messages, fields, strict=True):
        if not message.HasField("shape"):
            raise invalid(f"{field}.shape", "it is missing")
    return shape_list([message.shape for message in messages], [f"{field}.shape" for field in fields])


def shape(message: pb.Shape, field: str) -> BaseGeometry:
    """A shape of either form; whether it is valid is for the store to say."""
    kind = message.WhichOneof("form")
    try:
        if kind == "area":
            return decode_many([_rings(message.area)])[0]
        if kind == "drawn":
            return _drawn(message.drawn)
    except (ValueError, shapely.errors.ShapelyError) as error:
        raise invalid(field, str(error)) from error
    raise invalid(field, "it has no form that this server knows")


def shape_list(messages: Sequence[pb.Shape], fields: Sequence[str]) -> list[BaseGeometry]:
    """As `shape`, of many: all areas at once."""
    forms = [_form(message) for message in messages]
    try:
        compact = iter(decode_many([_rings(messages[number].area) for number in _which(forms, "area")]))
        drawn = iter(_drawn_areas([messages[number].drawn for number in _which(forms, "drawn areas")]))
    except (ValueError, shapely.errors.ShapelyError):
        # One by one: the field that is at fault is to be named.
        return [shape(message, field) for message, field in zip(messages, fields, strict=True)]
    areas = {"area": compact, "drawn areas": drawn}
    return [
        next(areas[form]) if form in areas else shape(message, field)
        for form, message, field in zip(forms, messages, fields, strict=True)
    ]


def _form(message: pb.Shape) -> str:
    areas = message.WhichOneof("form") == "drawn" and message.drawn.kind == pb.SHAPE_KIND_AREAS
    return "drawn areas" if areas else message.WhichOneof("form") or ""


def _which(forms: Sequence[str], wanted: str) -> list[int]:
    return [number for number, form in enumerate(forms) if form == wanted]


def _rings(message: geometry_pb2.MultiPolygon) -> list[list[list[int]]]:
    return [[list(ring.deltas) for ring in polygon.rings] for polygon in message.polygons]


def _drawn(message: pb.DrawnShape) -> BaseGeometry:
    if message.kind == pb.SHAPE_KIND_POINTS:
        return shapely.MultiPoint([vertex for path in _paths(message, 1) for vertex in path])
    if message.kind == pb.SHAPE_KIND_LINES:
        return shapely.MultiLineString(list(_paths(message, LINE_VERTICES)))
    if message.kind == pb.SHAPE_KIND_AREAS:
        return _drawn_areas([message])[0]
    raise ValueError("its kind must be POINTS, LINES or AREAS")


def _drawn_areas(messages: Sequence[pb.DrawnShape]) -> list[shapely.MultiPolygon]:
    parts = [part for message in messages for part in message.parts]
    if not all(part.paths for part in parts):
        raise ValueError("an area must have an outer border")
    paths = [_vertices(path, RING_VERTICES) for part in parts for path in part.paths]
    vertices = np.concatenate(paths) if paths else np.empty((0, 2))
    rings, borders = [len(path) for path in paths], [len(part.paths) for part in parts]
    return areas_of(vertices, rings, borders, [len(message.parts) for message in messages])


def _paths(message: pb.DrawnShape, at_least: int) -> Iterator[NDArray[np.float64]]:
    for part in message.parts:
        if len(part.paths) != 1:
            raise ValueError("a part of points or lines must have one path")
        yield _vertices(part.paths[0], at_least)


def _vertices(path: pb.DrawnPath, at_least: int) -> NDArray[np.float64]:
    numbers = path.coordinates
    if len(numbers) % 2 or len(numbers) < 2 * at_least:
        raise ValueError(f"a path must be an even count of at least {2 * at_least} numbers, not {len(numbers)}")
    return np.array(list(numbers)).reshape(-1, 2)
