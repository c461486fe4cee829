"""Planning: the model, the prompt on its slide, the field, and the refinement of the border."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from wsisam_server.core.errors import Reason, WsiSamServerError
from wsisam_server.inference.scheduler import Job
from wsisam_server.segmentation.fields import checked, keeps, plan, shared

if TYPE_CHECKING:
    from collections.abc import Callable

    from wsisam_server.core.geometry import FieldPair
    from wsisam_server.core.prompt import SlidePrompt
    from wsisam_server.core.requests import Request, ResolvedRefinement
    from wsisam_server.core.settings import Limits
    from wsisam_server.inference.scheduler import ModelInfo, Models
    from wsisam_server.slides import OpenSlides, SlideInfo


@dataclass(frozen=True, slots=True)
class PlannedPrompt:
    """A prompt that was checked, clipped to its slide, and given a field.

    Attributes:
        request: what was asked.
        model: that answers it.
        job: what the engine is asked: the prompt in its field.
        is_first: whether the field was chosen for a first prompt on an object, so that another one may be as good.
        refinement: how far the border is refined; None for not at all.
    """

    request: Request
    model: ModelInfo
    job: Job
    is_first: bool = False
    refinement: ResolvedRefinement | None = None

    @property
    def field(self) -> FieldPair:
        """The windows that the model reads."""
        return self.job.field

    def moved(self, field: FieldPair) -> PlannedPrompt:
        """The same prompt in another field."""
        return replace(self, job=replace(self.job, field=field))


class Planner:
    """Plans prompts.

    Args:
        slides: the open slides.
        models: the models that may be asked.
        limits: bounds on a prompt.
    """

    def __init__(self, slides: OpenSlides, models: Models, limits: Limits) -> None:
        self._slides = slides
        self._models = models
        self._limits = limits

    async def plan(
        self,
        request: Request,
        *,
        chosen: Callable[[FieldPair], None],
        provisional: PlannedPrompt | None = None,
        field: FieldPair | None = None,
        can_ask: bool = False,
    ) -> PlannedPrompt:
        """Plans a prompt: checks it, clips it to its slide, chooses its field.

        Args:
            request: what is asked.
            chosen: called with the field, and again where existing embeddings make another one better.
            provisional: from `provisional_plan`. It counts while its model is the one that is asked.
            field: one in which it is to be answered; see `provisional_plan`.
            can_ask: whether the caller can be asked for pixels while the prompt is answered.

        Raises:
            WsiSamServerError: what is wrong with the request, its slide or its model.
        """
        if provisional is None or provisional.model != self._models.info(request.model):
            provisional = self.provisional_plan(request, field)
        chosen(provisional.field)
        refinement = self._refinement(request, can_ask=can_ask)
        # Also where all is cached: what a file showed that is no longer there is not answered.
        await asyncio.wrap_future(self._slides.checking(request.slide_id, request.principal))
        planned = provisional.moved(await self._first_field(provisional)) if provisional.is_first else provisional
        chosen(planned.field)
        return replace(planned, refinement=refinement)

    def provisional_plan(self, request: Request, field: FieldPair | None = None) -> PlannedPrompt:
        """The plan before embeddings are considered. From any thread; it does not wait.

        Args:
            request: what is asked.
            field: one in which it is to be answered; None to choose. Chosen again where it is of another model's size.

        Raises:
            WsiSamServerError: UNKNOWN_MODEL, MODEL_UNAVAILABLE or UNKNOWN_SLIDE_ID; what is wrong with the prompt.
        """
        model, slide = self._models.info(request.model), self._slides.info(request.slide_id)
        prompt = checked(request.prompt, slide.size, self._limits.points_per_prompt)
        previous = field or self._previous_field(request, prompt, slide)
        fits = previous is not None and previous.high.size == model.image_size
        job = Job(
            slide_id=slide.content_key,
            read=self._slides.reader(request.slide_id),
            field=previous if previous is not None and fits else self._chosen(request, prompt, model, slide),
            prompt=prompt,
            mask=None,
            interactive=request.interactive,
            principal=request.principal,
            is_lasting=self._slides.pushed(request.slide_id) is None,
        )
        moves_on = previous is None and request.previous_field is not None
        return PlannedPrompt(request, model, job, is_first=not fits and not moves_on and request.choice is None)

    def window_job(self, request: Request, field: FieldPair) -> tuple[ModelInfo, Job]:
        """The job of looking at a window without a prompt. From any thread; it does not wait.

        Raises:
            WsiSamServerError: UNKNOWN_MODEL, MODEL_UNAVAILABLE or UNKNOWN_SLIDE_ID.
        """
        model, slide = self._models.info(request.model), self._slides.info(request.slide_id)
        job = Job(
            slide_id=slide.content_key,
            read=self._slides.reader(request.slide_id),
            field=field,
            prompt=request.prompt,
            interactive=request.interactive,
            principal=request.principal,
            is_lasting=self._slides.pushed(request.slide_id) is None,
        )
        return model, job

    def _previous_field(self, request: Request, prompt: SlidePrompt, slide: SlideInfo) -> FieldPair | None:
        """The field of the object's earlier prompts, if this one stays in it."""
        if (
            request.choice is not None
            or request.previous_field is None
            or not keeps(request.previous_field, prompt, slide.size)
        ):
            return None
        return request.previous_field

    def _chosen(self, request: Request, prompt: SlidePrompt, model: ModelInfo, slide: SlideInfo) -> FieldPair:
        mpp = slide.pixel_size(request.mpp).mpp
        return plan(prompt, slide.size, model.image_size, mpp=mpp, viewport=request.viewport, choice=request.choice)

    async def _first_field(self, provisional: PlannedPrompt) -> FieldPair:
        """The field for the first prompt on an object: the planned one, or one that is encoded already and as good.

        A click takes the field of the lattice in whose middle half it lies if that was prefetched, or lies on the disk
        and the planned one does not. A model that is not loaded is not asked.
        """
        request, job = provisional.request, provisional.job
        other = shared(job.prompt, job.field, self._slides.info(request.slide_id).size)
        if other is None or job.field in request.prefetched:
            return job.field
        if other in request.prefetched:
            return other
        if job.is_lasting and self._models.device.has_store and provisional.model.name in self._models.loaded():
            async with self._models.lease(provisional.model) as engine:
                for field in (job.field, other):
                    if not await engine.to_encode(replace(job, field=field)):
                        return field
        return job.field

    def _refinement(self, request: Request, *, can_ask: bool) -> ResolvedRefinement | None:
        """How far the border is refined; None where that is not asked for.

        Raises:
            WsiSamServerError: INVALID_FIELD.
        """
        if request.refinement is None:
            return None
        try:
            refinement = request.refinement.resolve(request.viewport, self._limits.refinement_windows)
        except ValueError as error:
            raise WsiSamServerError(Reason.INVALID_FIELD, field="refine.max_windows", problem=str(error)) from error
        if not can_ask and self._slides.pushed(request.slide_id) is not None:
            # Which windows are needed follows from the first answer: only a stream can be asked for them then.
            raise WsiSamServerError(
                Reason.INVALID_FIELD,
                field="refine",
                problem="on a slide in pixel mode, borders are refined on an Interact stream only",
            )
        return refinement
