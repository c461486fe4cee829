"""What the model says of a planned prompt; on a slide in pixel mode, with pixels that its client is asked for."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

import numpy as np

from wsisam_server.core.answers import RefinementLevel, StageTimes
from wsisam_server.core.errors import Reason, WsiSamServerError
from wsisam_server.core.pixels import PixelsNeededError
from wsisam_server.core.prompt import SlidePrompt
from wsisam_server.segmentation.outlines import OWN, after_box, clicks_in, corrected, kept_share
from wsisam_server.segmentation.segmenter.outcome import finished_answer
from wsisam_server.segmentation.segmenter.refining import Refined, refined

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from concurrent.futures import Executor

    from numpy.typing import NDArray

    from wsisam_server.core.answers import Outcome
    from wsisam_server.core.geometry import Window
    from wsisam_server.inference.scheduler import Answer, Features, Job, ModelInfo, Models
    from wsisam_server.segmentation.planning import PlannedPrompt
    from wsisam_server.segmentation.segmenter.listeners import ProgressListener
    from wsisam_server.segmentation.segmenter.outcome import FinishedAnswer
    from wsisam_server.slides import OpenSlides

PIXEL_ROUNDS: Final = 4
"""How often one prompt may ask for pixels again: its embeddings may be evicted while others' are computed."""


@dataclass(frozen=True, slots=True)
class Predicted:
    """What the model says of a planned prompt.

    Attributes:
        answer: in the planned field.
        border: the same, of the chosen candidate, refined.
        finished: the answer's masks, where it had to be known which of them is chosen; else None.
    """

    answer: Answer
    border: Refined
    finished: FinishedAnswer | None = None


@dataclass(frozen=True, slots=True)
class _FedBack:
    """What goes back to the model with a prompt.

    Attributes:
        mask: finished logits over the HR window; None for nothing.
        prompt: which they answer; None where they answer none.
        score: of that answer.
        times: what it took to make them.
    """

    mask: NDArray[np.float32] | None = None
    prompt: SlidePrompt | None = None
    score: float = 0.0
    times: StageTimes = field(default_factory=StageTimes)


