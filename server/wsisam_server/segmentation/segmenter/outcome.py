"""A model's answer as an outline on the slide."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from wsisam_server.core.answers import Outcome
from wsisam_server.core.shapes import encode
from wsisam_server.segmentation.outlines import outline

if TYPE_CHECKING:
    from wsisam_server.inference.scheduler import Answer
    from wsisam_server.segmentation.planning import PlannedPrompt
    from wsisam_server.segmentation.segmenter.refining import Refined
    from wsisam_server.slides import SlideInfo

MIN_COMPONENT_CELLS: Final = 4
"""Parts and holes of fewer mask cells are removed unless the caller says otherwise."""


def outcome_of(planned: PlannedPrompt, answer: Answer, border: Refined, slide: SlideInfo, started: float) -> Outcome:
    """Draws the outline. Blocks, for milliseconds.

    Args:
        planned: what was answered.
        answer: in its field.
        border: the same, refined.
        slide: on which it lies.
        started: when the drawing was asked for, on `time.perf_counter`.
    """
    pixel_size, options, high = slide.pixel_size(planned.request.mpp), planned.request.options, planned.field.high
    unit = pixel_size.mpp or 1.0
    min_area = options.min_area
    if min_area is None:
        min_area = MIN_COMPONENT_CELLS * (unit * high.extent / answer.logits.shape[0]) ** 2
    mosaic = border.mosaic
    logits, window = (answer.logits, high) if mosaic is None else (mosaic.logits, mosaic.window)
    made = outline(
        logits,
        window,
        slide.size,
        tolerance_px=None if options.tolerance is None else options.tolerance / unit,
        min_area_px=min_area / unit**2,
    )
    return Outcome(
        outline=made,
        encoded=encode(made.geometry),
        logits=answer.logits,
        score=answer.score,
        field=planned.field,
        model=planned.model,
        tolerance=made.tolerance_px * unit,
        in_microns=pixel_size.mpp is not None,
        pixel_size=pixel_size,
        times=answer.times + border.times,
        polygon_ms=(time.perf_counter() - started) * 1000,
        levels=border.levels,
        truncated=border.truncated,
    )
