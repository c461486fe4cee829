"""Sync of one image: messages to what the sync room takes, and its answer to messages."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from google.protobuf import field_mask_pb2

from wsisam.v1 import annotations_pb2 as pb
from wsisam_server.annotations.store import Draft
from wsisam_server.annotations.sync.client_image import ClientImage, SyncOptions
from wsisam_server.annotations.sync.drawings import UNUSABLE, usable_list
from wsisam_server.annotations.sync.likeness import differences
from wsisam_server.annotations.sync.model import Drawing, Kind
from wsisam_server.annotations.sync.plan import Direction, Resolution, Side, Verb
from wsisam_server.annotations.sync.store_side import Refusal
from wsisam_server.core.errors import Reason, WsiSamServerError
from wsisam_server.core.shapes import GeometryRepairer
from wsisam_server.service.identity import current_user
from wsisam_server.wire import annotation_from_proto as from_proto
from wsisam_server.wire import annotation_to_proto as to_proto
from wsisam_server.wire.details import status_of
from wsisam_server.wire.from_proto import invalid
from wsisam_server.wire.shape_from_proto import shapes_of

if TYPE_CHECKING:
    import uuid
    from collections.abc import Callable, Coroutine, Iterator

    from google.rpc import status_pb2
    from shapely.geometry.base import BaseGeometry

    from wsisam_server.annotations.sync.client_image import Merged
    from wsisam_server.annotations.sync.plan import Action, Case

Answer: TypeAlias = list[pb.AnnotationsSyncResponse]

MESSAGE_BYTES: Final = 1024 * 1024

DIRECTIONS: Final = {
    pb.SYNC_DIRECTION_UNSPECIFIED: Direction.BOTH,
    pb.SYNC_DIRECTION_BOTH: Direction.BOTH,
    pb.SYNC_DIRECTION_TO_CLIENT: Direction.TO_PROJECT,
    pb.SYNC_DIRECTION_TO_STORE: Direction.TO_STORE,
}

VERBS: Final = {
    Verb.ADD_TO_PROJECT: pb.SYNC_VERB_ADD_TO_CLIENT,
    Verb.UPDATE_IN_PROJECT: pb.SYNC_VERB_UPDATE_IN_CLIENT,
    Verb.REMOVE_FROM_PROJECT: pb.SYNC_VERB_REMOVE_FROM_CLIENT,
    Verb.ADD_TO_STORE: pb.SYNC_VERB_ADD_TO_STORE,
    Verb.REVISE_IN_STORE: pb.SYNC_VERB_UPDATE_IN_STORE,
    Verb.DELETE_IN_STORE: pb.SYNC_VERB_DELETE_IN_STORE,
    Verb.MERGE: pb.SYNC_VERB_MERGE,
    Verb.CONFLICT: pb.SYNC_VERB_KEEP,
    Verb.UNCHANGED: pb.SYNC_VERB_KEEP,
}

PATHS: Final = {
    Kind.GEOMETRY: "shape",
    Kind.CLASS: "path_class",
    Kind.NAME: "name",
    Kind.COLOUR: "rgb",
    Kind.LOCK: "locked",
    Kind.MEASUREMENTS: "measurements",
    Kind.METADATA: "metadata",
}

SIDES: Final = {
    pb.SYNC_SIDE_UNSPECIFIED: None,
    pb.SYNC_SIDE_STORE: Side.STORE,
    pb.SYNC_SIDE_CLIENT: Side.QUPATH,
}


class RunningSyncs:
    """The syncs that run now. One that is repeated meanwhile waits for the first, and is not run beside it.

    Args:
        id_length: what a request id may have.
    """

    def __init__(self, id_length: int) -> None:
        self._id_length = id_length
        self._running: dict[tuple[str, str], tuple[pb.AnnotationsSyncRequest, asyncio.Task[Answer]]] = {}

    async def run(self, request: pb.AnnotationsSyncRequest, sync: Callable[[], Coroutine[Any, Any, Answer]]) -> Answer:
        """The answer to a request; it is worked on to the end also where the caller leaves.

        Args:
            request: as it came.
            sync: answers it.

        Raises:
            WsiSamServerError: REQUEST_ID_REUSED, INVALID_FIELD, or whatever `sync` raises.
        """
        if not 1 <= len(request.request_id) <= self._id_length:
            raise invalid("request_id", f"it must have 1 to {self._id_length} characters")
        if request.validate_only:
            return await sync()
        key = (current_user().principal, request.request_id)
        if key not in self._running:
            task = asyncio.create_task(sync())
            self._running[key] = request, task
            task.add_done_callback(lambda ended: self._end(key, ended))
            return await asyncio.shield(task)
        first, task = self._running[key]
        if not await asyncio.to_thread(_are_same, first, request):
            raise WsiSamServerError(Reason.REQUEST_ID_REUSED, request_id=request.request_id)
        return await asyncio.shield(task)

    def _end(self, key: tuple[str, str], ended: asyncio.Task[Answer]) -> None:
        del self._running[key]
        # Where nobody waits any more, asyncio would log its error as nobody's.
        ended.cancelled() or ended.exception()


def _are_same(first: pb.AnnotationsSyncRequest, second: pb.AnnotationsSyncRequest) -> bool:
    """Whether two requests are the same to the byte. Messages with a NaN in them are not equal to themselves."""
    one, other = (request.SerializeToString(deterministic=True) for request in (first, second))
    return bool(one == other)


def asked(request: pb.AnnotationsSyncRequest) -> tuple[ClientImage, SyncOptions, dict[uuid.UUID, Refusal]]:
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
    refused: dict[uuid.UUID, Refusal] = {}
    messages = request.annotations
    ids: dict[str, uuid.UUID] = {}
    shapes = usable_list(shapes_of(messages, "annotations"), GeometryRepairer())
    for number, (message, shape) in enumerate(zip(messages, shapes, strict=True)):
        one = ids[message.id] = from_proto.annotation_id(message.id, f"annotations[{number}].id")
        if one in drawings or one in refused:
            raise invalid(f"annotations[{number}].id", "it comes twice")
        if shape is None:
            refused[one] = Refusal(Reason.INVALID_SHAPE, UNUSABLE)
        else:
            drawings[one] = _drawing(message, shape)
    excluded = {from_proto.annotation_id(one, f"excluded_ids[{n}]") for n, one in enumerate(request.excluded_ids)}
    revisions = {
        ids.get(one.id) or from_proto.annotation_id(one.id, f"synced[{n}].id"): from_proto.revision(
            one.revision, f"synced[{n}].revision"
        )
        for n, one in enumerate(request.synced)
    }
    image = ClientImage(slide, drawings, frozenset(excluded | refused.keys()), revisions, request.store_id)
    if request.direction not in DIRECTIONS or request.resolve not in SIDES:
        raise invalid("direction" if request.direction not in DIRECTIONS else "resolve", "it is not known here")
    options = SyncOptions(
        author=request.author,
        project=request.project,
        direction=DIRECTIONS[request.direction],
        resolution=Resolution(SIDES[request.resolve]),
        dry_run=request.validate_only,
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
    for action in (*merged.actions, *merged.gone):
        yield pb.AnnotationsSyncResponse(actions=[_action(action, merged.refused.get(action.id))])
    for one in merged.refused.keys() - {action.id for action in merged.actions}:
        said = pb.SyncAction(id=str(one), verb=pb.SYNC_VERB_KEEP, outcome=pb.SYNC_OUTCOME_REFUSED)
        said.refusal.CopyFrom(_refusal(one, merged.refused[one]))
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


def _action(action: Action, refused: Refusal | str | None) -> pb.SyncAction:
    client, client_fields = _client_change(action.case)
    store, store_fields = _store_change(action.case)
    latest = action.case.store
    said = pb.SyncAction(
        id=str(action.id),
        verb=VERBS[action.verb],
        outcome=_outcome(action, store) if refused is None else pb.SYNC_OUTCOME_REFUSED,
        refusal=None if refused is None else _refusal(action.id, refused),
        client_change=client,
        store_change=store,
        client_fields=_mask(client_fields),
        store_fields=_mask(store_fields),
        label=action.label,
        store_author="" if latest is None else latest.author,
    )
    if latest is not None:
        said.store_update_time.FromDatetime(latest.update_time)
    return said


def _outcome(action: Action, store: pb.SyncChange.ValueType) -> pb.SyncOutcome.ValueType:
    if action.held:
        return pb.SYNC_OUTCOME_WAITING
    if action.verb is not Verb.CONFLICT:
        return pb.SYNC_OUTCOME_DONE
    # Nobody disagrees about it: the plan does not believe that it was deleted.
    all_missing = action.case.project is None and store == pb.SYNC_CHANGE_NONE
    return pb.SYNC_OUTCOME_ALL_MISSING if all_missing else pb.SYNC_OUTCOME_CONFLICT


def _client_change(case: Case) -> tuple[pb.SyncChange.ValueType, frozenset[Kind]]:
    if case.project is None:
        return (pb.SYNC_CHANGE_NONE if case.base is None else pb.SYNC_CHANGE_DELETED), frozenset()
    if case.base is None:
        return pb.SYNC_CHANGE_ADDED, frozenset()
    return _changed(case.project, case)


def _store_change(case: Case) -> tuple[pb.SyncChange.ValueType, frozenset[Kind]]:
    if case.store is None:
        return (pb.SYNC_CHANGE_NONE if case.base is None else pb.SYNC_CHANGE_FORGOTTEN), frozenset()
    if case.stored is None:
        return pb.SYNC_CHANGE_DELETED, frozenset()
    if case.base is None:
        return pb.SYNC_CHANGE_ADDED, frozenset()
    return _changed(case.stored, case)


def _changed(drawing: Drawing, case: Case) -> tuple[pb.SyncChange.ValueType, frozenset[Kind]]:
    """In what a version is not the synced one; all of it, when that is not known any more."""
    kinds = frozenset(Kind) if case.synced is None else differences(drawing, case.synced)
    return (pb.SYNC_CHANGE_CHANGED if kinds else pb.SYNC_CHANGE_NONE), kinds


def _mask(kinds: frozenset[Kind]) -> field_mask_pb2.FieldMask | None:
    return field_mask_pb2.FieldMask(paths=[PATHS[kind] for kind in Kind if kind in kinds]) if kinds else None


def _refusal(annotation_id: uuid.UUID, refusal: Refusal | str) -> status_pb2.Status:
    """What a call about this annotation alone would have failed with."""
    reason = refusal.reason if isinstance(refusal, Refusal) else Reason.INVALID_FIELD
    status = status_of(WsiSamServerError(reason, annotation_id=annotation_id))
    status.message = str(refusal)
    return status
