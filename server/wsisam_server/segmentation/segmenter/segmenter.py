"""The way of one prompt: plan its field, have it read and answered, and draw the outline."""

from __future__ import annotations

import asyncio
import logging
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

from wsisam_server.core.answers import Level, Outcome, Outline, StageTimes
from wsisam_server.core.errors import Reason, WsiSamServerError
from wsisam_server.core.pixels import Encoding, PixelsNeededError, PixelWindow
from wsisam_server.core.prompt import SlidePrompt
from wsisam_server.core.shapes import encode
from wsisam_server.inference.scheduler import Answer, Claim, Job, ModelInfo, Models, Priority, Ticket
from wsisam_server.segmentation.fields import plan, shared
from wsisam_server.segmentation.fields.checking import checked
from wsisam_server.segmentation.outlines import outline
from wsisam_server.segmentation.segmenter.observer import Observer, Observers
from wsisam_server.segmentation.segmenter.prefetch import Prefetching
from wsisam_server.segmentation.segmenter.refining import Refined, refined
from wsisam_server.segmentation.segmenter.watcher import NoPixels, Watcher
from wsisam_server.slides import OpenSlides, PushedSlide, SlideInfo, decode_tile

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    import numpy as np
    from numpy.typing import NDArray

    from wsisam_server.core.geometry import FieldPair, SlideSize, Window
    from wsisam_server.core.requests import Goal, Request
    from wsisam_server.core.settings import Limits

_log = logging.getLogger(__name__)

Result = TypeVar("Result")

DUST_CELLS = 4
"""Parts and holes of fewer mask cells are left out unless the caller says otherwise: dust."""

PIXEL_ROUNDS = 4
"""How often one prompt may ask for pixels again: its embeddings may be evicted while others' are computed."""


