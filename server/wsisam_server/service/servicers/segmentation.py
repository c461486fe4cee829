"""The servicer of wsisam.v1.Segmentation: translate, call, translate back."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any, TypeVar

from wsisam.v1 import segmentation_pb2 as pb
from wsisam.v1 import segmentation_pb2_grpc
from wsisam_server import __version__
from wsisam_server.core.answers import Step
from wsisam_server.core.errors import Reason, WsiSamServerError
from wsisam_server.core.requests import OutlineOptions, Request
from wsisam_server.segmentation.segmenter import Segmenter, Survey, by_field
from wsisam_server.service.identity import Role, current_user
from wsisam_server.service.interceptors import normalized
from wsisam_server.service.servicers import catalogue
from wsisam_server.service.servicers.converting import LARGE, Converter
from wsisam_server.service.servicers.failures import Failures
from wsisam_server.service.servicers.stream import InteractStream
from wsisam_server.service.sessions import Allowance, SessionIds
from wsisam_server.wire import annotation_from_proto, from_proto, to_proto

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Collection, Coroutine, Iterable, Iterator, Sequence

    import grpc

    from wsisam_server.core.pixels import PixelWindow
    from wsisam_server.core.settings import Limits, Settings
    from wsisam_server.service.identity import Pace
    from wsisam_server.service.sessions import Keeper

BATCH_IN_FLIGHT = 8
"""Items of one batch that are on their way at once: enough that reading, the model and outlines overlap."""

Result = TypeVar("Result")


class SegmentationServicer(segmentation_pb2_grpc.SegmentationServicer):
    """Serves the methods; protos/wsisam/v1/segmentation.proto documents them.

    Args:
        segmenter: answers prompts.
        keeper: stores the outlines that are to be kept.
        pace: how fast one user may send.
        settings: limits, and the name of the default model.
    """

    def __init__(self, segmenter: Segmenter, keeper: Keeper, pace: Pace, settings: Settings) -> None:
        self._segmenter = segmenter
        self._keeper = keeper
        self._pace = pace
        self._settings = settings
        self._converter = Converter()
        self._session_ids = SessionIds()
        self._allowance = Allowance(settings.limits.queued_prompts_per_user)
        self._failures = Failures()
        self._streams: set[InteractStream] = set()
        self._draining = False

    async def ListModels(  # noqa: N802 - the contract's name
        self,
        request: pb.ListModelsRequest,  # noqa: ARG002
        context: grpc.aio.ServicerContext,  # noqa: ARG002
    ) -> pb.ListModelsResponse:
        """See the proto."""
        return pb.ListModelsResponse(models=catalogue.models(self._segmenter), server_version=__version__)

    async def OpenSlide(  # noqa: N802 - the contract's name
        self,
        request: pb.OpenSlideRequest,
        context: grpc.aio.ServicerContext,  # noqa: ARG002
    ) -> pb.OpenSlideResponse:
        """See the proto."""
        source = from_proto.pixel_source(request.pixels, "pixels") if request.HasField("pixels") else None
        if source is not None and current_user().role is Role.READER:
            # Pixels are for outlines; the memory for them is those people's who make some.
            raise WsiSamServerError(Reason.ROLE_NOT_ALLOWED, role=Role.READER.value, method="OpenSlide with pixels")
        slide_id, info, by_reference = await self._segmenter.opened(request.uri, source, owner=current_user().principal)
        return pb.OpenSlideResponse(
            slide_id=slide_id,
            width=info.size.width,
            height=info.size.height,
            mpp=info.mpp,
            downsamples=info.downsamples,
            mpp_x=None if info.axes is None else info.axes.x,
            mpp_y=None if info.axes is None else info.axes.y,
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
            mpp=from_proto.pixel_size(request, ""),
        )
        with self._allowance.taken(wanted.owner):
            try:
                if request.tiles:
                    await self._push(request.slide_id, self._segmenter.pixel_windows(wanted), request.tiles)
                return pb.SegmentResponse(outline=await self._outline(wanted, request, ""))
            except WsiSamServerError as error:
                await self._failures.call(error)
                raise

    async def SegmentBatch(  # type: ignore[override]  # noqa: N802 - a coroutine that writes, not a generator
        self, request: pb.SegmentBatchRequest, context: grpc.aio.ServicerContext
    ) -> None:
        """See the proto."""
        limits = self._settings.limits
        if not 1 <= len(request.items) <= limits.prompts_per_batch:
            raise from_proto.invalid("items", f"there must be 1 to {limits.prompts_per_batch}")
        await self._converter.run(len(request.items), lambda: _check_ids(request.items, limits))
        options, mpp = from_proto.options(request.options, "options"), from_proto.pixel_size(request, "")
        self._segmenter.model(request.model)
        self._segmenter.slide_info(request.slide_id)

        def wanted(number: int) -> Request:
            item = request.items[number]
            path = f"items[{number}]."
            return self._request(request.slide_id, request.model, options, item, path, interactive=False, mpp=mpp)

        async def answer(number: int) -> pb.SegmentBatchResponse:
            item_id = request.items[number].id
            try:
                outline = await self._outline(wanted(number), request.items[number], f"items[{number}].")
                return pb.SegmentBatchResponse(id=item_id, outline=outline)
            except Exception as error:  # noqa: BLE001 - an item's error must not end the others
                await self._failures.item(error)
                return pb.SegmentBatchResponse(id=item_id, error=to_proto.item_error(normalized(error)))

        if request.tiles:
            # Planning tens of thousands of fields takes seconds: not on the event loop.
            needed = await self._converter.run(LARGE, lambda: self._needed(wanted, len(request.items)))
            await self._push(request.slide_id, needed, request.tiles)
        order = await self._converter.run(LARGE, lambda: by_field(self._segmenter, wanted, len(request.items)))
        async for response in _as_completed(answer, self._begun(order), BATCH_IN_FLIGHT):
            await context.write(response)

    async def SegmentEverything(  # type: ignore[override]  # noqa: N802 - a coroutine that writes, not a generator
        self, request: pb.SegmentEverythingRequest, context: grpc.aio.ServicerContext
    ) -> None:
        """See the proto."""
        limits = self._settings.limits
        owner = current_user().principal
        # Any region has many parts: counting them takes as long as making something of a small one.
        wanted = await self._converter.run(LARGE, lambda: from_proto.survey(request, owner, limits))
        survey = await self._converter.run(
            LARGE, lambda: Survey.planned(self._segmenter, wanted, limits.windows_per_region)
        )
        if request.tiles:
            await self._push(request.slide_id, survey.pixel_windows(), request.tiles)
        survey.check_pixels()
        await context.write(_message(survey, Step()))
        async with contextlib.aclosing(survey.steps()) as steps:
            async for step in steps:
                await context.write(_message(survey, step))
                if self._draining and step.done < len(survey.plan.tiles):
                    raise WsiSamServerError(Reason.SHUTTING_DOWN)

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
            stream = InteractStream(
                self._segmenter, self._keeper, self._allowance, self._pace, self._settings.limits, first.start
            )
            self._streams.add(stream)
            if self._draining:  # it was let in before, and began only now
                stream.drain()
            try:
                await stream.run(requests, context.write)
            finally:
                self._streams.discard(stream)
        finally:
            self._session_ids.release(session_id)

    def drain(self) -> None:
        """Takes no more prompts. Streams end with SHUTTING_DOWN when what they have begun is answered."""
        self._draining = True
        for stream in self._streams:
            stream.drain()

    async def close(self) -> None:
        """Ends what runs beside the loop, once no call does."""
        await self._converter.close()

    def hand_back(self) -> None:
        """Answers the prompts of Interact streams that still wait with SHUTTING_DOWN; after `drain`."""
        for stream in self._streams:
            stream.hand_back()

    async def _outline(self, request: Request, item: pb.SegmentRequest | pb.BatchItem, path: str) -> pb.Outline:
        """Answers one prompt, and keeps the outline where that is asked for."""
        if not item.HasField("commit"):
            return to_proto.outline(await self._segmenter.segment(request))
        author = current_user().author(item.commit.author)
        commit = annotation_from_proto.commit(item.commit, f"{path}commit", self._settings.limits, author)
        slide = self._segmenter.slide_info(request.slide_id)
        self._keeper.check(commit, slide)
        outcome = await self._segmenter.segment(request)
        return to_proto.outline(outcome, await self._keeper.keep(request, outcome, slide, commit))

    def _request(
        self,
        slide_id: str,
        model: str,
        options: OutlineOptions,
        item: pb.SegmentRequest | pb.BatchItem,
        path: str,
        *,
        interactive: bool,
        mpp: float | None,
    ) -> Request:
        return Request(
            slide_id=slide_id,
            model=model,
            prompt=from_proto.prompt(item.prompt, f"{path}prompt", self._settings.limits.points_per_prompt),
            viewport=from_proto.viewport(item.viewport, f"{path}viewport") if item.HasField("viewport") else None,
            choice=from_proto.field_choice(item.field, f"{path}field"),
            options=options,
            interactive=interactive,
            owner=current_user().principal,
            refinement=from_proto.refinement(item.refine, f"{path}refine") if item.HasField("refine") else None,
            mpp=mpp,
        )

    def _begun(self, numbers: Iterable[int]) -> Iterator[int]:
        """The numbers of a batch's items, each when it is begun; ended by SHUTTING_DOWN after `drain`."""
        for number in numbers:
            if self._draining:
                raise WsiSamServerError(Reason.SHUTTING_DOWN)
            yield number

    def _needed(self, wanted: Callable[[int], Request], count: int) -> set[PixelWindow]:
        """The pixel windows of a batch; its invalid items need none, and are answered when their turn comes."""
        needed: set[PixelWindow] = set()
        for number in range(count):
            with contextlib.suppress(WsiSamServerError):
                needed |= self._segmenter.pixel_windows(wanted(number))
        return needed

    async def _push(self, slide_id: str, needed: Collection[PixelWindow], tiles: Sequence[pb.PixelTile]) -> None:
        """Takes the tiles that came with a call; each must be one that a prompt of the call needs."""
        for number, message in enumerate(tiles):
            window, encoding, data = from_proto.tile(message, f"tiles[{number}]")
            about = {"tile": number, **to_proto.place(window)}
            if window not in needed:
                raise WsiSamServerError(Reason.TILE_NOT_REQUESTED).at(**about)
            try:
                await self._segmenter.push(slide_id, window, encoding, data)
            except WsiSamServerError as error:
                raise error.at(**about) from error


