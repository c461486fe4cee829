"""Messages to annotations. Every malformed value becomes INVALID_FIELD with the field's path in the request."""

from __future__ import annotations

import re
import uuid
from datetime import datetime, timezone
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from google.protobuf import timestamp_pb2

from wsisam.v1 import annotations_pb2 as pb
from wsisam_server.annotations.store import (
    PATCH_FIELDS,
    Annotation,
    AnnotationFilter,
    ChangeKind,
    Commit,
    Content,
    Draft,
    Level,
    Patch,
    PathClass,
    Provenance,
    SlideRecord,
    SlideSummary,
    Target,
    canonical_many,
)
from wsisam_server.core.geometry import FieldPair, SlideSize, Window
from wsisam_server.wire import from_proto
from wsisam_server.wire.from_proto import invalid
from wsisam_server.wire.shape_from_proto import shapes_at

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from shapely.geometry.base import BaseGeometry

    from wsisam.v1 import geometry_pb2, segmentation_pb2
    from wsisam_server.core.settings import Limits

KINDS = {
    pb.CHANGE_KIND_SAVED: ChangeKind.SAVED,
    pb.CHANGE_KIND_DELETED: ChangeKind.DELETED,
    pb.CHANGE_KIND_RESTORED: ChangeKind.RESTORED,
}

