"""Fields that are encoded before anybody asks."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from wsisam_server.core.prompt import PromptPoint, SlidePrompt
from wsisam_server.inference.scheduler import Job
from wsisam_server.segmentation.fields import prefetch_fields

if TYPE_CHECKING:
    from wsisam_server.core.geometry import FieldPair, Viewport
    from wsisam_server.inference.scheduler import ModelInfo, Models
    from wsisam_server.segmentation.planning import PlannedPrompt
    from wsisam_server.slides import OpenSlides


class PrefetchCounts(NamedTuple):
    """Fields that were encoded before anybody asked.

    Attributes:
        encoded: that were encoded ahead, or found to be so.
        used: how many of them the first prompt on an object was then answered in.
    """

    encoded: int
    used: int


class FieldPrefetcher:
    """Guesses which fields are needed next, and has them encoded.

    Args:
        slides: the open slides.
        models: the loaded models.
        count: fields of one view; 0 for none.
    """

    def __init__(self, slides: OpenSlides, models: Models, count: int) -> None:
        self._slides = slides
        self._models = models
        self._count = count
        self._encoded = 0
        self._used = 0

    def counts(self) -> PrefetchCounts:
        """How many fields were encoded ahead, and used. From any thread."""
        return PrefetchCounts(self._encoded, self._used)

    def count(self, planned: PlannedPrompt) -> None:
        """Counts a prompt that is answered in a field which was prefetched for it."""
        self._used += planned.is_first and planned.field in planned.request.prefetched

    def fields(self, slide_id: str, model: ModelInfo, viewport: Viewport, mpp: float | None = None) -> list[FieldPair]:
        """Fields that clicks in a viewport will likely need, the likeliest first.

        On a slide in pixel mode there are none: a prefetch never requests pixels.

        Args:
            slide_id: an open slide.
            model: from the pool.
            viewport: what the annotator sees.
            mpp: microns per level-0 pixel, if known.

        Raises:
            WsiSamServerError: UNKNOWN_SLIDE_ID.
        """
        info = self._slides.info(slide_id)
        if self._count == 0 or self._slides.pushed(slide_id) is not None:
            return []
        return prefetch_fields(viewport, info.size, model.image_size, mpp=info.pixel_size(mpp).mpp, count=self._count)

    async def encode(self, slide_id: str, model: ModelInfo, field: FieldPair, principal: str) -> None:
        """Has a field encoded when nothing more urgent waits. It never loads a model.

        Args:
            slide_id: an open slide.
            model: from the pool.
            field: from `fields`.
            principal: whose share of the queues it uses.

        Raises:
            WsiSamServerError: of the catalogue.
        """
        if model.name not in self._models.loaded():
            return
        click = SlidePrompt((PromptPoint(field.high.center, positive=True),))
        async with self._models.lease(model) as engine:
            read = self._slides.reader(slide_id)
            key = self._slides.info(slide_id).content_key
            await engine.prefetch(Job(key, read, field, click, principal=principal, is_lasting=True))
        self._encoded += 1
