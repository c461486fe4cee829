"""A server's annotations as a store: what the command line works on when the annotations are elsewhere.

What flows in: a connection. What flows out: the store's interface, with the same promises and the same errors. It must
never know what the annotations are for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeVar

import grpc

from wsisam.v1 import annotations_pb2 as pb
from wsisam_server.annotations.store import (
    Annotation,
    Conflict,
    Draft,
    Page,
    RevisionConflictError,
    Saved,
    SlideRecord,
    Store,
    Target,
    Wanted,
    checks,
)
from wsisam_server.client import Client, ServerError, server_error
from wsisam_server.core.errors import Reason, WsiSamServerError
from wsisam_server.core.settings import Limits
from wsisam_server.wire import annotation_from_proto as from_proto
from wsisam_server.wire import annotation_to_proto as to_proto

if TYPE_CHECKING:
    import uuid
    from collections.abc import Callable, Collection, Iterator, Sequence

    from wsisam.v1 import segmentation_pb2
    from wsisam.v1.annotations_pb2_grpc import AnnotationsStub

Reply = TypeVar("Reply")

PAGE: Final = 1000


class RemoteStore(Store):
    """The annotations of a server; see `Store`.

    Args:
        client: closed with this.
        limits: what is not sent; the server has its own.

    Raises:
        WsiSamServerError: the server cannot be reached, or has no store.
    """

    def __init__(self, client: Client, limits: Limits | None = None) -> None:
        self._limits = limits or Limits()
        self._client = client
        self._identity, _ = self._state()

    @property
    def identity(self) -> str:
        """See `Store`."""
        return self._identity

    def head(self) -> int:
        """See `Store`."""
        return self._state()[1]

    def save(
        self, drafts: Sequence[Draft], *, author: str, request_id: str, slides: Collection[SlideRecord] = ()
    ) -> list[Saved]:
        """See `Store`."""
        # Here already, because a message cannot even express some of what is refused.
        good = checks.drafts(drafts, self._limits)
        request = pb.AnnotationsSaveRequest(
            request_id=request_id,
            author=author,
            annotations=to_proto.draft_list(good),
            slides=map(to_proto.slide, slides),
        )
        return _saved(self._change(self._stub.Save, request, drafts).saved)

    def delete(self, targets: Sequence[Target], *, author: str, request_id: str) -> list[Saved]:
        """See `Store`."""
        messages = (pb.AnnotationTarget(id=str(target.id), revision=target.expected) for target in targets)
        request = pb.AnnotationsDeleteRequest(request_id=request_id, author=author, targets=messages)
        return _saved(self._change(self._stub.Delete, request, targets).saved)

    def restore(self, targets: Sequence[Target], *, author: str, request_id: str) -> list[Saved]:
        """See `Store`."""
        messages = (
            pb.RestoreTarget(id=str(target.id), revision=target.expected, to_revision=target.revision)
            for target in targets
        )
        request = pb.AnnotationsRestoreRequest(request_id=request_id, author=author, targets=messages)
        return _saved(self._change(self._stub.Restore, request, targets).saved)

    def get(self, annotation_id: uuid.UUID, revision: int | None = None) -> Annotation:
        """See `Store`."""
        request = pb.AnnotationsGetRequest(id=str(annotation_id), revision=revision)
        return from_proto.annotation(self._call(self._stub.Get, request).annotation)

    def listing(self, wanted: Wanted, *, after: int, limit: int, deleted: bool = False) -> Page:
        """See `Store`."""
        checks.wanted(wanted)
        request = pb.AnnotationsListRequest(
            filter=to_proto.wanted(wanted), since=after, include_deleted=deleted, limit=limit
        )
        found: list[Annotation] = []
        for message in self._stream(self._stub.List, request):
            found += from_proto.annotation_list(message.annotations)
            after = message.revision
        return Page(tuple(found), after, complete=len(found) < limit)

    def changes(self, wanted: Wanted, *, after: int, limit: int) -> Page:
        """See `Store`."""
        checks.wanted(wanted)
        latest = self.head()
        request = pb.AnnotationsWatchRequest(filter=to_proto.wanted(wanted), since=after)
        found: list[Annotation] = []
        for message in self._stream(self._stub.Watch, request):
            found += from_proto.annotation_list(message.annotations)
            if len(found) > limit:
                return Page(tuple(found[:limit]), found[limit - 1].revision, complete=False)
            # What is changed while this reads comes with the next page.
            if message.revision >= latest:
                return Page(tuple(found), message.revision, complete=True)
        raise WsiSamServerError(Reason.STORE_UNAVAILABLE, private="the server ended a Watch by itself")

    def history(self, annotation_id: uuid.UUID, *, after: int, limit: int) -> Page:
        """See `Store`."""
        request = pb.AnnotationsHistoryRequest(id=str(annotation_id), since=after)
        found: list[Annotation] = []
        for message in self._stream(self._stub.History, request):
            found += from_proto.annotation_list(message.revisions)
            if len(found) > limit:
                return Page(tuple(found[:limit]), found[limit - 1].revision, complete=False)
        return Page(tuple(found), found[-1].revision if found else after, complete=True)

    def classes(self) -> list[str]:
        """See `Store`."""
        nothing = pb.AnnotationsListRequest(filter=pb.AnnotationFilter(slide_id=""), with_classes=True)
        (message,) = self._stream(self._stub.List, nothing)
        if message.classes or not message.revision:
            return list(message.classes)
        # An older server does not say: then its whole history does.
        found: set[str] = set()
        after, complete = 0, False
        while not complete:
            page = self.changes(Wanted(), after=after, limit=PAGE)
            found |= {"" if one.content.path_class is None else one.content.path_class.name for one in page.annotations}
            after, complete = page.revision, page.complete
        return sorted(found)

    def slides(self, slide_ids: Collection[str]) -> list[SlideRecord]:
        """See `Store`; slides without any annotation are left out, too."""
        records = []
        for slide_id in slide_ids:
            request = pb.AnnotationsListRequest(
                filter=pb.AnnotationFilter(slide_id=slide_id), include_deleted=True, limit=1
            )
            for message in self._stream(self._stub.List, request):
                records += [from_proto.slide(slide, "slides") for slide in message.slides]
        return records

    def close(self) -> None:
        """See `Store`."""
        self._client.close()

    @property
    def _stub(self) -> AnnotationsStub:
        return self._client.annotations

    def _state(self) -> tuple[str, int]:
        """The store's own id and its latest revision."""
        nothing = pb.AnnotationsListRequest(filter=pb.AnnotationFilter(slide_id=""))
        (message,) = self._stream(self._stub.List, nothing)
        return message.store_id, message.revision

    def _change(self, method: Callable[..., Reply], request: Any, asks: Sequence[Draft | Target]) -> Reply:
        try:
            return self._client.call(method, request)
        except ServerError as error:
            if error.conflicts is None:
                raise _known(error) from error
            raise self._conflict(error, asks) from error

    def _conflict(self, error: ServerError, asks: Sequence[Draft | Target]) -> RevisionConflictError:
        assert error.conflicts is not None
        asked = {str(ask.id): ask for ask in asks}
        conflicts = [
            Conflict(
                asked[message.stored.id],
                self.get(asked[message.stored.id].id) if message.shortened else from_proto.annotation(message.stored),
            )
            for message in error.conflicts.conflicts
        ]
        known = RevisionConflictError(conflicts)
        known.at(**error.details)
        return known

    def _call(self, method: Callable[..., Reply], request: Any) -> Reply:
        try:
            return self._client.call(method, request)
        except ServerError as error:
            raise _known(error) from error

    def _stream(self, method: Callable[..., Any], request: Any) -> Iterator[Any]:
        call = method(request)
        try:
            yield from call
        except grpc.RpcError as error:
            raise _known(server_error(error)) from error
        finally:
            call.cancel()


def _saved(messages: Sequence[segmentation_pb2.SavedAnnotation]) -> list[Saved]:
    return [
        Saved(from_proto.annotation_id(message.id, "id"), message.revision, unchanged=message.unchanged)
        for message in messages
    ]


def _known(error: ServerError) -> WsiSamServerError:
    """The error of the catalogue that a call failed with."""
    private = f"{error.status}: {error.text}"
    if error.reason not in Reason.__members__:  # no connection, or a newer server
        return WsiSamServerError(Reason.STORE_UNAVAILABLE, private=private)
    return WsiSamServerError(Reason[error.reason], private=private, **error.details)
