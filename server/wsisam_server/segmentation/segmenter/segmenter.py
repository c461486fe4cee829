"""One prompt from request to outline: plan it, ask the model, draw the outline."""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from wsisam_server.core.geometry import FieldPair
from wsisam_server.inference.scheduler import kept_keys
from wsisam_server.segmentation.planning import PlannedPrompt, Planner
from wsisam_server.segmentation.segmenter.listeners import (
    ProgressListener,
    PromptListener,
    PromptListeners,
    SilentListener,
)
from wsisam_server.segmentation.segmenter.outcome import outcome_of
from wsisam_server.segmentation.segmenter.predicting import Predictor
from wsisam_server.segmentation.segmenter.prefetching import FieldPrefetcher, PrefetchCounts
from wsisam_server.segmentation.segmenter.slides import BatchReader, SlideOpener

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from wsisam_model import WsiSam
    from wsisam_server.core.answers import Outcome
    from wsisam_server.core.geometry import SlideSize, Viewport, Window
    from wsisam_server.core.pixels import Encoding, PixelWindow
    from wsisam_server.core.requests import Request
    from wsisam_server.core.settings import Limits
    from wsisam_server.inference.scheduler import Features, ModelInfo, Models, ModelStatus
    from wsisam_server.slides import OpenSlides, SlideInfo