def _message(survey: Survey, step: Step) -> pb.SegmentEverythingResponse:
    return to_proto.survey_step(
        step,
        windows_total=len(survey.plan.tiles),
        downsample=survey.plan.downsample,
        found_with=survey.pixel_size,
    )


def _check_ids(items: Sequence[pb.BatchItem], limits: Limits) -> None:
    ids = {from_proto.identifier(item.id, f"items[{n}].id", limits) for n, item in enumerate(items)}
    if len(ids) < len(items):
        raise from_proto.invalid("items", "an id is used twice")


async def _as_completed(
    call: Callable[[int], Coroutine[Any, Any, Result]], numbers: Iterator[int], in_flight: int
) -> AsyncIterator[Result]:
    """Runs `call` for each number, at most `in_flight` at once, and yields each result as it is ready.

    Raises:
        WsiSamServerError: what `numbers` raised, after the results of all calls before.
    """
    running: set[asyncio.Task[Result]] = set()
    ended: WsiSamServerError | None = None
    try:
        while True:
            try:
                while ended is None and len(running) < in_flight and (number := next(numbers, None)) is not None:
                    running.add(asyncio.ensure_future(call(number)))
            except WsiSamServerError as error:
                ended = error
            if not running:
                break
            done, running = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                yield task.result()
    finally:
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
    if ended is not None:
        raise ended
