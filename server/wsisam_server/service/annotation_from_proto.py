"""Messages to annotations. Every malformed value becomes INVALID_FIELD with the field's path in the request."""

from __future__ import annotations

import uuid
from dataclasses import replace
from datetime import timezone
from typing import TYPE_CHECKING

import shapely

from wsisam.v1 import annotations_pb2 as pb
from wsisam_server.geometry import FieldPair, SlideSize, Window
from wsisam_server.identity import current_user
from wsisam_server.polygons import decode
from wsisam_server.service import from_proto
from wsisam_server.service.from_proto import invalid
from wsisam_server.sessions import Commit
from wsisam_server.store import (
    Annotation,
    ChangeKind,
    Content,
    Draft,
    PathClass,
    Provenance,
    Scale,
    SlideRecord,
    Target,
    Wanted,
    canonical,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from shapely.geometry.base import BaseGeometry

    from wsisam.v1 import geometry_pb2, segmentation_pb2
    from wsisam_server.config import Limits

KINDS = {
    pb.CHANGE_KIND_SAVED: ChangeKind.SAVED,
    pb.CHANGE_KIND_DELETED: ChangeKind.DELETED,
    pb.CHANGE_KIND_RESTORED: ChangeKind.RESTORED,
}

RING_VERTICES = 3
LINE_VERTICES = 2


def annotation_id(value: str, field: str) -> uuid.UUID:
    """A UUID in its usual form, in letters of either case."""
    try:
        parsed = uuid.UUID(value)
    except ValueError:
        parsed = None
    if parsed is None or str(parsed) != value.lower():
        raise invalid(field, "it must be a UUID such as 6423a977-ffff-48db-affc-cd11632010f0")
    return parsed


def revision(value: int, field: str) -> int:
    """A revision's number, or 0."""
    if value < 0:
        raise invalid(field, "it is negative")
    return value


def draft(message: pb.Annotation, field: str) -> Draft:
    """An annotation to be saved; what only the server sets is not looked at."""
    if not message.HasField("shape"):
        raise invalid(f"{field}.shape", "it is missing")
    content = Content(
        slide_id=message.slide_id,
        shape=shape(message.shape, f"{field}.shape"),
        path_class=path_class(message.path_class) if message.HasField("path_class") else None,
        rgb=message.rgb if message.HasField("rgb") else None,
        name=message.name,
        project=message.project,
        locked=message.locked,
        measurements=dict(message.measurements),
        metadata=dict(message.metadata),
        provenance=_provenance(message.provenance, f"{field}.provenance") if message.HasField("provenance") else None,
    )
    return Draft(annotation_id(message.id, f"{field}.id"), content, revision(message.revision, f"{field}.revision"))


def annotation(message: pb.Annotation) -> Annotation:
    """An annotation as the server answers it."""
    known = draft(message, "annotation")
    return Annotation(
        id=known.id,
        revision=known.expected,
        kind=KINDS[message.change],
        content=replace(known.content, shape=canonical(known.content.shape)),
        author=message.author,
        creator=message.creator,
        created=message.created.ToDatetime(timezone.utc),
        updated=message.updated.ToDatetime(timezone.utc),
    )


def shape(message: pb.Shape, field: str) -> BaseGeometry:
    """A shape of either form; whether it is valid is for the store to say."""
    kind = message.WhichOneof("form")
    try:
        if kind == "area":
            return decode([[list(ring.deltas) for ring in polygon.rings] for polygon in message.area.polygons])
        if kind == "drawn":
            return _drawn(message.drawn)
    except (ValueError, shapely.errors.ShapelyError) as error:
        raise invalid(field, str(error)) from error
    raise invalid(field, "it has no form that this server knows")


def path_class(message: segmentation_pb2.PathClass) -> PathClass:
    """A class."""
    return PathClass(message.name, message.rgb if message.HasField("rgb") else None)


def slide(message: pb.AnnotatedSlide, field: str) -> SlideRecord:
    """What a client knows of a slide."""
    if message.width > from_proto.MAX_SIDE or message.height > from_proto.MAX_SIDE:
        raise invalid(field, f"a side may be at most {from_proto.MAX_SIDE} pixels")
    known = message.width > 0 and message.height > 0
    size = SlideSize(message.width, message.height) if known else None
    return SlideRecord(message.slide_id, tuple(message.uris), size)


def wanted(message: pb.AnnotationFilter, field: str) -> Wanted:
    """A filter."""
    return Wanted(
        slide_id=message.slide_id if message.HasField("slide_id") else None,
        uri=message.uri if message.HasField("uri") else None,
        project=message.project if message.HasField("project") else None,
        author=message.author if message.HasField("author") else None,
        path_class=message.path_class if message.HasField("path_class") else None,
        region=from_proto.box(message.region, f"{field}.region") if message.HasField("region") else None,
    )


def target(message: pb.AnnotationTarget | pb.RestoreTarget, field: str) -> Target:
    """An annotation to be deleted or restored."""
    earlier = None
    if isinstance(message, pb.RestoreTarget) and message.HasField("to_revision"):
        earlier = revision(message.to_revision, f"{field}.to_revision")
    return Target(annotation_id(message.id, f"{field}.id"), revision(message.revision, f"{field}.revision"), earlier)


def commit(message: segmentation_pb2.Commit, field: str, limits: Limits) -> Commit:
    """How an outline is to be kept."""
    if len(message.metadata) > limits.annotation_text:
        raise invalid(f"{field}.metadata", f"it has {len(message.metadata)} entries, and so many cannot be stored")
    author = current_user().author(message.author)
    if not author:
        raise invalid(f"{field}.author", "it is empty")
    return Commit(
        annotation_id=annotation_id(message.annotation_id, f"{field}.annotation_id"),
        expected=revision(message.revision, f"{field}.revision"),
        author=author,
        path_class=path_class(message.path_class) if message.HasField("path_class") else None,
        name=message.name,
        project=message.project,
        metadata=dict(message.metadata),
        uri=message.uri,
    )


def levels(messages: Sequence[segmentation_pb2.Level], field: str) -> tuple[Scale, ...]:
    """The scales at which a border was looked at."""
    found = []
    for number, message in enumerate(messages):
        try:
            found.append(Scale(message.downsample, message.windows))
        except ValueError as error:
            raise invalid(f"{field}[{number}]", str(error)) from error
    return tuple(found)


def _drawn(message: pb.DrawnShape) -> BaseGeometry:
    if message.kind == pb.SHAPE_KIND_POINTS:
        return shapely.MultiPoint([vertex for path in _paths(message, 1) for vertex in path])
    if message.kind == pb.SHAPE_KIND_LINES:
        return shapely.MultiLineString(list(_paths(message, LINE_VERTICES)))
    if message.kind == pb.SHAPE_KIND_AREAS:
        return shapely.MultiPolygon([_area(part) for part in message.parts])
    raise ValueError("its kind must be POINTS, LINES or AREAS")


def _paths(message: pb.DrawnShape, at_least: int) -> Iterator[list[tuple[float, float]]]:
    for part in message.parts:
        if len(part.paths) != 1:
            raise ValueError("a part of points or lines must have one path")
        yield _vertices(part.paths[0], at_least)


def _area(part: pb.DrawnPart) -> shapely.Polygon:
    if not part.paths:
        raise ValueError("an area must have an outer border")
    border, *holes = (_vertices(path, RING_VERTICES) for path in part.paths)
    return shapely.Polygon(border, holes)


def _vertices(path: pb.DrawnPath, at_least: int) -> list[tuple[float, float]]:
    numbers = path.coordinates
    if len(numbers) % 2 or len(numbers) < 2 * at_least:
        raise ValueError(f"a path must be an even count of at least {2 * at_least} numbers, not {len(numbers)}")
    return list(zip(numbers[0::2], numbers[1::2], strict=True))


def _provenance(message: pb.Provenance, field: str) -> Provenance:
    return Provenance(
        model=message.model,
        weights_hash=message.weights_hash,
        prompt=from_proto.prompt(message.prompt, f"{field}.prompt") if message.HasField("prompt") else None,
        field=_field(message.field, f"{field}.field") if message.HasField("field") else None,
        score=message.score if message.HasField("score") else None,
        levels=levels(message.levels, f"{field}.levels"),
    )


def _field(message: geometry_pb2.Field, field: str) -> FieldPair:
    high = message.high
    try:
        return FieldPair(Window(high.x, high.y, high.downsample, high.size))
    except ValueError as error:
        raise invalid(f"{field}.high", str(error)) from error
