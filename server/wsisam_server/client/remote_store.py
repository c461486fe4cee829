"""A server's annotations as a store: what the command line works on when the annotations are elsewhere.

What flows in: a connection. What flows out: the store's interface, with the same promises and the same errors. It must
never know what the annotations are for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeVar

from wsisam.v1 import annotations_pb2 as pb
from wsisam_server.annotations.store import (
    Annotation,
    AnnotationFilter,
    Conflict,
    Draft,
    Page,
    Patch,
    RevisionConflictError,
    Saved,
    SlideRecord,
    SlideSummary,
    Store,
    Target,
    validation,
)
from wsisam_server.client import Client, ServerError
from wsisam_server.core.errors import Reason, WsiSamServerError
from wsisam_server.core.settings import Limits
from wsisam_server.wire import annotation_from_proto as from_proto
from wsisam_server.wire import annotation_to_proto as to_proto

if TYPE_CHECKING:
    import uuid
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

    from wsisam.v1 import segmentation_pb2
    from wsisam.v1.annotations_pb2_grpc import AnnotationsStub

Reply = TypeVar("Reply")

PAGE: Final = 1000
"""Entries that the server gives at once."""


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
        state = self._state()
        self._identity, self._schema_version = state.store_id, state.schema_version

    @property
    def identity(self) -> str:
        """See `Store`."""
        return self._identity

    @property
    def schema_version(self) -> str:
        """See `Store`."""
        return self._schema_version

    def head(self) -> int:
        """See `Store`."""
        return self._state().revision

    def save(
        self,
        drafts: Sequence[Draft | Patch],
        *,
        author: str,
        request_id: str,
        slides: Collection[SlideRecord] = (),
        validate_only: bool = False,
    ) -> list[Saved]:
        """See `Store`."""
        # Here already, because a message cannot even express some of what is refused.
        good = validation.drafts(drafts, self._limits)
        request = pb.AnnotationsSaveRequest(
            request_id=request_id,
            author=author,
            items=to_proto.save_items(good),
            slides=map(to_proto.slide, slides),
            validate_only=validate_only,
        )
        return _saved(self._change(self._stub.Save, request, drafts).saved)

    def delete(
        self, targets: Sequence[Target], *, author: str, request_id: str, validate_only: bool = False
    ) -> list[Saved]:
        """See `Store`."""
        messages = (pb.AnnotationTarget(id=str(target.id), revision=target.expected) for target in targets)
        request = pb.AnnotationsDeleteRequest(
            request_id=request_id, author=author, targets=messages, validate_only=validate_only
        )
        return _saved(self._change(self._stub.Delete, request, targets).saved)

    def restore(
        self, targets: Sequence[Target], *, author: str, request_id: str, validate_only: bool = False
    ) -> list[Saved]:
        """See `Store`."""
        messages = (
            pb.RestoreTarget(id=str(target.id), revision=target.expected, to_revision=target.revision)
            for target in targets
        )
        request = pb.AnnotationsRestoreRequest(
            request_id=request_id, author=author, targets=messages, validate_only=validate_only
        )
        return _saved(self._change(self._stub.Restore, request, targets).saved)

    def get(self, annotation_id: uuid.UUID, revision: int | None = None) -> Annotation:
        """See `Store`."""
        request = pb.AnnotationsGetRequest(id=str(annotation_id), revision=revision)
        return from_proto.annotation(self._call(self._stub.Get, request).annotation)

    def listing(self, annotation_filter: AnnotationFilter, *, after: int, limit: int, deleted: bool = False) -> Page:
        """See `Store`."""
        validation.annotation_filter(annotation_filter)
        request = pb.AnnotationsListRequest(
            filter=to_proto.annotation_filter(annotation_filter), since=after, include_deleted=deleted, limit=limit
        )
        found: list[Annotation] = []
        for message in self._stream(self._stub.List, request):
            found += from_proto.annotation_list(message.annotations)
            after = message.revision
        return Page(tuple(found), after, complete=len(found) < limit)

    def changes(self, annotation_filter: AnnotationFilter, *, after: int, limit: int) -> Page:
        """See `Store`."""
        validation.annotation_filter(annotation_filter)
        return self._revisions(
            pb.AnnotationsListRevisionsRequest(filter=to_proto.annotation_filter(annotation_filter), since=after), limit
        )

    def history(self, annotation_id: uuid.UUID, *, after: int, limit: int) -> Page:
        """See `Store`."""
        return self._revisions(pb.AnnotationsListRevisionsRequest(id=str(annotation_id), since=after), limit)

    def classes(self) -> list[str]:
        """See `Store`."""
        nothing = pb.AnnotationsListRequest(filter=pb.AnnotationFilter(slide_id=""), with_classes=True)
        (message,) = self._stream(self._stub.List, nothing)
        return list(message.classes)

    def slides(self, slide_ids: Collection[str]) -> list[SlideRecord]:
        """See `Store`; slides without any annotation are left out, too."""
        ids = sorted(set(slide_ids))
        portions = [ids[start : start + PAGE] for start in range(0, len(ids), PAGE)]
        return [one.slide for portion in portions for one in self._slides(portion)]

    def slide_summaries(self) -> list[SlideSummary]:
        """See `Store`."""
        return list(self._slides(()))

    def close(self) -> None:
        """See `Store`."""
        self._client.close()

    @property
    def _stub(self) -> AnnotationsStub:
        return self._client.annotations

    def _state(self) -> pb.AnnotationsGetStoreResponse:
        reply: pb.AnnotationsGetStoreResponse = self._call(self._stub.GetStore, pb.AnnotationsGetStoreRequest())
        return reply

    def _revisions(self, request: pb.AnnotationsListRevisionsRequest, limit: int) -> Page:
        """A page of the store, of as many pages of the server as it takes."""
        found: list[Annotation] = []
        while True:
            request.page_size = limit - len(found)
            reply = self._call(self._stub.ListRevisions, request)
            found += from_proto.annotation_list(reply.revisions)
            request.page_token = reply.next_page_token
            if not reply.next_page_token or len(found) == limit:
                return Page(tuple(found), reply.revision, complete=not reply.next_page_token)

    def _slides(self, slide_ids: Collection[str]) -> Iterator[SlideSummary]:
        request = pb.AnnotationsListSlidesRequest(slide_ids=slide_ids, page_size=PAGE)
        while True:
            reply = self._call(self._stub.ListSlides, request)
            yield from map(from_proto.slide_summary, reply.slides)
            request.page_token = reply.next_page_token
            if not reply.next_page_token:
                return

    def _change(
        self, method: Callable[..., Reply], request: Any, asks: Sequence[Draft | Patch] | Sequence[Target]
    ) -> Reply:
        try:
            return self._client.call(method, request)
        except ServerError as error:
            if error.conflicts is None:
                raise _known(error) from error
            raise self._conflict(error, asks) from error

    def _conflict(self, error: ServerError, asks: Sequence[Draft | Patch] | Sequence[Target]) -> RevisionConflictError:
        assert error.conflicts is not None
        asked = {str(ask.id): ask for ask in asks}
        conflicts = [
            Conflict(
                asked[message.stored.id],
                self.get(asked[message.stored.id].id) if message.shortened else from_proto.annotation(message.stored),
            )
            for message in error.conflicts.conflicts
        ]
        if not conflicts:  # a server of before 0.2 left out what did not fit into a header
            first = asked[error.details["annotation_id"]]
            conflicts.append(Conflict(first, self.get(first.id)))
        known = RevisionConflictError(conflicts)
        known.at(**error.details)
        return known

    def _call(self, method: Callable[..., Reply], request: Any) -> Reply:
        try:
            return self._client.call(method, request)
        except ServerError as error:
            raise _known(error) from error

    def _stream(self, method: Callable[..., Any], request: Any) -> Iterator[Any]:
        try:
            yield from self._client.stream(method, request)
        except ServerError as error:
            raise _known(error) from error


def _saved(messages: Sequence[segmentation_pb2.SavedAnnotation]) -> list[Saved]:
    return [
        Saved(from_proto.annotation_id(message.id, "id"), message.revision, unchanged=message.unchanged)
        for message in messages
    ]


class _NoAnswerError(WsiSamServerError):
    """STORE_UNAVAILABLE because of the way to the server: not the store's fault, and not said to be."""

    def __init__(self, error: ServerError) -> None:
        self._text = error.text
        super().__init__(Reason.STORE_UNAVAILABLE, private=f"{error.status}: {error.text}")

    @property
    def private_text(self) -> str:
        return ""  # the public text has it

    def text_with(self, details: Mapping[str, str]) -> str:  # noqa: ARG002 - the way there has no details
        return self._text

    @property
    def public_text(self) -> str:
        return self._text  # STORE_UNAVAILABLE would lead to the wrong section


def _known(error: ServerError) -> WsiSamServerError:
    """The error of the catalogue that a call failed with."""
    if not error.reason:
        return _NoAnswerError(error)
    private = f"{error.status}: {error.text}"
    if error.reason not in Reason.__members__:  # a newer server
        return WsiSamServerError(Reason.STORE_UNAVAILABLE, private=private)
    return WsiSamServerError(Reason[error.reason], private=private, **error.details)
