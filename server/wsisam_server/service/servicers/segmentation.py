"""The servicer of wsisam.v1.Segmentation: translate, call, translate back."""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING

from wsisam.v1 import segmentation_pb2 as pb
from wsisam.v1 import segmentation_pb2_grpc
from wsisam_server import __version__
from wsisam_server.annotations.store import ChangeKind
from wsisam_server.core.errors import Reason, WsiSamServerError
from wsisam_server.segmentation.segmenter import Batch, LikeSurvey, Segmenter, Survey
from wsisam_server.service.identity import Role, current_user
from wsisam_server.service.interceptors import normalized
from wsisam_server.service.servicers import catalogue
from wsisam_server.service.servicers.converting import LARGE, Converter
from wsisam_server.service.servicers.stream import InteractStream
from wsisam_server.service.sessions import Admission, CommitService, batch_answers
from wsisam_server.service.visible_store import visible_store
from wsisam_server.wire import annotation_from_proto, exemplars_from_proto, from_proto, resume_token, to_proto
from wsisam_server.wire.details import status_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Collection, Sequence

    import grpc

    from wsisam_server.annotations.store import Commit
    from wsisam_server.core.answers import SurveyStep
    from wsisam_server.core.pixels import PixelWindow
    from wsisam_server.core.requests import Request
    from wsisam_server.core.settings import Limits
    from wsisam_server.service.sessions import PromptResult


