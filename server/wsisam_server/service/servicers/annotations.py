"""The servicer of wsisam.v1.Annotations: translate, call, translate back."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

from wsisam.v1 import annotations_pb2 as pb
from wsisam.v1 import annotations_pb2_grpc
from wsisam_server.annotations.sync.client_image import merge
from wsisam_server.service.identity import current_user
from wsisam_server.service.servicers import image_sync
from wsisam_server.service.servicers.converting import LARGE, Converter, count_parts
from wsisam_server.service.servicers.pages import ANNOTATIONS_PER_PAGE, Pages
from wsisam_server.service.servicers.watch import WatchStream
from wsisam_server.service.visible_store import visible_store
from wsisam_server.wire import annotation_from_proto as from_proto
from wsisam_server.wire import annotation_to_proto as to_proto
from wsisam_server.wire.from_proto import invalid
from wsisam_server.wire.to_proto import saved_annotation

if TYPE_CHECKING:
    from collections.abc import Iterable, Sized

    import grpc

    from wsisam_server.annotations.store import AsyncStore, Draft, SlideRecord, Target
    from wsisam_server.core.settings import Limits


class AnnotationsServicer(annotations_pb2_grpc.AnnotationsServicer):
    """Serves the methods; protos/wsisam/v1/annotations.proto documents them.

    Args:
        store: where annotations are; None when the server has none.
        limits: how long a Watch stream waits.
    """

    def __init__(self, store: AsyncStore | None, limits: Limits) -> None:
        self._store = store
        self._limits = limits
        self._converter = Converter()
        self._streams: set[WatchStream] = set()

    async def Save(  # noqa: N802 - the contract's name
        self,
        request: pb.AnnotationsSaveRequest,
        context: grpc.aio.ServicerContext,  # noqa: ARG002
    ) -> pb.AnnotationsSaveResponse:
        """See the proto."""
        store = visible_store(self._store)
        _check_count(request.annotations, "annotations", self._limits)
        author, parts = current_user().author(request.author), count_parts(request.annotations)
        async with self._converter.alone(parts):
            drafts, slides = await self._converter.run(parts, lambda: _to_save(request))
            saved = await store.save(drafts, author=author, request_id=request.request_id, slides=slides)
        return pb.AnnotationsSaveResponse(saved=map(saved_annotation, saved), store_id=store.identity)

    async def Get(  # noqa: N802 - the contract's name
        self,
        request: pb.AnnotationsGetRequest,
        context: grpc.aio.ServicerContext,  # noqa: ARG002
    ) -> pb.AnnotationsGetResponse:
        """See the proto."""
        store = visible_store(self._store)
        revision = from_proto.revision(request.revision, "revision") if request.HasField("revision") else None
        found = await store.get(from_proto.annotation_id(request.id, "id"), revision)
        (slide,) = await store.slides([found.content.slide_id])
        return pb.AnnotationsGetResponse(
            annotation=to_proto.annotation(found), slide=to_proto.slide(slide), store_id=store.identity
        )

    async def List(  # type: ignore[override]  # noqa: N802 - a coroutine that writes, not a generator
        self, request: pb.AnnotationsListRequest, context: grpc.aio.ServicerContext
    ) -> None:
        """See the proto."""
        store = visible_store(self._store)
        wanted = from_proto.wanted(request.filter, "filter")
        after = from_proto.revision(request.since, "since")
        pages, left = Pages(store), request.limit or None
        classes = await store.classes() if request.with_classes else []
        while True:
            size = ANNOTATIONS_PER_PAGE if left is None else min(left, ANNOTATIONS_PER_PAGE)
            page = await store.listing(wanted, after=after, limit=size, deleted=request.include_deleted)
            after = page.revision
            parts = await pages.parts(page)
            for part in parts:
                await context.write(
                    pb.AnnotationsListResponse(
                        annotations=part.annotations,
                        slides=part.slides,
                        revision=part.revision,
                        store_id=store.identity,
                        classes=classes,
                    )
                )
                classes = []
            if left is not None:
                left -= len(page.annotations)
            if page.complete or left == 0:
                break
        if not parts:
            await context.write(pb.AnnotationsListResponse(revision=after, store_id=store.identity, classes=classes))

    async def Delete(  # noqa: N802 - the contract's name
        self,
        request: pb.AnnotationsDeleteRequest,
        context: grpc.aio.ServicerContext,  # noqa: ARG002
    ) -> pb.AnnotationsDeleteResponse:
        """See the proto."""
        store = visible_store(self._store)
        _check_count(request.targets, "targets", self._limits)
        targets = _targets(request.targets)
        saved = await store.delete(targets, author=current_user().author(request.author), request_id=request.request_id)
        return pb.AnnotationsDeleteResponse(saved=map(saved_annotation, saved), store_id=store.identity)

    async def Restore(  # noqa: N802 - the contract's name
        self,
        request: pb.AnnotationsRestoreRequest,
        context: grpc.aio.ServicerContext,  # noqa: ARG002
    ) -> pb.AnnotationsRestoreResponse:
        """See the proto."""
        store = visible_store(self._store)
        _check_count(request.targets, "targets", self._limits)
        targets = _targets(request.targets)
        saved = await store.restore(
            targets, author=current_user().author(request.author), request_id=request.request_id
        )
        return pb.AnnotationsRestoreResponse(saved=map(saved_annotation, saved), store_id=store.identity)

    async def History(  # type: ignore[override]  # noqa: N802 - a coroutine that writes, not a generator
        self, request: pb.AnnotationsHistoryRequest, context: grpc.aio.ServicerContext
    ) -> None:
        """See the proto."""
        store = visible_store(self._store)
        annotation_id = from_proto.annotation_id(request.id, "id")
        after = from_proto.revision(request.since, "since")
        pages = Pages(store)
        while True:
            page = await store.history(annotation_id, after=after, limit=ANNOTATIONS_PER_PAGE)
            after = page.revision
            for part in await pages.parts(page):
                response = pb.AnnotationsHistoryResponse(revisions=part.annotations, store_id=store.identity)
                if part.slides:
                    response.slide.CopyFrom(part.slides[0])
                await context.write(response)
            if page.complete:
                return

    async def Sync(  # type: ignore[override]  # noqa: N802 - a coroutine that writes, not a generator
        self, request: pb.AnnotationsSyncRequest, context: grpc.aio.ServicerContext
    ) -> None:
        """See the proto."""
        store = visible_store(self._store)
        image, options, refused = await self._converter.run(LARGE, lambda: image_sync.asked(request))
        options = replace(options, author=current_user().author(options.author))
        merged = await store.work(lambda place: merge(place, image, options))
        merged.refused |= refused
        for response in await asyncio.to_thread(image_sync.answers, merged, image, store.identity):
            await context.write(response)

    async def Watch(  # type: ignore[override]  # noqa: N802 - a coroutine that writes, not a generator
        self, request: pb.AnnotationsWatchRequest, context: grpc.aio.ServicerContext
    ) -> None:
        """See the proto."""
        stream = WatchStream(
            visible_store(self._store),
            from_proto.wanted(request.filter, "filter"),
            from_proto.revision(request.since, "since"),
            self._limits,
        )
        self._streams.add(stream)
        try:
            await stream.run(context.write)
        finally:
            self._streams.discard(stream)

    async def close(self) -> None:
        """Ends what runs beside the loop, once no call does."""
        await self._converter.close()

    def end_streams(self) -> None:
        """Ends all open Watch streams with SHUTTING_DOWN: they would not end by themselves."""
        for stream in self._streams:
            stream.end()


def _to_save(request: pb.AnnotationsSaveRequest) -> tuple[list[Draft], list[SlideRecord]]:
    fields = [f"annotations[{n}]" for n in range(len(request.annotations))]
    drafts = from_proto.draft_list(request.annotations, fields)
    return drafts, [from_proto.slide(message, f"slides[{n}]") for n, message in enumerate(request.slides)]


def _check_count(messages: Sized, field: str, limits: Limits) -> None:
    """Refuses more than a change may have, before anything is made of them. The store says where there are none."""
    if len(messages) > limits.annotations_per_request:
        raise invalid(field, f"there must be 1 to {limits.annotations_per_request}")


def _targets(messages: Iterable[pb.AnnotationTarget | pb.RestoreTarget]) -> list[Target]:
    return [from_proto.target(message, f"targets[{n}]") for n, message in enumerate(messages)]
