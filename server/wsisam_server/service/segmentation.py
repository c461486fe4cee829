"""The servicer of wsisam.v1.Segmentation: translate, call, translate back."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, TypeVar

from wsisam.v1 import segmentation_pb2 as pb
from wsisam.v1 import segmentation_pb2_grpc
from wsisam_server.errors import Reason, WsiSamServerError
from wsisam_server.segmenter import OutlineOptions, Request, Segmenter
from wsisam_server.service import catalogue, from_proto, to_proto
from wsisam_server.service.stream import InteractStream
from wsisam_server.sessions import SessionIds

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine, Sequence

    import grpc

    from wsisam_server.config import Settings

BATCH_IN_FLIGHT = 8
"""Items of one batch that are on their way at once: enough that reading, the model and outlines overlap."""

Result = TypeVar("Result")


class SegmentationServicer(segmentation_pb2_grpc.SegmentationServicer):
    """Serves the methods; protos/wsisam/v1/segmentation.proto documents them.

    Args:
        segmenter: answers prompts.
        settings: limits, and the name of the default model.
    """

    def __init__(self, segmenter: Segmenter, settings: Settings) -> None:
        self._segmenter = segmenter
        self._settings = settings
        self._session_ids = SessionIds()

    async def ListModels(  # noqa: N802 - the contract's name
        self,
        request: pb.ListModelsRequest,  # noqa: ARG002
        context: grpc.aio.ServicerContext,  # noqa: ARG002
    ) -> pb.ListModelsResponse:
        """See the proto."""
        return pb.ListModelsResponse(models=catalogue.models(self._segmenter))

    async def OpenSlide(  # noqa: N802 - the contract's name
        self,
        request: pb.OpenSlideRequest,
        context: grpc.aio.ServicerContext,  # noqa: ARG002
    ) -> pb.OpenSlideResponse:
        """See the proto."""
        source = from_proto.pixel_source(request.pixels, "pixels") if request.HasField("pixels") else None
        slide_id, info, by_reference = await asyncio.to_thread(self._segmenter.open_slide, request.uri, source)
        return pb.OpenSlideResponse(
            slide_id=slide_id,
            width=info.size.width,
            height=info.size.height,
            mpp=info.mpp,
            downsamples=info.downsamples,
            source=pb.SLIDE_SOURCE_REFERENCE if by_reference else pb.SLIDE_SOURCE_PIXELS,
        )

    async def Segment(  # noqa: N802 - the contract's name
        self,
        request: pb.SegmentRequest,
        context: grpc.aio.ServicerContext,  # noqa: ARG002
    ) -> pb.SegmentResponse:
        """See the proto."""
        wanted = self._request(
            request.slide_id,
            request.model,
            from_proto.options(request.options, "options"),
            request,
            "",
            interactive=True,
        )
        self._segmenter.field_for(wanted)  # what is wrong with the prompt is said before what is wrong with its tiles
        await self._push(request.slide_id, [wanted], request.tiles)
        return pb.SegmentResponse(outline=to_proto.outline(await self._segmenter.segment(wanted)))

    async def SegmentBatch(  # type: ignore[override]  # noqa: N802 - a coroutine that writes, not a generator
        self, request: pb.SegmentBatchRequest, context: grpc.aio.ServicerContext
    ) -> None:
        """See the proto."""
        limits = self._settings.limits
        if not 1 <= len(request.items) <= limits.prompts_per_batch:
            raise from_proto.invalid("items", f"there must be 1 to {limits.prompts_per_batch}")
        ids = [from_proto.identifier(item.id, f"items[{n}].id", limits) for n, item in enumerate(request.items)]
        if len(set(ids)) < len(ids):
            raise from_proto.invalid("items", "an id is used twice")
        options = from_proto.options(request.options, "options")
        self._segmenter.engine(request.model)
        self._segmenter.slide_info(request.slide_id)

        wanted: dict[str, Request] = {}
        for number, item in enumerate(request.items):
            try:
                wanted[item.id] = self._request(
                    request.slide_id, request.model, options, item, f"items[{number}].", interactive=False
                )
            except WsiSamServerError as error:
                await context.write(pb.SegmentBatchResponse(id=item.id, error=to_proto.item_error(error)))
        await self._push(request.slide_id, list(wanted.values()), request.tiles)

        async def one(item_id: str, item: Request) -> pb.SegmentBatchResponse:
            try:
                return pb.SegmentBatchResponse(
                    id=item_id, outline=to_proto.outline(await self._segmenter.segment(item))
                )
            except Exception as error:  # noqa: BLE001 - an item's error must not end the others
                return pb.SegmentBatchResponse(id=item_id, error=to_proto.item_error(error))

        async for response in _as_completed([lambda i=i, r=r: one(i, r) for i, r in wanted.items()], BATCH_IN_FLIGHT):  # type: ignore[misc]
            await context.write(response)

    async def Interact(  # type: ignore[override]  # noqa: N802 - a coroutine that writes, not a generator
        self, requests: AsyncIterator[pb.InteractRequest], context: grpc.aio.ServicerContext
    ) -> None:
        """See the proto."""
        first = await anext(requests, None)
        if first is None or first.WhichOneof("message") != "start":
            raise WsiSamServerError(Reason.SESSION_NOT_STARTED)
        session_id = from_proto.identifier(first.start.session_id, "start.session_id", self._settings.limits)
        self._session_ids.claim(session_id)
        try:
            stream = InteractStream(self._segmenter, self._settings.limits, first.start)
            await stream.run(requests, context.write)
        finally:
            self._session_ids.release(session_id)

    def _request(
        self,
        slide_id: str,
        model: str,
        options: OutlineOptions,
        item: pb.SegmentRequest | pb.BatchItem,
        path: str,
        *,
        interactive: bool,
    ) -> Request:
        return Request(
            slide_id=slide_id,
            model=model,
            prompt=from_proto.prompt(item.prompt, f"{path}prompt"),
            viewport=from_proto.viewport(item.viewport, f"{path}viewport") if item.HasField("viewport") else None,
            choice=from_proto.field_choice(item.field, f"{path}field"),
            options=options,
            interactive=interactive,
        )

    async def _push(self, slide_id: str, wanted: Sequence[Request], tiles: Sequence[pb.PixelTile]) -> None:
        """Takes the tiles that came with a call; each must be one that a prompt of the call needs."""
        if not tiles:
            return
        needed = self._segmenter.pixel_windows(wanted)
        for number, message in enumerate(tiles):
            window, encoding, data = from_proto.tile(message, f"tiles[{number}]")
            if window not in needed:
                raise WsiSamServerError(Reason.TILE_NOT_REQUESTED, tile=number)
            await self._segmenter.push(slide_id, window, encoding, data)


async def _as_completed(
    calls: Sequence[Callable[[], Coroutine[Any, Any, Result]]], in_flight: int
) -> AsyncIterator[Result]:
    """Runs the calls, at most `in_flight` at once, and yields each result as it is ready."""
    waiting = iter(calls)
    running: set[asyncio.Task[Result]] = set()
    try:
        while True:
            while len(running) < in_flight and (call := next(waiting, None)) is not None:
                running.add(asyncio.ensure_future(call()))
            if not running:
                return
            done, running = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                yield task.result()
    finally:
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
