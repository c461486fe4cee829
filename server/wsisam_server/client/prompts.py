"""Prompts and commits out of what scripts have: tuples, texts, and shapely's geometries."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Final, TypeAlias

import shapely

from wsisam.v1 import geometry_pb2 as geo
from wsisam.v1 import segmentation_pb2 as pb
from wsisam_server.client.polygons import areas

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from shapely.geometry.base import BaseGeometry

    Box: TypeAlias = Sequence[float] | BaseGeometry | geo.Box
    Point: TypeAlias = Sequence[float] | shapely.Point | pb.PromptPoint

_CORNERS: Final = 4
_PLACE: Final = 2


def prompt(
    box: Box | None = None,
    *,
    points: Iterable[Point] = (),
    shape: shapely.Polygon | shapely.MultiPolygon | None = None,
) -> pb.Prompt:
    """A prompt about one object, in level-0 pixels.

    Args:
        box: (x0, y0, x1, y1), or a geometry, about which it is drawn.
        points: (x, y) on the object; (x, y, False) outside it; a shapely.Point is on it.
        shape: a rough outline.

    Raises:
        ValueError: one of them is none of these.
    """
    message = pb.Prompt(points=map(_point, points))
    if box is not None:
        message.box.CopyFrom(_box(box))
    if shape is not None:
        message.shape.CopyFrom(areas(shape))
    return message


def _box(box: Box) -> geo.Box:
    if isinstance(box, geo.Box):
        return box
    corners = box.bounds if isinstance(box, shapely.Geometry) else tuple(box)
    if len(corners) != _CORNERS:
        raise ValueError(f"{box!r} is no box: write (x0, y0, x1, y1), or give a geometry that is not empty")
    x0, y0, x1, y1 = map(float, corners)
    return geo.Box(x0=x0, y0=y0, x1=x1, y1=y1)


def _point(point: Point) -> pb.PromptPoint:
    if isinstance(point, pb.PromptPoint):
        return point
    said = (point.x, point.y) if isinstance(point, shapely.Point) else tuple(point)
    if len(said) not in {_PLACE, _PLACE + 1}:
        raise ValueError(f"{point!r} is no point: write (x, y) for one on the object, (x, y, False) for one outside")
    x, y, *positive = said
    label = pb.POINT_LABEL_POSITIVE if all(positive) else pb.POINT_LABEL_NEGATIVE
    return pb.PromptPoint(position=geo.Point(x=float(x), y=float(y)), label=label)


def commit(
    *, author: str = "", path_class: str = "", name: str = "", project: str = "", annotation_id: str = ""
) -> pb.Commit:
    """How an outline is stored as it is made.

    Args:
        author: who keeps it; the token's user where there is one.
        path_class: its class.
        name: what QuPath's annotation list shows.
        project: what it belongs to.
        annotation_id: a UUID; a new one if not given. A prompt that is sent again with its commit stores nothing twice.
    """
    message = pb.Commit(annotation_id=annotation_id or str(uuid.uuid4()), author=author, name=name, project=project)
    if path_class:
        message.path_class.name = path_class
    return message
