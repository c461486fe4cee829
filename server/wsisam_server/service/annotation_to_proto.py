"""Annotations to messages."""

from __future__ import annotations

from typing import TYPE_CHECKING

import shapely

from wsisam.v1 import annotations_pb2 as pb
from wsisam.v1 import geometry_pb2, segmentation_pb2
from wsisam_server.polygons import encode
from wsisam_server.service import to_proto
from wsisam_server.store import ChangeKind, Draft

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from shapely.geometry.base import BaseGeometry

    from wsisam_server.fields import SlidePrompt
    from wsisam_server.geometry import Box
    from wsisam_server.store import (
        Annotation,
        Conflict,
        Content,
        PathClass,
        Provenance,
        RevisionConflictError,
        SlideRecord,
        Target,
        Wanted,
    )

KINDS = {
    ChangeKind.SAVED: pb.CHANGE_KIND_SAVED,
    ChangeKind.DELETED: pb.CHANGE_KIND_DELETED,
    ChangeKind.RESTORED: pb.CHANGE_KIND_RESTORED,
}

SHAPE_KINDS = {
    "Point": pb.SHAPE_KIND_POINTS,
    "MultiPoint": pb.SHAPE_KIND_POINTS,
    "LineString": pb.SHAPE_KIND_LINES,
    "MultiLineString": pb.SHAPE_KIND_LINES,
    "Polygon": pb.SHAPE_KIND_AREAS,
    "MultiPolygon": pb.SHAPE_KIND_AREAS,
}

CONFLICT_BYTES = 4000
"""What the details of a status may take: they travel in a header, in base64, and clients in Java take 8 KiB of them."""


def annotation(value: Annotation) -> pb.Annotation:
    """An annotation as of one revision."""
    message = pb.Annotation(
        id=str(value.id),
        revision=value.revision,
        author=value.author,
        creator=value.creator,
        change=KINDS[value.kind],
    )
    _content(message, value.content)
    message.created.FromDatetime(value.created)
    message.updated.FromDatetime(value.updated)
    return message


def shape(value: BaseGeometry) -> pb.Shape:
    """A shape, in the compact form where that is exact."""
    kind = SHAPE_KINDS[value.geom_type]
    if kind == pb.SHAPE_KIND_AREAS:
        try:
            rings = encode(shapely.MultiPolygon(shapely.get_parts(value).tolist()))
        except ValueError:  # it is off the grid, or too large for it
            return pb.Shape(drawn=_areas(value))
        polygons = (geometry_pb2.Polygon(rings=[geometry_pb2.Ring(deltas=ring) for ring in part]) for part in rings)
        return pb.Shape(area=geometry_pb2.MultiPolygon(polygons=polygons))
    if kind == pb.SHAPE_KIND_POINTS:
        parts = [pb.DrawnPart(paths=[_path(shapely.get_coordinates(value))])]
    else:
        parts = [pb.DrawnPart(paths=[_path(shapely.get_coordinates(line))]) for line in shapely.get_parts(value)]
    return pb.Shape(drawn=pb.DrawnShape(kind=kind, parts=parts))


def sent(value: Draft | Target) -> pb.Annotation:
    """An annotation to be saved; of one to be deleted or restored, its id and revision."""
    message = pb.Annotation(id=str(value.id), revision=value.expected)
    if isinstance(value, Draft):
        _content(message, value.content)
    return message


def wanted(value: Wanted) -> pb.AnnotationFilter:
    """A filter."""
    return pb.AnnotationFilter(
        slide_id=value.slide_id,
        uri=value.uri,
        project=value.project,
        author=value.author,
        path_class=value.path_class,
        region=None if value.region is None else _box(value.region),
    )


def slide(value: SlideRecord) -> pb.AnnotatedSlide:
    """What is known of a slide."""
    message = pb.AnnotatedSlide(slide_id=value.slide_id, uris=value.uris)
    if value.size is not None:
        message.width, message.height = value.size.width, value.size.height
    return message


def conflicts(error: RevisionConflictError) -> pb.RevisionConflicts:
    """Both versions of as many annotations as fit into a status."""
    message = pb.RevisionConflicts(total=int(error.details["conflicts"]))
    for conflict in error.conflicts:
        whole = _conflict(conflict)
        for part in (whole, _shortened(whole)):
            if message.ByteSize() + part.ByteSize() <= CONFLICT_BYTES:
                message.conflicts.append(part)
                break
        else:
            break
    return message


def _content(message: pb.Annotation, value: Content) -> None:
    message.slide_id = value.slide_id
    message.shape.CopyFrom(shape(value.shape))
    if value.path_class is not None:
        message.path_class.CopyFrom(_path_class(value.path_class))
    if value.rgb is not None:
        message.rgb = value.rgb
    message.name = value.name
    message.project = value.project
    message.locked = value.locked
    message.measurements.update(value.measurements)
    message.metadata.update(value.metadata)
    if value.provenance is not None:
        message.provenance.CopyFrom(_provenance(value.provenance))


def _path_class(value: PathClass) -> segmentation_pb2.PathClass:
    return segmentation_pb2.PathClass(name=value.name, rgb=value.rgb)


def _provenance(value: Provenance) -> pb.Provenance:
    return pb.Provenance(
        model=value.model,
        weights_hash=value.weights_hash,
        prompt=None if value.prompt is None else prompt(value.prompt),
        field=None if value.field is None else to_proto.field(value.field),
        score=value.score,
        levels=[segmentation_pb2.Level(downsample=level.downsample, windows=level.windows) for level in value.levels],
    )


def prompt(value: SlidePrompt) -> segmentation_pb2.Prompt:
    """All that was said about one object."""
    labels = {True: segmentation_pb2.POINT_LABEL_POSITIVE, False: segmentation_pb2.POINT_LABEL_NEGATIVE}
    points = [
        segmentation_pb2.PromptPoint(
            position=geometry_pb2.Point(x=mark.position.x, y=mark.position.y), label=labels[mark.positive]
        )
        for mark in value.points
    ]
    return segmentation_pb2.Prompt(points=points, box=None if value.box is None else _box(value.box))


def _box(value: Box) -> geometry_pb2.Box:
    return geometry_pb2.Box(x0=value.x0, y0=value.y0, x1=value.x1, y1=value.y1)


def _areas(value: BaseGeometry) -> pb.DrawnShape:
    parts = [
        # The last vertex of a ring repeats its first.
        pb.DrawnPart(paths=[_path(shapely.get_coordinates(ring)[:-1]) for ring in shapely.get_rings(area)])
        for area in shapely.get_parts(value)
    ]
    return pb.DrawnShape(kind=pb.SHAPE_KIND_AREAS, parts=parts)


def _path(coordinates: NDArray[np.float64]) -> pb.DrawnPath:
    return pb.DrawnPath(coordinates=coordinates.ravel().tolist())


def _conflict(value: Conflict) -> pb.RevisionConflict:
    return pb.RevisionConflict(sent=sent(value.sent), stored=annotation(value.stored))


def _shortened(whole: pb.RevisionConflict) -> pb.RevisionConflict:
    message = pb.RevisionConflict(shortened=True)
    for name in ("sent", "stored"):
        side = getattr(message, name)
        side.CopyFrom(getattr(whole, name))
        for field in ("shape", "measurements", "metadata", "provenance"):
            side.ClearField(field)
    return message
