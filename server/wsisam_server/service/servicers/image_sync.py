"""Sync of one image: the syncs that run, and what became of one to messages."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

from google.protobuf import field_mask_pb2

from wsisam.v1 import annotations_pb2 as pb
from wsisam_server.annotations.store import Draft
from wsisam_server.annotations.sync.client_image import merge
from wsisam_server.annotations.sync.likeness import differences
from wsisam_server.annotations.sync.model import Kind
from wsisam_server.annotations.sync.plan import Verb
from wsisam_server.annotations.sync.store_side import Refusal
from wsisam_server.core.errors import Reason, WsiSamServerError
from wsisam_server.core.spool import Spool
from wsisam_server.service.identity import current_user
from wsisam_server.wire import annotation_to_proto as to_proto
from wsisam_server.wire.details import status_of

if TYPE_CHECKING:
    import uuid
    from collections.abc import Callable, Coroutine, Iterator, Mapping

    from google.rpc import status_pb2

    from wsisam_server.annotations.store import Store
    from wsisam_server.annotations.sync.client_image import ClientImage, Merged, SyncOptions
    from wsisam_server.annotations.sync.model import Drawing
    from wsisam_server.annotations.sync.plan import Action, Case

MESSAGE_BYTES: Final = 1024 * 1024

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


class RunningSyncs:
    """The syncs that run now. One that is repeated meanwhile waits for the first, and is not run beside it."""

    def __init__(self) -> None:
        self._running: dict[tuple[str, str], tuple[bytes, asyncio.Task[Spool]]] = {}

    async def run(self, request_id: str, fingerprint: bytes, sync: Callable[[], Coroutine[Any, Any, Spool]]) -> Spool:
        """The answer to a call; it is worked on to the end also where the caller leaves.

        Args:
            request_id: the call's.
            fingerprint: of all that was asked.
            sync: answers it.

        Raises:
            WsiSamServerError: REQUEST_ID_REUSED, or whatever `sync` raises.
        """
        key = (current_user().principal, request_id)
        if key not in self._running:
            task = asyncio.create_task(sync())
            self._running[key] = fingerprint, task
            task.add_done_callback(lambda ended: self._end(key, ended))
            return await asyncio.shield(task)
        first, task = self._running[key]
        if first != fingerprint:
            raise WsiSamServerError(Reason.REQUEST_ID_REUSED, request_id=request_id)
        return await asyncio.shield(task)

    def _end(self, key: tuple[str, str], ended: asyncio.Task[Spool]) -> None:
        del self._running[key]
        # Where nobody waits any more, asyncio would log its error as nobody's.
        ended.cancelled() or ended.exception()


def answered(store: Store, image: ClientImage, options: SyncOptions, refused: Mapping[uuid.UUID, Refusal]) -> Spool:
    """Syncs an image; the answer in messages of a size that clients take, at least one.

    Args:
        store: blocks.
        image: of the client.
        options: how.
        refused: annotations that cannot be synced.
    """
    answer, slide_id = Spool(), image.slide.slide_id
    message, size, unchanged = pb.AnnotationsSyncResponse(store_id=store.identity), 0, 0
    for part in _all_parts(merge(store, image, options), slide_id, refused):
        unchanged += part.unchanged
        part.ClearField("unchanged")
        more = part.ByteSize()
        if size and size + more > MESSAGE_BYTES:
            answer.append(message.SerializeToString())
            message, size = pb.AnnotationsSyncResponse(store_id=store.identity), 0
        message.MergeFrom(part)
        size += more
    message.unchanged = unchanged
    answer.append(message.SerializeToString())
    return answer


def _all_parts(
    merged: Iterator[Merged], slide_id: str, refused: Mapping[uuid.UUID, Refusal]
) -> Iterator[pb.AnnotationsSyncResponse]:
    for some in merged:
        yield from _parts(some, slide_id)
    for one, why in refused.items():
        said = pb.SyncAction(id=str(one), verb=pb.SYNC_VERB_KEEP, outcome=pb.SYNC_OUTCOME_REFUSED)
        said.refusal.CopyFrom(_refusal(one, why))
        yield pb.AnnotationsSyncResponse(actions=[said])


def _parts(merged: Merged, slide_id: str) -> Iterator[pb.AnnotationsSyncResponse]:
    yield pb.AnnotationsSyncResponse(
        unchanged=merged.unchanged,
        remove=map(str, merged.remove),
        synced=[pb.BaseRevision(id=str(one), revision=revision) for one, revision in merged.synced.items()],
        forgotten=map(str, merged.forgotten),
    )
    for action in (*merged.actions, *merged.gone):
        yield pb.AnnotationsSyncResponse(actions=[_action(action, merged.refused.get(action.id))])
    put = [Draft(one, drawing.new(slide_id, ""), revision) for one, (drawing, revision) in merged.put.items()]
    for message in to_proto.draft_list(put):
        yield pb.AnnotationsSyncResponse(put=[message])


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