class SegmentationServicer(segmentation_pb2_grpc.SegmentationServicer):
    """Serves the methods; protos/wsisam/v1/segmentation.proto documents them.

    Args:
        segmenter: knows slides and models, and plans.
        commits: answers prompts, and stores the outlines that are to be kept.
        admission: lets prompts in.
        limits: of requests.
    """

    def __init__(self, segmenter: Segmenter, commits: CommitService, admission: Admission, limits: Limits) -> None:
        self._segmenter = segmenter
        self._commits = commits
        self._admission = admission
        self._limits = limits
        self._converter = Converter()

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
        if source is not None:
            self._admission.check_pixels()
        slide_id, info, by_reference = await self._segmenter.opened(
            request.uri, source, principal=current_user().principal
        )
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

    async def CloseSlide(  # noqa: N802 - the contract's name
        self,
        request: pb.CloseSlideRequest,
        context: grpc.aio.ServicerContext,  # noqa: ARG002
    ) -> pb.CloseSlideResponse:
        """See the proto."""
        if not request.slide_id:
            raise from_proto.invalid("slide_id", "it is empty")
        user = current_user()
        # Without tokens everybody is an administrator here: the id, which cannot be guessed, is what lets them.
        owner = None if user.role is Role.ADMIN else user.principal
        if self._segmenter.close_slide(request.slide_id, owner):
            self._admission.slide_closed(request.slide_id)
        return pb.CloseSlideResponse()

    async def Segment(  # noqa: N802 - the contract's name
        self,
        request: pb.SegmentRequest,
        context: grpc.aio.ServicerContext,  # noqa: ARG002
    ) -> pb.SegmentResponse:
        """See the proto."""
        common = from_proto.common(request, "", current_user().principal, interactive=True)
        wanted = from_proto.request(request, common, self._limits.points_per_prompt)
        with self._admission.quota.taken(wanted.principal):
            async with self._admission.failures.limited():
                provisional = None
                if request.tiles:
                    provisional = self._segmenter.provisional_plan(wanted)
                    await self._push(request.slide_id, self._segmenter.pixel_windows(provisional), request.tiles)
                commit = annotation_from_proto.commit_of(request, "", self._limits, current_user().author)
                answered = await self._commits.answer(wanted, commit, provisional=provisional)
        return pb.SegmentResponse(outline=to_proto.outline(*answered))

    async def SegmentBatch(  # type: ignore[override]  # noqa: N802 - a coroutine that writes, not a generator
        self, request: pb.SegmentBatchRequest, context: grpc.aio.ServicerContext
    ) -> None:
        """See the proto."""
        limits, count = self._limits, len(request.items)
        if not 1 <= count <= limits.prompts_per_batch:
            raise from_proto.invalid("items", f"there must be 1 to {limits.prompts_per_batch}")
        await self._converter.run(count, lambda: _check_ids(request.items, limits))
        common = from_proto.common(request, "", current_user().principal, interactive=False)
        self._segmenter.model(request.model)
        self._segmenter.slide_info(request.slide_id)

        def wanted(number: int) -> Request:
            return from_proto.request(request.items[number], common, limits.points_per_prompt)

        def commit(number: int) -> Commit | None:
            return annotation_from_proto.commit_of(request.items[number], "", limits, current_user().author)

        # Planning tens of thousands of fields takes seconds: not on the event loop.
        batch = await self._converter.run(LARGE, lambda: Batch.planned(self._segmenter, wanted, count))
        if request.tiles:
            needed = await self._converter.run(LARGE, lambda: batch.pixel_windows(self._segmenter))
            await self._push(request.slide_id, needed, request.tiles)
        async with aclosing(batch_answers(batch, commit, self._commits, self._admission)) as answers:
            async for number, answer in answers:
                await context.write(_batch_message(request.items[number].id, number, answer))

    async def SegmentEverything(  # type: ignore[override]  # noqa: N802 - a coroutine that writes, not a generator
        self, request: pb.SegmentEverythingRequest, context: grpc.aio.ServicerContext
    ) -> None:
        """See the proto."""
        principal = current_user().principal
        # Any region has many parts: counting them takes as long as making something of a small one.
        survey = await (self._like(request, principal) if request.exemplars else self._survey(request, principal))
        about = await self._converter.run(LARGE, lambda: resume_token.digest(request, survey.basis))
        if request.resume_token:
            survey.go_on(resume_token.decode(request.resume_token, about))
        if request.tiles:
            await self._push(request.slide_id, survey.all_pixel_windows(), request.tiles)
        survey.check_pixels()
        await context.write(_message(survey, survey.begun, about))
        async with aclosing(survey.steps()) as steps:
            async for step in steps:
                await context.write(_message(survey, step, about))
                if step.done < survey.total:
                    self._admission.check_open()

    async def _survey(self, request: pb.SegmentEverythingRequest, principal: str) -> Survey:
        limits = self._limits
        wanted = await self._converter.run(LARGE, lambda: from_proto.survey(request, principal, limits))
        return await self._converter.run(
            LARGE, lambda: Survey.planned(self._segmenter, wanted, limits.windows_per_region)
        )

    async def _like(self, request: pb.SegmentEverythingRequest, principal: str) -> LikeSurvey:
        limits, stored = self._limits, {}
        for one in exemplars_from_proto.exemplar_ids(request):
            # What the caller may not see is as unknown as what is not there.
            found = await visible_store(self._commits.store).get(one.id)
            if found.kind is ChangeKind.DELETED:
                raise from_proto.invalid(one.field, "it was deleted")
            try:
                self._segmenter.slide_info(found.content.slide_id)
            except WsiSamServerError as error:
                raise exemplars_from_proto.unknown_slide(one, error) from error
            stored[one.number] = found
        wanted = await self._converter.run(LARGE, lambda: exemplars_from_proto.like(request, principal, limits, stored))
        return await self._converter.run(
            LARGE, lambda: LikeSurvey.planned(self._segmenter, wanted, limits.windows_per_region)
        )

    async def Interact(  # type: ignore[override]  # noqa: N802 - a coroutine that writes, not a generator
        self, requests: AsyncIterator[pb.InteractRequest], context: grpc.aio.ServicerContext
    ) -> None:
        """See the proto."""
        first = await anext(requests, None)
        if first is None or first.WhichOneof("message") != "start":
            raise WsiSamServerError(Reason.SESSION_NOT_STARTED)
        session_id = from_proto.identifier(first.start.session_id, "start.session_id", self._limits)
        with self._admission.session(session_id):
            stream = InteractStream(self._segmenter, self._commits, self._admission, self._limits, first.start)
            with self._admission.streaming(stream):
                await stream.run(requests, context.write)

    async def close(self) -> None:
        """Ends what runs beside the loop, once no call does."""
        await self._converter.close()

    async def _push(self, slide_id: str, needed: Collection[PixelWindow], tiles: Sequence[pb.PixelTile]) -> None:
        """Takes the tiles that came with a call; each must be one that a prompt of the call needs."""
        for number, message in enumerate(tiles):
            window, encoding, data = from_proto.tile(message, f"tiles[{number}]")
            about = {"tile": number, "field": f"tiles[{number}]", **to_proto.place(window)}
            if window not in needed:
                raise WsiSamServerError(Reason.TILE_NOT_REQUESTED).at(**about)
            try:
                await self._segmenter.push(slide_id, window, encoding, data)
            except WsiSamServerError as error:
                raise error.at(**about) from error


def _message(survey: Survey | LikeSurvey, step: SurveyStep, about: bytes) -> pb.SegmentEverythingResponse:
    message = to_proto.survey_step(
        step,
        windows_total=survey.total,
        downsample=survey.plan.downsample,
        found_with=survey.pixel_size,
    )
    message.resume_token = resume_token.encode(step, about)
    return message


def _batch_message(item_id: str, number: int, answer: PromptResult | Exception) -> pb.SegmentBatchResponse:
    if isinstance(answer, Exception):
        return pb.SegmentBatchResponse(id=item_id, error=status_of(normalized(answer), f"items[{number}]."))
    return pb.SegmentBatchResponse(id=item_id, outline=to_proto.outline(*answer))


def _check_ids(items: Sequence[pb.BatchItem], limits: Limits) -> None:
    ids = {from_proto.identifier(item.id, f"items[{n}].id", limits) for n, item in enumerate(items)}
    if len(ids) < len(items):
        raise from_proto.invalid("items", "an id is used twice")
