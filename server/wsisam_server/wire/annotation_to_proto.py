"""Annotations to messages."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timezone
from itertools import compress, zip_longest
from typing import TYPE_CHECKING, Any, Final, TypeVar

import numpy as np
import shapely
from google.protobuf import field_mask_pb2

from wsisam.v1 import annotations_pb2 as pb
from wsisam.v1 import geometry_pb2, segmentation_pb2
from wsisam_server.annotations.store import PATCH_FIELDS, Annotation, ChangeKind, Draft, Patch, Target
from wsisam_server.core.shapes import encode, encode_many, flattened
from wsisam_server.wire import to_proto

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from google.protobuf import timestamp_pb2
    from shapely.geometry.base import BaseGeometry

    from wsisam_server.annotations.store import (
        AnnotationFilter,
        Conflict,
        Content,
        Provenance,
        RevisionConflictError,
        SlideRecord,
        SlideSummary,
    )
    from wsisam_server.core.geometry import Box
    from wsisam_server.core.prompt import SlidePrompt

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

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=timezone.utc)

_SECONDS_PER_DAY: Final = 86_400

CONFLICT_BYTES = 4000
"""What the details of a status may take: they travel in a header, in base64, and clients in Java take 8 KiB of them."""


Thing = TypeVar("Thing", Annotation, Draft)


@dataclass(frozen=True, slots=True)
class _Form:
    """What the message of a shape holds.

    Attributes:
        kind: of a drawn shape; unspecified for the compact form of areas.
        parts: of each part its rings or paths, as the message has them.
    """

    kind: pb.ShapeKind.ValueType
    parts: Sequence[Sequence[Sequence[Any]]]


def annotation(value: Annotation) -> pb.Annotation:
    """An annotation as of one revision."""
    return annotation_list([value])[0]


def annotation_list(values: Sequence[Annotation]) -> list[pb.Annotation]:
    """Annotations, each as of one revision; many at once take a fifth of the time."""
    return [_annotation(value, form) for value, form in _with_forms(values)]


def draft_list(values: Sequence[Draft]) -> list[pb.Annotation]:
    """Annotations to be saved."""
    return [_draft(value, form) for value, form in _with_forms(values)]


def shape(value: BaseGeometry) -> pb.Shape:
    """A shape, in the compact form where that is exact."""
    message = pb.Shape()
    _write(message, _forms([value])[0])
    return message


def save_items(values: Sequence[Draft | Patch]) -> list[pb.SaveItem]:
    """Annotations to be saved, or fields of them."""
    forms = _forms([value.content.shape for value in values])
    return [_save_item(value, form) for value, form in zip(values, forms, strict=True)]


def _save_item(value: Draft | Patch, form: _Form) -> pb.SaveItem:
    if isinstance(value, Draft):
        return pb.SaveItem(annotation=_draft(value, form))
    message = _draft(Draft(value.id, value.content, value.expected), form)
    for name in PATCH_FIELDS - value.fields.keys():
        message.ClearField(name)  # type: ignore[arg-type] # names of fields, which the stub lists
    return pb.SaveItem(annotation=message, update_mask=field_mask_pb2.FieldMask(paths=sorted(value.fields)))


def sent(value: Draft | Patch | Target) -> pb.Annotation:
    """What was to be saved of an annotation; of one to be deleted or restored, its id and revision."""
    if isinstance(value, Target):
        return pb.Annotation(id=str(value.id), revision=value.expected)
    return save_items([value])[0].annotation


def slide_summary(value: SlideSummary) -> pb.StoredSlide:
    """A slide, and what somebody may see of its annotations."""
    return pb.StoredSlide(slide=slide(value.slide), annotation_count=value.annotations, revision=value.revision)


def annotation_filter(value: AnnotationFilter) -> pb.AnnotationFilter:
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
        for part in (whole, _shortened(whole), _bare(whole)):
            if message.ByteSize() + part.ByteSize() <= CONFLICT_BYTES:
                message.conflicts.append(part)
                break
        else:
            break
    return message


def _annotation(value: Annotation, form: _Form) -> pb.Annotation:
    message = pb.Annotation(
        id=str(value.id),
        revision=value.revision,
        author=value.author,
        creator=value.creator,
        change=KINDS[value.kind],
    )
    _content(message, value.content, form)
    _time(message.create_time, value.create_time)
    _time(message.update_time, value.update_time)
    return message


def _draft(value: Draft, form: _Form) -> pb.Annotation:
    message = pb.Annotation(id=str(value.id), revision=value.expected)
    _content(message, value.content, form)
    return message


def _time(message: timestamp_pb2.Timestamp, value: datetime) -> None:
    since = value - _EPOCH
    message.seconds = _SECONDS_PER_DAY * since.days + since.seconds
    message.nanos = 1000 * since.microseconds


def _with_forms(values: Sequence[Thing]) -> Iterator[tuple[Thing, _Form]]:
    return zip(values, _forms([value.content.shape for value in values]), strict=True)


def _forms(values: Sequence[BaseGeometry]) -> list[_Form]:
    """What the messages of shapes hold, of all of them at once."""
    kinds = [SHAPE_KINDS[value.geom_type] for value in values]
    is_area = [kind == pb.SHAPE_KIND_AREAS for kind in kinds]
    flat = flattened(np.asarray(list(compress(values, is_area)), object))
    compact = encode_many(flat)
    # What a person drew off the grid is written vertex by vertex.
    drawn = [] if all(compact) else flat.nested(flat.vertices.ravel().tolist())
    areas = (
        _Form(pb.SHAPE_KIND_UNSPECIFIED, rings) if rings is not None else _Form(pb.SHAPE_KIND_AREAS, paths)
        for rings, paths in zip_longest(compact, drawn)
    )
    return [
        next(areas) if kind == pb.SHAPE_KIND_AREAS else _Form(kind, _paths(value))
        for value, kind in zip(values, kinds, strict=True)
    ]


def _paths(value: BaseGeometry) -> list[list[list[float]]]:
    """Of points one path, of lines one for each."""
    paths = [value] if shapely.get_dimensions(value) == 0 else shapely.get_parts(value)
    return [[shapely.get_coordinates(path).ravel().tolist()] for path in paths]


def _write(message: pb.Shape, form: _Form) -> None:
    # Filled where it is: a message that is given to another one is copied.
    if form.kind == pb.SHAPE_KIND_UNSPECIFIED:
        message.area.SetInParent()
        for part in form.parts:
            polygon = message.area.polygons.add()
            for ring in part:
                polygon.rings.add().deltas.extend(ring)
        return
    message.drawn.kind = form.kind
    for part in form.parts:
        drawn = message.drawn.parts.add()
        for path in part:
            drawn.paths.add().coordinates.extend(path)


def _content(message: pb.Annotation, value: Content, form: _Form) -> None:
    message.slide_id = value.slide_id
    _write(message.shape, form)
    if value.path_class is not None:
        message.path_class.name = value.path_class.name
        if value.path_class.rgb is not None:
            message.path_class.rgb = value.path_class.rgb
    if value.rgb is not None:
        message.rgb = value.rgb
    message.name = value.name
    message.project = value.project
    message.locked = value.locked
    for key, number in value.measurements.items():
        message.measurements[key] = number
    for key, text in value.metadata.items():
        message.metadata[key] = text
    if value.provenance is not None:
        message.provenance.CopyFrom(_provenance(value.provenance))


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
            position=geometry_pb2.Point(x=mark.position.x, y=mark.position.y),
            label=labels[mark.positive],
            candidate=mark.candidate,
        )
        for mark in value.points
    ]
    return segmentation_pb2.Prompt(
        points=points,
        box=None if value.box is None else _box(value.box),
        shape=None if value.shape is None else to_proto.areas(encode(value.shape)),
        candidate=value.candidate,
    )


def _box(value: Box) -> geometry_pb2.Box:
    return geometry_pb2.Box(x0=value.x0, y0=value.y0, x1=value.x1, y1=value.y1)


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


def _bare(whole: pb.RevisionConflict) -> pb.RevisionConflict:
    """Only which annotation it is: a name alone may be longer than a header."""
    sides = {name: getattr(whole, name) for name in ("sent", "stored")}
    bare = {name: pb.Annotation(id=side.id, revision=side.revision) for name, side in sides.items()}
    return pb.RevisionConflict(**bare, shortened=True)
