"""Sync of one image: messages to what the sync room takes, and its answer to messages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from wsisam.v1 import annotations_pb2 as pb
from wsisam_server.annotations.store import Draft
from wsisam_server.annotations.sync.client_image import ClientImage, SyncOptions
from wsisam_server.annotations.sync.drawings import UNUSABLE, usable_list
from wsisam_server.annotations.sync.model import Drawing
from wsisam_server.annotations.sync.plan import Direction, Resolution, Side, Verb
from wsisam_server.core.shapes import Mender
from wsisam_server.wire import annotation_from_proto as from_proto
from wsisam_server.wire import annotation_to_proto as to_proto
from wsisam_server.wire.from_proto import invalid

if TYPE_CHECKING:
    import uuid
    from collections.abc import Iterator

    from shapely.geometry.base import BaseGeometry

    from wsisam_server.annotations.sync.client_image import Merged
    from wsisam_server.annotations.sync.plan import Action

MESSAGE_BYTES: Final = 1024 * 1024

DIRECTIONS: Final = {
    pb.SYNC_DIRECTION_UNSPECIFIED: Direction.BOTH,
    pb.SYNC_DIRECTION_BOTH: Direction.BOTH,
    pb.SYNC_DIRECTION_TO_CLIENT: Direction.TO_PROJECT,
    pb.SYNC_DIRECTION_TO_STORE: Direction.TO_STORE,
}

SIDES: Final = {
    pb.SYNC_SIDE_UNSPECIFIED: None,
    pb.SYNC_SIDE_STORE: Side.STORE,
    pb.SYNC_SIDE_CLIENT: Side.QUPATH,
}


def asked(request: pb.AnnotationsSyncRequest) -> tuple[ClientImage, SyncOptions, dict[uuid.UUID, str]]:
    """What is asked, and which annotations cannot be synced, and why.

    Raises:
        WsiSamServerError: INVALID_FIELD or INVALID_SHAPE.
    """
    slide = from_proto.slide(request.slide, "slide")
    if not slide.slide_id:
        raise invalid("slide.slide_id", "it is empty")
    if not request.author:
        raise invalid("author", "it is empty")
    drawings: dict[uuid.UUID, Drawing] = {}
    refused: dict[uuid.UUID, str] = {}
    messages = request.annotations
    ids: dict[str, uuid.UUID] = {}
    shapes = usable_list(from_proto.shapes_of(messages, "annotations"), Mender())
    for number, (message, shape) in enumerate(zip(messages, shapes, strict=True)):
        one = ids[message.id] = from_proto.annotation_id(message.id, f"annotations[{number}].id")
        if one in drawings or one in refused:
            raise invalid(f"annotations[{number}].id", "it comes twice")
        if shape is None:
            refused[one] = UNUSABLE
        else:
            drawings[one] = _drawing(message, shape)
    untouchable = {from_proto.annotation_id(one, f"untouchable[{n}]") for n, one in enumerate(request.untouchable)}
    revisions = {
        ids.get(one.id) or from_proto.annotation_id(one.id, f"synced[{n}].id"): from_proto.revision(
            one.revision, f"synced[{n}].revision"
        )
        for n, one in enumerate(request.synced)
    }
    image = ClientImage(slide, drawings, frozenset(untouchable | refused.keys()), revisions, request.store_id)
    if request.direction not in DIRECTIONS or request.resolve not in SIDES:
        raise invalid("direction" if request.direction not in DIRECTIONS else "resolve", "it is not known here")
    options = SyncOptions(
        author=request.author,
        project=request.project,
        direction=DIRECTIONS[request.direction],
        resolution=Resolution(SIDES[request.resolve]),
        dry_run=request.dry_run,
    )
    return image, options, refused


def _drawing(message: pb.Annotation, shape: BaseGeometry) -> Drawing:
    return Drawing(
        shape=shape,
        path_class=from_proto.path_class(message.path_class) if message.HasField("path_class") else None,
        rgb=message.rgb if message.HasField("rgb") else None,
        name=message.name,
        locked=message.locked,
        measurements=dict(message.measurements),
        metadata=dict(message.metadata),
    )


def answers(merged: Merged, image: ClientImage, store_id: str) -> list[pb.AnnotationsSyncResponse]:
    """The answer in messages of a size that clients take; at least one."""
    found = [pb.AnnotationsSyncResponse(store_id=store_id, unchanged=merged.unchanged)]
    size = 0
    for part in _parts(merged, image):
        size += part.ByteSize()
        if size > MESSAGE_BYTES:
            found.append(pb.AnnotationsSyncResponse(store_id=store_id, unchanged=merged.unchanged))
            size = part.ByteSize()
        found[-1].MergeFrom(part)
    return found


def _parts(merged: Merged, image: ClientImage) -> Iterator[pb.AnnotationsSyncResponse]:
    for action in merged.actions:
        yield pb.AnnotationsSyncResponse(actions=[_action(action, merged.refused.get(action.id))])
    for action in merged.gone:
        said = pb.SyncAction(
            id=str(action.id), action="deleted on both sides", reason=action.label or "not known any more"
        )
        yield pb.AnnotationsSyncResponse(actions=[said])
    for one in merged.refused.keys() - {action.id for action in merged.actions}:
        said = pb.SyncAction(id=str(one), action="left alone", reason=merged.refused[one], refused=True)
        yield pb.AnnotationsSyncResponse(actions=[said])
    put = [
        Draft(one, drawing.new(image.slide.slide_id, ""), merged.revisions[one]) for one, drawing in merged.put.items()
    ]
    for message in to_proto.draft_list(put):
        yield pb.AnnotationsSyncResponse(put=[message])
    for one in merged.remove:
        yield pb.AnnotationsSyncResponse(remove=[str(one)])
    for one, revision in merged.revisions.items():
        yield pb.AnnotationsSyncResponse(synced=[pb.SyncedAnnotation(id=str(one), revision=revision)])


def _action(action: Action, refused: str | None) -> pb.SyncAction:
    return pb.SyncAction(
        id=str(action.id),
        action=action.verb.value,
        reason=action.reason if refused is None else refused,
        conflict=action.verb is Verb.CONFLICT,
        held=action.held,
        refused=refused is not None,
    )
