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
from wsisam_server.service.servicers.pages import (
    ANNOTATIONS_PER_PAGE,
    MOST_PER_PAGE,
    SLIDES_PER_PAGE,
    PageSplitter,
    fitting,
)
from wsisam_server.service.servicers.watch import WatchStream
from wsisam_server.service.visible_store import visible_store
from wsisam_server.wire import annotation_from_proto as from_proto
from wsisam_server.wire import annotation_to_proto as to_proto
from wsisam_server.wire import page_tokens
from wsisam_server.wire.from_proto import invalid
from wsisam_server.wire.to_proto import saved_annotation

if TYPE_CHECKING:
    from collections.abc import Iterable, Sized

    import grpc

    from wsisam_server.annotations.store import AsyncStore, Draft, Patch, SlideRecord, Target
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
        self._running_syncs = image_sync.RunningSyncs(limits.id_length)

    async def Save(  # noqa: N802 - the contract's name
        self,
        request: pb.AnnotationsSaveRequest,
        context: grpc.aio.ServicerContext,  # noqa: ARG002
    ) -> pb.AnnotationsSaveResponse:
        """See the proto."""
        store = visible_store(self._store)
        _check_count(request.items, "items", self._limits)
        author = current_user().author(request.author)
        parts = count_parts(item.annotation for item in request.items)
        async with self._converter.alone(parts):
            drafts, slides = await self._converter.run(parts, lambda: _to_save(request))
            saved = await store.save(
                drafts,
                author=author,
                request_id=request.request_id,
                slides=slides,
                validate_only=request.validate_only,
            )
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
        wanted = from_proto.annotation_filter(request.filter, "filter")
        after = from_proto.revision(request.since, "since")
        splitter, left = PageSplitter(store), request.limit or None
        classes = await store.classes() if request.with_classes else []
        while True:
            size = ANNOTATIONS_PER_PAGE if left is None else min(left, ANNOTATIONS_PER_PAGE)
            page = await store.listing(wanted, after=after, limit=size, deleted=request.include_deleted)
            after = page.revision
            chunks = await splitter.chunks(page)
            for chunk in chunks:
                await context.write(
                    pb.AnnotationsListResponse(
                        annotations=chunk.annotations,
                        slides=chunk.slides,
                        revision=chunk.revision,
                        store_id=store.identity,
                        classes=classes,
                    )
                )
                classes = []
            if left is not None:
                left -= len(page.annotations)
            if page.complete or left == 0:
                break
        if not chunks:
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
        saved = await store.delete(
            targets,
            author=current_user().author(request.author),
            request_id=request.request_id,
            validate_only=request.validate_only,
        )
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
            targets,
            author=current_user().author(request.author),
            request_id=request.request_id,
            validate_only=request.validate_only,
        )
        return pb.AnnotationsRestoreResponse(saved=map(saved_annotation, saved), store_id=store.identity)

    async def ListRevisions(  # noqa: N802 - the contract's name
        self,
        request: pb.AnnotationsListRevisionsRequest,
        context: grpc.aio.ServicerContext,  # noqa: ARG002
    ) -> pb.AnnotationsListRevisionsResponse:
        """See the proto."""
        store = visible_store(self._store)
        if request.id and request.HasField("filter"):
            raise invalid("filter", "an annotation is named already; leave one of the two out")
        annotation_id = from_proto.annotation_id(request.id, "id") if request.id else None
        wanted = from_proto.annotation_filter(request.filter, "filter")
        size = page_tokens.page_size(request, ANNOTATIONS_PER_PAGE, MOST_PER_PAGE)
        since, position = from_proto.revision(request.since, "since"), page_tokens.revision(request)
        after = since if position is None else position
        if annotation_id is None:
            page = await store.changes(wanted, after=after, limit=size)
        else:
            page = await store.history(annotation_id, after=after, limit=size)
        chunks = await PageSplitter(store).chunks(page)
        if not chunks:
            return pb.AnnotationsListRevisionsResponse(revision=page.revision, store_id=store.identity)
        complete = page.complete and len(chunks) == 1
        return pb.AnnotationsListRevisionsResponse(
            revisions=chunks[0].annotations,
            slides=chunks[0].slides,
            next_page_token="" if complete else page_tokens.token(request, str(chunks[0].revision)),
            revision=chunks[0].revision,
            store_id=store.identity,
        )

    async def ListSlides(  # noqa: N802 - the contract's name
        self,
        request: pb.AnnotationsListSlidesRequest,
        context: grpc.aio.ServicerContext,  # noqa: ARG002
    ) -> pb.AnnotationsListSlidesResponse:
        """See the proto."""
        store = visible_store(self._store)
        if len(request.slide_ids) > MOST_PER_PAGE:
            raise invalid("slide_ids", f"there may be at most {MOST_PER_PAGE}")
        size = page_tokens.page_size(request, SLIDES_PER_PAGE, MOST_PER_PAGE)
        after = page_tokens.position(request) or ""
        found, complete = await store.slide_page(after=after, limit=size, slide_ids=request.slide_ids)
        slides = fitting(found)
        more = not complete or len(slides) < len(found)
        return pb.AnnotationsListSlidesResponse(
            slides=slides,
            next_page_token=page_tokens.token(request, slides[-1].slide.slide_id) if more else "",
            store_id=store.identity,
        )

    async def GetStore(  # noqa: N802 - the contract's name
        self,
        request: pb.AnnotationsGetStoreRequest,  # noqa: ARG002
        context: grpc.aio.ServicerContext,  # noqa: ARG002
    ) -> pb.AnnotationsGetStoreResponse:
        """See the proto."""
        store = visible_store(self._store)
        return pb.AnnotationsGetStoreResponse(
            store_id=store.identity, revision=await store.head(), schema_version=store.schema_version
        )

    async def Sync(  # type: ignore[override]  # noqa: N802 - a coroutine that writes, not a generator
        self, request: pb.AnnotationsSyncRequest, context: grpc.aio.ServicerContext
    ) -> None:
        """See the proto."""
        for response in await self._running_syncs.run(request, lambda: self._sync(request)):
            await context.write(response)

    async def _sync(self, request: pb.AnnotationsSyncRequest) -> image_sync.Answer:
        store = visible_store(self._store)
        image, options, refused = await self._converter.run(LARGE, lambda: image_sync.asked(request))
        options = replace(options, author=current_user().author(options.author))
        merged = await store.work(lambda place: merge(place, image, options))
        merged.refused |= refused
        return await asyncio.to_thread(image_sync.answers, merged, image, store.identity)

    async def Watch(  # type: ignore[override]  # noqa: N802 - a coroutine that writes, not a generator
        self, request: pb.AnnotationsWatchRequest, context: grpc.aio.ServicerContext
    ) -> None:
        """See the proto."""
        stream = WatchStream(
            visible_store(self._store),
            from_proto.annotation_filter(request.filter, "filter"),
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


def _to_save(request: pb.AnnotationsSaveRequest) -> tuple[list[Draft | Patch], list[SlideRecord]]:
    drafts = from_proto.save_items(request.items, "items")
    return drafts, [from_proto.slide(message, f"slides[{n}]") for n, message in enumerate(request.slides)]


def _check_count(messages: Sized, field: str, limits: Limits) -> None:
    """Refuses more than a change may have, before anything is made of them. The store says where there are none."""
    if len(messages) > limits.annotations_per_request:
        raise invalid(field, f"there must be 1 to {limits.annotations_per_request}")


def _targets(messages: Iterable[pb.AnnotationTarget | pb.RestoreTarget]) -> list[Target]:
    return [from_proto.target(message, f"targets[{n}]") for n, message in enumerate(messages)]