class Segmenter:
    """Answers prompts: `segment`. All other methods delegate to the part that knows.

    Args:
        slides: the open slides.
        models: the models that may be asked.
        limits: bounds on a prompt.
        prompt_listener: is called for every prompt that ended.
    """

    def __init__(
        self, slides: OpenSlides, models: Models, limits: Limits, prompt_listener: PromptListener | None = None
    ) -> None:
        self._slides = slides
        self._models = models
        self._prompt_listener = prompt_listener or PromptListeners()
        self._blocking = ThreadPoolExecutor(max_workers=2, thread_name_prefix="wsisam-outline")
        self._opener = SlideOpener(slides, limits)
        self._planner = Planner(slides, models, limits)
        self._predictor = Predictor(slides, models, self._blocking)
        self._prefetching = FieldPrefetcher(slides, models, limits.prefetched_fields)

    async def segment(
        self,
        request: Request,
        listener: ProgressListener | None = None,
        field: FieldPair | None = None,
        *,
        provisional: PlannedPrompt | None = None,
        preloaded: Mapping[Window, NDArray[np.uint8]] | None = None,
    ) -> Outcome:
        """Answers one prompt.

        Args:
            request: the prompt.
            listener: is called when the prompt has to wait. Without one, missing pixels are an error.
            field: in which it is to be answered, such as that of an earlier answer; None to choose. Chosen again
                if the model was replaced by one of another image size.
            provisional: the provisional plan of this request.
            preloaded: windows of the slide that were read already.

        Raises:
            WsiSamServerError: of the catalogue; PixelsNeededError without a watcher that waits for pixels.
        """
        started = time.perf_counter()
        listener = listener or SilentListener()
        try:
            planned = await self._planner.plan(
                request, chosen=listener.planned, provisional=provisional, field=field, can_ask=listener.can_ask
            )
            self._prefetching.count(planned)
            outcome = await self._segment(planned, listener, preloaded or {})
        except BaseException as error:
            self._prompt_listener.failed(request, error)
            raise
        self._prompt_listener.answered(request, outcome, time.perf_counter() - started)
        return outcome

    async def _segment(
        self, planned: PlannedPrompt, listener: ProgressListener, preloaded: Mapping[Window, NDArray[np.uint8]]
    ) -> Outcome:
        predicted = await self._predictor.answer(planned, listener, preloaded)
        slide, started = self._slides.info(planned.request.slide_id), time.perf_counter()
        return await asyncio.get_running_loop().run_in_executor(
            self._blocking, outcome_of, planned, predicted, slide, started
        )

    async def features(
        self, request: Request, window: Window, preloaded: Mapping[Window, NDArray[np.uint8]] | None = None
    ) -> Features:
        """What the model's encoder makes of a window; see `Engine.features`.

        Args:
            request: on which slide, with which model and whose share; its prompt is not asked.
            window: of the model's image size.
            preloaded: see `segment`.

        Raises:
            WsiSamServerError: of the catalogue.
        """
        model, job = self._planner.window_job(request, FieldPair(window))
        await asyncio.wrap_future(self._slides.checking(request.slide_id, request.principal))
        return await self._predictor.features(model, job, preloaded or {})

    async def segment_many(self, requests: Sequence[Request], window: Window, threshold: float = 0.0) -> list[Outcome]:
        """Answers prompts of one kind in one window from its features; see `Engine.predict_many`.

        Args:
            requests: of one slide, model and principal.
            window: in which they are answered.
            threshold: logit above which a mask is the object; the outcomes' logits are less that.

        Raises:
            WsiSamServerError: of the catalogue.
        """
        if not requests:
            return []
        started = time.perf_counter()
        planned = [self._planner.provisional_plan(one, FieldPair(window)) for one in requests]
        predicted = await self._predictor.answer_many(planned, threshold)
        slide, loop = self._slides.info(requests[0].slide_id), asyncio.get_running_loop()
        outcomes = []
        for one, answer in zip(planned, predicted, strict=True):
            drawn = time.perf_counter()
            outcome = await loop.run_in_executor(self._blocking, outcome_of, one, answer, slide, drawn)
            self._prompt_listener.answered(one.request, outcome, (time.perf_counter() - started) / len(planned))
            outcomes.append(outcome)
        return outcomes

    def is_kept(self, slide_id: str, model: ModelInfo, window: Window) -> bool:
        """Whether the features of a window are in memory; False where the model runs elsewhere."""
        keys = kept_keys(self._slides.info(slide_id).content_key, model, window)
        return any(key in self._models.device.cache for key in keys)

    def provisional_plan(self, request: Request) -> PlannedPrompt:
        """The plan before embeddings are considered; see `Planner.provisional_plan`."""
        return self._planner.provisional_plan(request)

    def pixel_windows(self, planned: PlannedPrompt) -> set[PixelWindow]:
        """The pixel windows that a prompt reads on a slide in pixel mode, held or not; none on another slide."""
        pushed = self._slides.pushed(planned.request.slide_id)
        if pushed is None:
            return set()
        windows = planned.model.windows(planned.field)
        return {window for window in map(pushed.window_for, windows) if window is not None}

    # Models

    async def start(self, load: Callable[[], WsiSam]) -> None:
        """Makes the default model ready; see `Models.start`."""
        await self._models.start(load)

    def model(self, name: str) -> ModelInfo:
        """What a model is, loaded or not; an empty name means the default.

        Raises:
            WsiSamServerError: UNKNOWN_MODEL or MODEL_UNAVAILABLE.
        """
        return self._models.info(name)

    def models_listed(self) -> list[ModelStatus]:
        """All models that may be asked, the default first."""
        return self._models.listed()

    # Slides

    def open_slide(
        self, uri: str, pixels: tuple[SlideSize, float | None] | None, *, principal: str = ""
    ) -> tuple[str, SlideInfo, bool]:
        """As `opened`, for who has no event loop. Blocks."""
        return self._opener.open(uri, pixels, principal)

    async def opened(
        self, uri: str, pixels: tuple[SlideSize, float | None] | None, *, principal: str = ""
    ) -> tuple[str, SlideInfo, bool]:
        """Opens a slide by reference, or in pixel mode when that fails and the client offers pixels.

        A file of another size than the client's image is not what the annotator sees (another file under a mapped
        path, a cropped image): then the client's own pixels are used.

        Args:
            uri: path or file: URI as the client sees it.
            pixels: size and microns per pixel of the client's image, when it can send pixels.
            principal: who sends them.

        Returns:
            The slide's id, its geometry, and whether the server reads the file itself.

        Raises:
            WsiSamServerError: SLIDE_NOT_FOUND, SLIDE_UNREADABLE or SLIDE_TOO_LARGE, without `pixels`;
                SLIDE_UNAVAILABLE: for a drive that does not answer now, no slide is opened under another id.
        """
        return await self._opener.opened(uri, pixels, principal)

    def slide_info(self, slide_id: str) -> SlideInfo:
        """Geometry of an open slide.

        Raises:
            WsiSamServerError: UNKNOWN_SLIDE_ID.
        """
        return self._slides.info(slide_id)

    def close_slide(self, slide_id: str, owner: str | None = None) -> bool:
        """Frees a slide in pixel mode: its pixels, and what was encoded of them. Others are shared, and stay.

        Args:
            slide_id: any.
            owner: who must have opened it; None for whoever did.

        Returns:
            Whether a slide was closed.
        """
        key = self._opener.close_slide(slide_id, owner)
        if key is None:
            return False
        # Every engine's keys begin with what they are of.
        self._models.device.cache.discard_where(lambda one: isinstance(one, tuple) and one[0] == key)
        return True

    async def push(self, slide_id: str, window: PixelWindow, encoding: Encoding, data: bytes) -> None:
        """Takes pixels of a slide in pixel mode.

        Raises:
            WsiSamServerError: TILE_NOT_REQUESTED when the slide is not in pixel mode; TILE_WRONG_SIZE,
                TILE_UNREADABLE or TOO_MANY_PIXELS.
        """
        await self._opener.push(slide_id, window, encoding, data)

    def batch_reader(self, slide_id: str, principal: str) -> BatchReader:
        """Reads an open slide at batch priority."""
        return BatchReader(self._slides, self._models.device, slide_id, principal)

    # Fields that are encoded before anybody asks

    def likely_fields(
        self, slide_id: str, model: ModelInfo, viewport: Viewport, mpp: float | None = None
    ) -> list[FieldPair]:
        """Fields that clicks in a viewport will likely need; see `FieldPrefetcher.fields`."""
        return self._prefetching.fields(slide_id, model, viewport, mpp)

    async def prefetch(self, slide_id: str, model: ModelInfo, field: FieldPair, principal: str) -> None:
        """Has a field encoded when nothing more urgent waits; see `FieldPrefetcher.encode`."""
        await self._prefetching.encode(slide_id, model, field, principal)

    def prefetched(self) -> PrefetchCounts:
        """How many fields were encoded ahead, and used. From any thread."""
        return self._prefetching.counts()

    async def close(self) -> None:
        """Closes the models and the slides. A read that a drive does not answer is not waited for."""
        self._slides.abandon()
        await self._models.close()
        self._blocking.shutdown(wait=True, cancel_futures=True)
        self._opener.close()
        self._slides.close()
