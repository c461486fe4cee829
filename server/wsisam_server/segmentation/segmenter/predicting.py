"""What the model says of a planned prompt; on a slide in pixel mode, with pixels that its client is asked for."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from wsisam_server.core.answers import RefinementLevel, StageTimes
from wsisam_server.core.errors import Reason, WsiSamServerError
from wsisam_server.core.pixels import PixelsNeededError
from wsisam_server.core.prompt import SlidePrompt
from wsisam_server.segmentation.segmenter.refining import Refined, refined

if TYPE_CHECKING:
    from collections.abc import Mapping
    from concurrent.futures import Executor

    import numpy as np
    from numpy.typing import NDArray

    from wsisam_server.core.geometry import Window
    from wsisam_server.inference.scheduler import Answer, Job, ModelInfo, Models
    from wsisam_server.segmentation.planning import PlannedPrompt
    from wsisam_server.segmentation.segmenter.listeners import ProgressListener
    from wsisam_server.slides import OpenSlides

PIXEL_ROUNDS: Final = 4
"""How often one prompt may ask for pixels again: its embeddings may be evicted while others' are computed."""


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
    ) -> tuple[Answer, Refined]:
        """The model's answer in the planned field, and what became of its border.

        Args:
            planned: from the planner.
            listener: is called when the prompt has to wait, and asked for pixels.
            preloaded: windows of the slide that were read already.

        Raises:
            WsiSamServerError: of the catalogue; PixelsNeededError from a watcher that cannot wait for pixels.
        """
        model, read = planned.model, planned.job.read
        job = replace(
            planned.job,
            read=lambda window: preloaded[window] if window in preloaded else read(window),
            mask=_fed_back(planned),
            on_encode=listener.encoding,
        )
        prompt = job.prompt
        if job.mask is None and model.mask_feedback and prompt.box is not None and prompt.points:
            # Clicks correct what was drawn for the box. Where that answer was not kept, it is made again.
            boxed = await self._predict(model, replace(job, prompt=SlidePrompt(box=prompt.box)), listener)
            answer = await self._predict(model, replace(job, mask=boxed.logits), listener)
            answer = replace(answer, times=boxed.times + answer.times)
        else:
            answer = await self._predict(model, job, listener)
        if planned.refinement is None:
            return answer, Refined(
                None, (RefinementLevel(job.field.high.downsample, 1),), truncated=False, times=StageTimes()
            )
        border = await refined(
            answer,
            replace(job, mask=None),
            planned.refinement,
            self.slides.info(planned.request.slide_id).size,
            lambda one: self._predict(model, one, listener),
            lambda call: asyncio.get_running_loop().run_in_executor(self.blocking, call),
            listener.refining,
        )
        return answer, border

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


def _fed_back(planned: PlannedPrompt) -> NDArray[np.float32] | None:
    """An earlier answer's logits, when the model wants them and they lie over the same window."""
    earlier, model = planned.request.earlier, planned.model
    if earlier is None or not model.mask_feedback or earlier.field != planned.field or earlier.model != model:
        return None
    return earlier.logits