@dataclass(frozen=True, slots=True)
class Predictor:
    """Asks engines.

    Attributes:
        slides: the open slides.
        models: the models that may be asked.
        blocking: runs what computes for long.
    """

    slides: OpenSlides
    models: Models
    blocking: Executor

    async def answer(
        self, planned: PlannedPrompt, listener: ProgressListener, preloaded: Mapping[Window, NDArray[np.uint8]]
    ) -> Predicted:
        """The model's answer in the planned field, and what became of its border.

        Args:
            planned: from the planner.
            listener: is called when the prompt has to wait, and asked for pixels.
            preloaded: windows of the slide that were read already.

        Raises:
            WsiSamServerError: of the catalogue; PixelsNeededError from a watcher that cannot wait for pixels.
        """
        model = planned.model
        job = replace(_reading(planned.job, preloaded), on_encode=listener.encoding)
        planned = replace(planned, job=job)
        answer = await self._answer(planned, listener)
        if planned.refinement is None:
            return Predicted(
                answer,
                Refined(None, (RefinementLevel(job.field.high.downsample, 1),), truncated=False, times=StageTimes()),
            )
        done = await self._finished(planned, answer) if answer.candidates else None
        border = await refined(
            answer if done is None else _chosen(answer, done),
            job,
            planned.refinement,
            self.slides.info(planned.request.slide_id).size,
            lambda one: self._predict(model, one, listener),
            lambda call: asyncio.get_running_loop().run_in_executor(self.blocking, call),
            listener.refining,
        )
        return Predicted(answer, border, done)

    async def features(self, model: ModelInfo, job: Job, preloaded: Mapping[Window, NDArray[np.uint8]]) -> Features:
        """See `Segmenter.features`."""
        async with self.models.lease(model) as engine:
            return await engine.features(_reading(job, preloaded))

    async def answer_many(self, planned: Sequence[PlannedPrompt], threshold: float) -> list[Predicted]:
        """The answers to prompts of one kind in one field, all planned in it; their borders are not refined.

        Args:
            planned: at least one.
            threshold: logit above which a mask is the object.
        """
        first = planned[0]
        async with self.models.lease(first.model) as engine:
            answers = await engine.predict_many(first.job, [one.job.prompt for one in planned])
        level = RefinementLevel(first.field.high.downsample, 1)
        border = Refined(None, (level,), truncated=False, times=StageTimes())
        return [Predicted(replace(one, logits=one.logits - np.float32(threshold)), border) for one in answers]

    async def _answer(self, planned: PlannedPrompt, listener: ProgressListener, *, all_of_them: bool = False) -> Answer:
        """The model's answer to a prompt, after what it goes on from, where that must be fed back.

        Args:
            planned: from the planner.
            listener: see `answer`.
            all_of_them: whether the candidates are needed, also where they are not asked for.
        """
        wanted = all_of_them or planned.request.options.max_candidates > 1 or bool(planned.job.prompt.candidate)
        job, fed = await self._after_earlier(planned, listener)
        answer = await self._predict(planned.model, replace(job, candidates=wanted), listener)
        return replace(answer, logits=_corrected(planned, fed, answer.logits), times=fed.times + answer.times)

    async def _after_earlier(self, planned: PlannedPrompt, listener: ProgressListener) -> tuple[Job, _FedBack]:
        """What the model is asked in the end, with what is fed back to it.

        A shape alone is asked as its box first, see `after_box`.
        """
        job = planned.job
        if job.prompt.shape is None or job.prompt.points or not planned.model.mask_feedback:
            fed = await self._fed_back(planned, listener)
            return replace(job, mask=fed.mask), fed
        boxed = await self._predict(planned.model, replace(job, prompt=SlidePrompt(box=job.prompt.frame)), listener)
        prompt, mask = after_box(job.prompt, planned.field.high, boxed.logits)
        return replace(job, prompt=prompt, mask=mask), _FedBack(times=boxed.times)

    async def _fed_back(self, planned: PlannedPrompt, listener: ProgressListener) -> _FedBack:
        """The mask that goes to the model with a prompt.

        It is that of the object's last answer; where a newer point names a candidate, that candidate's. Where clicks
        correct an answer that was not kept, it is made again.
        """
        prompt, request, kept = planned.job.prompt, planned.request, _kept(planned)
        known = -1 if kept is None else len(kept.prompt.points)
        picked = [place for place, point in enumerate(prompt.points) if point.candidate is not None and place >= known]
        if picked:
            place, number = picked[-1], prompt.points[picked[-1]].candidate or OWN
            masks = {} if kept is None or kept.prompt.points != request.prompt.points[:place] else kept.masks or {}
            if number in masks:
                assert kept is not None
                return _FedBack(masks[number], request.prompt.before(place), kept.score_of(number))
            return await self._made_again(planned, place, number, listener)
        if not planned.model.mask_feedback:
            return _FedBack()
        if kept is not None:
            return _FedBack(kept.logits, kept.prompt, kept.score)
        if prompt.points and prompt.has_area:
            return await self._made_again(planned, 0, None, listener)
        return _FedBack()

    async def _made_again(
        self, planned: PlannedPrompt, count: int, number: int | None, listener: ProgressListener
    ) -> _FedBack:
        """The finished mask of the answer to a prompt's first points.

        Args:
            planned: the whole prompt.
            count: of how many points, beside box and shape.
            number: of the candidate; None for the chosen one.
            listener: see `answer`.
        """
        kept = planned.request.earlier
        if kept is not None and len(kept.prompt.points) >= count:
            kept = None  # an answer does not go on from itself
        earlier = replace(
            planned,
            request=replace(planned.request, prompt=planned.request.prompt.before(count), earlier=kept),
            job=replace(planned.job, prompt=planned.job.prompt.before(count)),
        )
        answer = await self._answer(earlier, listener, all_of_them=number is not None)
        done = await self._finished(earlier, answer)
        fed = done.chosen if number is None else number
        return _FedBack(done.masks[fed].logits, earlier.request.prompt, done.scores[fed], answer.times)

    async def _finished(self, planned: PlannedPrompt, answer: Answer) -> FinishedAnswer:
        slide = self.slides.info(planned.request.slide_id)
        return await asyncio.get_running_loop().run_in_executor(self.blocking, finished_answer, planned, answer, slide)

    async def _predict(self, model: ModelInfo, job: Job, listener: ProgressListener) -> Answer:
        pushed = self.slides.pushed(job.slide_id)
        if pushed is None:
            async with self.models.lease(model, listener.loading) as engine:
                return await engine.predict(job)
        for _ in range(PIXEL_ROUNDS):
            async with self.models.lease(model, listener.loading) as engine:
                needed = pushed.missing(engine.missing_windows(job))
            if needed:
                # Without a lease: while a client takes its time, the model is not in use.
                await listener.pixels_needed(needed)
            try:
                async with self.models.lease(model, listener.loading) as engine:
                    return await engine.predict(job)
            except WsiSamServerError as error:
                # The embedding was evicted, or its tile let go, between the question and the answer.
                if error.reason is not Reason.PIXELS_NEEDED:
                    raise
        raise PixelsNeededError(pushed.missing(model.windows(job.field)))


def _reading(job: Job, preloaded: Mapping[Window, NDArray[np.uint8]]) -> Job:
    """A job that does not read again what was read already."""
    read = job.read
    return replace(job, read=lambda window: preloaded[window] if window in preloaded else read(window))


def _chosen(answer: Answer, done: FinishedAnswer) -> Answer:
    """The answer with the mask of its chosen candidate, whose border it is that is refined."""
    return answer if done.chosen == OWN else replace(answer, logits=answer.candidates[done.chosen - 1].logits)


def _corrected(planned: PlannedPrompt, fed: _FedBack, logits: NDArray[np.float32]) -> NDArray[np.float32]:
    """The model's answer, away from new clicks held to the answer that they correct, see `outlines.corrected`."""
    new, old = planned.request.prompt, fed.prompt
    if fed.mask is None or old is None or (new.box, new.shape) != (old.box, old.shape):
        return logits
    added = replace(planned.job.prompt, points=tuple(one for one in new.points if one not in old.points))
    clicks = clicks_in(added, planned.field.high, logits.shape)
    return corrected(logits, fed.mask, clicks, kept_share(fed.score, has_area=new.has_area))


def _kept(planned: PlannedPrompt) -> Outcome | None:
    """The earlier answer, if it is the same model's and its mask lies over the same window."""
    earlier = planned.request.earlier
    if earlier is None or earlier.field != planned.field or earlier.model != planned.model:
        return None
    return earlier
