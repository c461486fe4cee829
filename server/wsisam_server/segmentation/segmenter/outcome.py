"""A model's answer as an outline on the slide."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import shapely

from wsisam_server.core.answers import Outcome
from wsisam_server.core.requests import PartsPolicy
from wsisam_server.core.shapes import encode
from wsisam_server.segmentation.outlines import Finished, clicks_in, finished, outline

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from wsisam_server.core.answers import Outline
    from wsisam_server.core.geometry import Window
    from wsisam_server.core.prompt import SlidePrompt
    from wsisam_server.core.requests import OutlineOptions
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
    prompt, mosaic = planned.job.prompt, border.mosaic
    coarse = _finished(answer.logits, high, prompt, options, unit)
    mask, window = coarse, high
    if mosaic is not None:
        mask, window = _finished(mosaic.logits, mosaic.window, prompt, options, unit), mosaic.window
    made = outline(
        mask.logits,
        window,
        slide.size,
        tolerance_px=None if options.tolerance is None else options.tolerance / unit,
        min_area_px=min_area / unit**2,
        min_hole_px=None if options.fill_holes_below is None else options.fill_holes_below / unit**2,
        open_at=[(one.position.x, one.position.y) for one in prompt.points if not one.positive],
    )
    made = replace(made, dropped_parts=made.dropped_parts + mask.stray_parts)
    return Outcome(
        outline=made,
        encoded=encode(made.geometry),
        logits=coarse.logits,
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
        unhonoured=_unhonoured(made, mask, prompt),
    )


def _finished(
    logits: NDArray[np.float32], window: Window, prompt: SlidePrompt, options: OutlineOptions, unit: float
) -> Finished:
    return finished(
        logits,
        clicks_in(prompt, window, logits.shape),
        honour=options.honour_points,
        prompted_parts=options.parts is PartsPolicy.PROMPTED,
        blur=options.smoothing / unit / (window.extent / max(logits.shape)),
    )


def _unhonoured(made: Outline, mask: Finished, prompt: SlidePrompt) -> tuple[int, ...]:
    """The clicks that the outline contradicts: those that the mask does, and those whose part was too small to keep."""
    near = 2 * made.tolerance_px  # the border may have been moved over a click that lies on it
    lost = {
        index
        for index, one in enumerate(prompt.points)
        if one.positive and not shapely.dwithin(made.geometry, shapely.Point(one.position.x, one.position.y), near)
    }
    return tuple(sorted(lost | set(mask.unhonoured)))