_UUID = re.compile("[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


def annotation_id(value: str, field: str) -> uuid.UUID:
    """A UUID in its usual form, in letters of either case."""
    if not _UUID.fullmatch(value):
        raise invalid(field, "it must be a UUID such as 6423a977-ffff-48db-affc-cd11632010f0")
    return uuid.UUID(value)


def revision(value: int, field: str) -> int:
    """A revision's number, or 0."""
    if value < 0:
        raise invalid(field, "it is negative")
    return value


def save_items(messages: Sequence[pb.SaveItem], field: str) -> list[Draft | Patch]:
    """Annotations to be saved, or fields of them; what only the server sets is not looked at.

    Their shapes are decoded all at once, which takes a fraction of the time.

    Args:
        messages: the items.
        field: their path in the request.
    """
    masks = [_mask(message, f"{field}[{n}].update_mask") for n, message in enumerate(messages)]
    shaped = [n for n, mask in enumerate(masks) if mask is None or "shape" in mask]
    shapes = shapes_at([messages[n].annotation for n in shaped], [f"{field}[{n}].annotation" for n in shaped])
    shape_at = dict(zip(shaped, shapes, strict=True))
    return [
        _save_item(message.annotation, mask, shape_at.get(n), f"{field}[{n}].annotation")
        for n, (message, mask) in enumerate(zip(messages, masks, strict=True))
    ]


def _save_item(
    message: pb.Annotation, mask: Collection[str] | None, form: BaseGeometry | None, field: str
) -> Draft | Patch:
    if mask is None:
        assert form is not None
        return _draft(message, form, field)
    fields = {name: read(message, field) for name, read in _READ.items() if name in mask}
    if form is not None:
        fields["shape"] = form
    expected = revision(message.revision, f"{field}.revision")
    return Patch(annotation_id(message.id, f"{field}.id"), expected, fields, message.slide_id)


def _mask(message: pb.SaveItem, field: str) -> frozenset[str] | None:
    """Which fields are saved; None for all."""
    mask = frozenset(message.update_mask.paths)
    if not mask or mask == {"*"}:
        return None
    for path in sorted(mask - PATCH_FIELDS):
        raise invalid(field, f"'{path}' is no field that can be saved by itself; there are {_listed(PATCH_FIELDS)}")
    return mask


def _listed(names: Collection[str]) -> str:
    return ", ".join(sorted(names))


def annotation(message: pb.Annotation) -> Annotation:
    """An annotation as the server answers it."""
    return annotation_list([message])[0]


def annotation_list(messages: Sequence[pb.Annotation]) -> list[Annotation]:
    """As `annotation`, of many."""
    return [
        Annotation(
            id=known.id,
            revision=known.expected,
            kind=KINDS[message.change],
            content=known.content,
            author=message.author,
            creator=message.creator,
            create_time=_time(message.create_time.seconds, message.create_time.nanos),
            update_time=_time(message.update_time.seconds, message.update_time.nanos),
        )
        for message, known in zip(messages, _drafts(messages), strict=True)
    ]


def _drafts(messages: Sequence[pb.Annotation]) -> list[Draft]:
    """Annotations as the server answers them, with shapes in their one form (see `canonical`)."""
    shapes = canonical_many(np.asarray(shapes_at(messages, ["annotation"] * len(messages)), object)).tolist()
    return [_draft(message, shape, "annotation") for message, shape in zip(messages, shapes, strict=True)]


@lru_cache(maxsize=4096)
def _path_class(name: str, rgb: int | None) -> PathClass:
    return PathClass(name, rgb)


@lru_cache(maxsize=256)  # what was stored together has one time
def _time(seconds: int, nanos: int) -> datetime:
    return timestamp_pb2.Timestamp(seconds=seconds, nanos=nanos).ToDatetime(timezone.utc)


def path_class(message: segmentation_pb2.PathClass) -> PathClass:
    """A class."""
    return _path_class(message.name, message.rgb if message.HasField("rgb") else None)


def slide(message: pb.AnnotatedSlide, field: str) -> SlideRecord:
    """What a client knows of a slide."""
    if message.width > from_proto.MAX_SIDE or message.height > from_proto.MAX_SIDE:
        raise invalid(field, f"a side may be at most {from_proto.MAX_SIDE} pixels")
    known = message.width > 0 and message.height > 0
    size = SlideSize(message.width, message.height) if known else None
    return SlideRecord(message.slide_id, tuple(message.uris), size)


def slide_summary(message: pb.StoredSlide) -> SlideSummary:
    """A slide as the server answers it."""
    return SlideSummary(slide(message.slide, "slides"), message.annotation_count, message.revision)


def annotation_filter(message: pb.AnnotationFilter, field: str) -> AnnotationFilter:
    """A filter."""
    return AnnotationFilter(
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


def commit(message: segmentation_pb2.Commit, field: str, limits: Limits, author: str) -> Commit:
    """How an outline is to be kept.

    Args:
        message: what the client says.
        field: its path in the request.
        limits: how much of its text can be stored.
        author: who keeps it; the message names one, who counts only where callers are not known.
    """
    if len(message.metadata) > limits.annotation_text:
        raise invalid(f"{field}.metadata", f"it has {len(message.metadata)} entries, and so many cannot be stored")
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


def commit_of(
    message: segmentation_pb2.SegmentRequest | segmentation_pb2.BatchItem | segmentation_pb2.PromptRevision,
    path: str,
    limits: Limits,
    author: Callable[[str], str],
) -> Commit | None:
    """How a prompt's outline is to be kept; None where it is not.

    Args:
        message: the prompt.
        path: in the request, up to its fields; such as "items[3].".
        limits: see `commit`.
        author: who keeps it, given whom the message names.
    """
    if not message.HasField("commit"):
        return None
    return commit(message.commit, f"{path}commit", limits, author(message.commit.author))


def levels(messages: Sequence[segmentation_pb2.Level], field: str) -> tuple[Level, ...]:
    """The scales at which a border was looked at."""
    found = []
    for number, message in enumerate(messages):
        try:
            found.append(Level(message.downsample, message.windows))
        except ValueError as error:
            raise invalid(f"{field}[{number}]", str(error)) from error
    return tuple(found)


def _draft(message: pb.Annotation, form: BaseGeometry, field: str) -> Draft:
    content = Content(message.slide_id, form, **{name: read(message, field) for name, read in _READ.items()})
    return Draft(annotation_id(message.id, f"{field}.id"), content, revision(message.revision, f"{field}.revision"))


_READ: Final[Mapping[str, Callable[[pb.Annotation, str], Any]]] = {
    "path_class": lambda message, _: path_class(message.path_class) if message.HasField("path_class") else None,
    "rgb": lambda message, _: message.rgb if message.HasField("rgb") else None,
    "name": lambda message, _: message.name,
    "project": lambda message, _: message.project,
    "locked": lambda message, _: message.locked,
    "measurements": lambda message, _: dict(message.measurements),
    "metadata": lambda message, _: dict(message.metadata),
    "provenance": lambda message, field: (
        provenance(message.provenance, f"{field}.provenance") if message.HasField("provenance") else None
    ),
}
"""The fields of a content as messages have them, all but the slide and the shape."""


def provenance(message: pb.Provenance, field: str) -> Provenance:
    """How a model made an outline."""
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