class Segmenter:
    """Answers prompts.

    Args:
        slides: the open slides.
        models: the models that may be asked.
        limits: bounds on a prompt.
        observer: hears of every prompt that ended.
    """

    def __init__(self, slides: OpenSlides, models: Models, limits: Limits, observer: Observer | None = None) -> None:
        self.slides = slides
        self.models = models
        self.prefetching = Prefetching(slides, models, limits.prefetched_fields)
        self._limits = limits
        self._observer = observer or Observers()
        self._blocking = ThreadPoolExecutor(max_workers=2, thread_name_prefix="wsisam-outline")
        # Apart from what makes outlines: a stranger's tile must not hold up anybody's answer.
        self._decoding = ThreadPoolExecutor(max_workers=2, thread_name_prefix="wsisam-tile")

    def model(self, name: str) -> ModelInfo:
        """What a model is, loaded or not; an empty name means the default.

        Raises:
            WsiSamServerError: UNKNOWN_MODEL or MODEL_UNAVAILABLE.
        """
        return self.models.info(name)

    def open_slide(
        self, uri: str, pixels: tuple[SlideSize, float | None] | None, *, owner: str = ""
    ) -> tuple[str, SlideInfo, bool]:
        """As `opened`, for who has no event loop. Blocks."""
        try:
            return self._by_reference(self.slides.open(uri, owner), pixels) or self._by_pixels(pixels, owner)
        except WsiSamServerError as error:
            return self._instead(error, pixels, owner)

    async def opened(
        self, uri: str, pixels: tuple[SlideSize, float | None] | None, *, owner: str = ""
    ) -> tuple[str, SlideInfo, bool]:
        """Opens a slide by reference, or in pixel mode when that fails and the client offers pixels.

        A file of another size than the client's image is not what the annotator sees (another file under a mapped
        path, a cropped image): then the client's own pixels are used.

        Args:
            uri: path or file: URI as the client sees it.
            pixels: size and microns per pixel of the client's image, when it can send pixels.
            owner: who sends them.

        Returns:
            The slide's id, its geometry, and whether the server reads the file itself.

        Raises:
            WsiSamServerError: SLIDE_NOT_FOUND, SLIDE_UNREADABLE or SLIDE_TOO_LARGE, without `pixels`;
                SLIDE_UNAVAILABLE: for a drive that does not answer now, no slide is opened under another id.
        """
        try:
            found = await asyncio.wrap_future(self.slides.opening(uri, owner))
        except WsiSamServerError as error:
            return self._instead(error, pixels, owner)
        return self._by_reference(found, pixels) or self._by_pixels(pixels, owner)

    def _by_reference(
        self, found: tuple[str, SlideInfo], pixels: tuple[SlideSize, float | None] | None
    ) -> tuple[str, SlideInfo, bool] | None:
        slide_id, info = found
        if pixels is None or info.size == pixels[0]:
            return slide_id, info, True
        _log.info("pixel mode: the file is %s, the client's image %s", info.size, pixels[0])
        return None

    def _instead(
        self, error: WsiSamServerError, pixels: tuple[SlideSize, float | None] | None, owner: str
    ) -> tuple[str, SlideInfo, bool]:
        if pixels is None or error.reason in {Reason.SLIDE_UNAVAILABLE, Reason.SHUTTING_DOWN}:
            raise error
        _log.info("pixel mode: %s (%s)", error.reason.name, error.private_text, extra={"place": error.place})
        return self._by_pixels(pixels, owner)

    def _by_pixels(self, pixels: tuple[SlideSize, float | None] | None, owner: str) -> tuple[str, SlideInfo, bool]:
        assert pixels is not None
        pushed = PushedSlide(*pixels, limit_bytes=self._limits.pushed_pixels_bytes)
        return self.slides.add_pushed(pushed, owner), pushed.info, False

    def pixel_windows(self, request: Request) -> set[PixelWindow]:
        """The pixel windows that a request reads on a slide in pixel mode, held or not; none on another slide.

        Raises:
            WsiSamServerError: what is wrong with the request.
        """
        pair, _ = self.field_for(request)
        pushed, model = self.slides.pushed(request.slide_id), self.model(request.model)
        if pushed is None:
            return set()
        return {window for window in map(pushed.window_for, model.windows(pair)) if window is not None}

    def slide_info(self, slide_id: str) -> SlideInfo:
        """Geometry of an open slide.

        Raises:
            WsiSamServerError: UNKNOWN_SLIDE_ID.
        """
        return self.slides.info(slide_id)

    def checked(self, request: Request) -> SlidePrompt:
        """The request's prompt, checked against its slide and clipped to it.

        Raises:
            WsiSamServerError: UNKNOWN_SLIDE_ID, or what is wrong with the prompt.
        """
        return checked(request.prompt, self.slide_info(request.slide_id).size, self._limits.points_per_prompt)

    def field_for(self, request: Request) -> tuple[FieldPair, SlidePrompt]:
        """The field that a request would use, and its prompt checked and clipped to the slide.

        Raises:
            WsiSamServerError: what is wrong with the request.
        """
        model = self.model(request.model)
        info = self.slide_info(request.slide_id)
        prompt = self.checked(request)
        pair = plan(
            prompt,
            info.size,
            model.image_size,
            mpp=info.pixel_size(request.mpp).mpp,
            viewport=request.viewport,
            choice=request.choice,
        )
        return pair, prompt

    async def first_field(self, request: Request, ahead: Collection[FieldPair] = ()) -> FieldPair:
        """The field for the first prompt on an object: the planned one, or one that is encoded already and as good.

        A click takes the field of the lattice in whose middle half it lies if that was encoded ahead, or lies on the
        disk and the planned one does not. A model that is not loaded is not asked.

        Args:
            request: the prompt.
            ahead: fields that were encoded for this annotator, or are next.

        Raises:
            WsiSamServerError: what is wrong with the request.
        """
        planned, prompt = self.field_for(request)
        other = shared(prompt, planned, self.slide_info(request.slide_id).size)
        if request.choice is not None or other is None or planned in ahead:
            return planned
        if other in ahead:
            return other
        model = self.model(request.model)
        is_stored = self.models.device.has_store and self.slides.pushed(request.slide_id) is None
        if is_stored and model.name in self.models.loaded():
            async with self.models.lease(model) as engine:
                for pair in (planned, other):
                    if not await engine.to_encode(self._job(request, pair, prompt)):
                        return pair
        return planned

    async def in_turn(self, owner: str, call: Callable[[], Result]) -> Result:
        """Runs what reads a slide on the threads that do, in an owner's turn and behind all for which somebody waits.

        Args:
            owner: whose turn it uses; see `Job`.
            call: blocks; not begun when this is cancelled before.

        Raises:
            WsiSamServerError: SHUTTING_DOWN.
            Exception: whatever `call` raises.
        """
        result, _ = await self.models.device.read(Ticket([Claim(Priority.BATCH, owner)]), call)
        return result

    async def segment(
        self,
        request: Request,
        watcher: Watcher | None = None,
        field: FieldPair | None = None,
        at_hand: Mapping[Window, NDArray[np.uint8]] | None = None,
    ) -> Outcome:
        """Answers one prompt.

        Args:
            request: the prompt.
            watcher: hears of waits; without one, missing pixels are an error.
            field: one that `field_for` or `first_field` returned for this object before; None to plan. Planned anew
                if the model was replaced by one of another image size.
            at_hand: windows of the slide that were read already.

        Raises:
            WsiSamServerError: of the catalogue; PixelsNeededError without a watcher that waits for pixels.
        """
        started = time.perf_counter()
        try:
            outcome = await self._segment(request, watcher or NoPixels(), field, at_hand or {})
        except BaseException as error:
            self._observer.failed(request, error)
            raise
        self._observer.answered(request, outcome, time.perf_counter() - started)
        return outcome

    async def push(self, slide_id: str, window: PixelWindow, encoding: Encoding, data: bytes) -> None:
        """Takes pixels of a slide in pixel mode.

        Raises:
            WsiSamServerError: TILE_NOT_REQUESTED when the slide is not in pixel mode; TILE_WRONG_SIZE,
                TILE_UNREADABLE or TOO_MANY_PIXELS.
        """
        pushed = self.slides.pushed(slide_id)
        if pushed is None:
            raise WsiSamServerError(Reason.TILE_NOT_REQUESTED)
        # Decoding a tile takes milliseconds: not on the event loop.
        await asyncio.get_running_loop().run_in_executor(
            self._decoding,
            lambda: pushed.push(window, decode_tile(encoding, data, window.tile_width, window.tile_height)),
        )

    async def close(self) -> None:
        """Closes the models and the slides. A read that a drive does not answer is not waited for."""
        self.slides.abandon()
        await self.models.close()
        self._blocking.shutdown(wait=True, cancel_futures=True)
        self._decoding.shutdown(wait=False, cancel_futures=True)
        self.slides.close()

    async def _segment(
        self,
        request: Request,
        watcher: Watcher,
        field: FieldPair | None,
        at_hand: Mapping[Window, NDArray[np.uint8]],
    ) -> Outcome:
        model = self.model(request.model)
        goal = self._goal(request, watcher)
        # Also where all is cached: what a file showed that is no longer there is not answered.
        await asyncio.wrap_future(self.slides.checking(request.slide_id, request.owner))
        pair, prompt = field, self.checked(request)
        if pair is None or pair.high.size != model.image_size:
            pair = await self.first_field(request)
        job = self._job(request, pair, prompt)
        read = job.read
        job = replace(
            job,
            read=lambda window: at_hand[window] if window in at_hand else read(window),
            mask=_fed_back(request.earlier, pair, model),
            on_encode=watcher.encoding,
        )
        if job.mask is None and model.mask_feedback and prompt.box is not None and prompt.points:
            # Clicks correct what was drawn for the box. Where that answer is not at hand, it is made again.
            boxed = await self._predict(model, replace(job, prompt=SlidePrompt(box=prompt.box)), watcher)
            answer = await self._predict(model, replace(job, mask=boxed.logits), watcher)
            answer = replace(answer, times=boxed.times + answer.times)
        else:
            answer = await self._predict(model, job, watcher)
        border = Refined(None, (Level(pair.high.downsample, 1),), limited=False, times=StageTimes())
        if goal is not None:
            border = await refined(
                answer,
                replace(job, mask=None),
                goal,
                self.slide_info(request.slide_id).size,
                lambda one: self._predict(model, one, watcher),
                lambda call: asyncio.get_running_loop().run_in_executor(self._blocking, call),
                watcher.refining,
            )
        return await self._outcome(request, model, pair, answer, border)

    def _goal(self, request: Request, watcher: Watcher) -> Goal | None:
        """How far the border is refined; None where that is not asked for.

        Raises:
            WsiSamServerError: INVALID_FIELD.
        """
        if request.refinement is None:
            return None
        try:
            goal = request.refinement.goal(request.viewport, self._limits.refinement_windows)
        except ValueError as error:
            raise WsiSamServerError(Reason.INVALID_FIELD, field="refine.max_windows", problem=str(error)) from error
        if isinstance(watcher, NoPixels) and self.slides.pushed(request.slide_id) is not None:
            # Which windows are needed follows from the first answer: only a stream can be asked for them then.
            raise WsiSamServerError(
                Reason.INVALID_FIELD,
                field="refine",
                problem="on a slide in pixel mode, borders are refined on an Interact stream only",
            )
        return goal

    def _job(self, request: Request, pair: FieldPair, prompt: SlidePrompt) -> Job:
        return Job(
            slide_id=self.slide_info(request.slide_id).content_key,
            read=self.slides.reader(request.slide_id),
            field=pair,
            prompt=prompt,
            interactive=request.interactive,
            owner=request.owner,
            is_lasting=self.slides.pushed(request.slide_id) is None,
        )

    async def _predict(self, model: ModelInfo, job: Job, watcher: Watcher) -> Answer:
        pushed = self.slides.pushed(job.slide_id)
        if pushed is None:
            async with self.models.lease(model, watcher.loading) as engine:
                return await engine.predict(job)
        for _ in range(PIXEL_ROUNDS):
            async with self.models.lease(model, watcher.loading) as engine:
                needed = pushed.missing(engine.lacking(job))
            if needed:
                # Without a lease: while a client takes its time, the model is not in use.
                await watcher.pixels_needed(needed)
            try:
                async with self.models.lease(model, watcher.loading) as engine:
                    return await engine.predict(job)
            except WsiSamServerError as error:
                # The embedding was evicted, or its tile let go, between the question and the answer.
                if error.reason is not Reason.PIXELS_NEEDED:
                    raise
        raise PixelsNeededError(pushed.missing(model.windows(job.field)))

    async def _outcome(
        self, request: Request, model: ModelInfo, pair: FieldPair, answer: Answer, border: Refined
    ) -> Outcome:
        info = self.slide_info(request.slide_id)
        pixel_size = info.pixel_size(request.mpp)
        unit = pixel_size.mpp or 1.0
        tolerance = request.options.tolerance
        started = time.perf_counter()

        min_area = request.options.min_area
        if min_area is None:
            min_area = DUST_CELLS * (unit * pair.high.extent / answer.logits.shape[0]) ** 2

        mosaic = border.fused

        def make() -> tuple[Outline, list[list[list[int]]]]:
            logits, window = (answer.logits, pair.high) if mosaic is None else (mosaic.logits, mosaic.window)
            made = outline(
                logits,
                window,
                info.size,
                tolerance_px=None if tolerance is None else tolerance / unit,
                min_area_px=min_area / unit**2,
            )
            return made, encode(made.geometry)

        made, rings = await asyncio.get_running_loop().run_in_executor(self._blocking, make)
        return Outcome(
            outline=made,
            rings=rings,
            logits=answer.logits,
            score=answer.score,
            field=pair,
            model=model,
            tolerance=made.tolerance_px * unit,
            in_microns=pixel_size.mpp is not None,
            pixel_size=pixel_size,
            times=answer.times + border.times,
            polygon_ms=(time.perf_counter() - started) * 1000,
            levels=border.levels,
            limited=border.limited,
        )


def _fed_back(earlier: Outcome | None, pair: FieldPair, model: ModelInfo) -> NDArray[np.float32] | None:
    """An earlier answer's logits, when the model wants them and they lie over the same window."""
    if earlier is None or not model.mask_feedback or earlier.field != pair or earlier.model != model:
        return None
    return earlier.logits
