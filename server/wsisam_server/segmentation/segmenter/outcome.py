"""A model's answer as an outline on the slide, and its candidates."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import shapely

from wsisam_server.core.answers import CELLS, Candidate, Outcome
from wsisam_server.core.requests import PartsPolicy
from wsisam_server.core.shapes import encode
from wsisam_server.segmentation.outlines import OWN, Finished, clicks_in, finished, outline, selected

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from wsisam_server.core.answers import Outline
    from wsisam_server.core.geometry import Window
    from wsisam_server.core.prompt import SlidePrompt
    from wsisam_server.core.requests import OutlineOptions
    from wsisam_server.inference.scheduler import Answer
    from wsisam_server.segmentation.planning import PlannedPrompt
    from wsisam_server.segmentation.segmenter.predicting import Predicted
    from wsisam_server.slides import SlideInfo

MIN_COMPONENT_CELLS: Final = 4
"""Parts and holes of fewer mask cells are removed unless the caller says otherwise."""


@dataclass(frozen=True, slots=True)
class FinishedAnswer:
    """An answer's masks, finished, and which of them are shown.

    Attributes:
        masks: by the candidates' numbers; the model's own answer alone where there are no others.
        scores: the model's estimates of their IoU.
        shown: the numbers of those that are answered.
        chosen: which of them the outline is.
    """

    masks: dict[int, Finished]
    scores: dict[int, float]
    shown: list[int]
    chosen: int


def finished_answer(planned: PlannedPrompt, answer: Answer, slide: SlideInfo) -> FinishedAnswer:
    """Finishes each mask of an answer in its field, and selects those that are shown. Blocks, for milliseconds.

    Args:
        planned: what was answered.
        answer: in its field.
        slide: on which it lies.
    """
    options, prompt = planned.request.options, planned.job.prompt
    unit = slide.pixel_size(planned.request.mpp).mpp or 1.0
    of_all = {OWN: (answer.logits, answer.score), **dict(enumerate(answer.candidates, 1))}
    masks = {
        number: _finished(logits, planned.field.high, prompt, options, unit) for number, (logits, _) in of_all.items()
    }
    scores = {number: score for number, (_, score) in of_all.items()}
    # Only a single click's candidates are trained to be ranked.
    ranked = answer.ranked and len(prompt.points) == 1 and not prompt.has_area
    drawn = {number: mask.logits > 0 for number, mask in masks.items()}
    shown, chosen = selected(drawn, scores, options.max_candidates, ranked=ranked, meant=prompt.candidate)
    return FinishedAnswer(masks, scores, shown, chosen)


def outcome_of(planned: PlannedPrompt, predicted: Predicted, slide: SlideInfo, started: float) -> Outcome:
    """Draws the outline, and those of the candidates. Blocks, for milliseconds.

    Args:
        planned: what was answered.
        predicted: the answer.
        slide: on which it lies.
        started: when the drawing was asked for, on `time.perf_counter`.
    """
    pixel_size, options, high = slide.pixel_size(planned.request.mpp), planned.request.options, planned.field.high
    unit = pixel_size.mpp or 1.0
    answer, border, prompt = predicted.answer, predicted.border, planned.job.prompt
    mosaic, answered = border.mosaic, predicted.finished or finished_answer(planned, answer, slide)
    candidates = []
    for number in answered.shown:
        mask, window = answered.masks[number], high
        if mosaic is not None and number == answered.chosen:
            mask, window = _finished(mosaic.logits, mosaic.window, prompt, options, unit), mosaic.window
        made = _drawn(mask, window, planned, slide, unit)
        if number in {OWN, answered.chosen} or not made.geometry.is_empty:
            found = Candidate(
                number, made, encode(made.geometry), answered.scores[number], _unhonoured(made, mask, prompt)
            )
            candidates.append(found)
    candidates.sort(key=lambda one: (one.outline.geometry.area, one.number))
    place, chosen = next((place, one) for place, one in enumerate(candidates) if one.number == answered.chosen)
    several = options.max_candidates > 1
    return Outcome(
        outline=chosen.outline,
        encoded=chosen.encoded,
        logits=answered.masks[answered.chosen].logits,
        score=chosen.score,
        field=planned.field,
        model=planned.model,
        tolerance=chosen.outline.tolerance_px * unit,
        in_microns=pixel_size.mpp is not None,
        pixel_size=pixel_size,
        times=answer.times + border.times,
        polygon_ms=(time.perf_counter() - started) * 1000,
        levels=border.levels,
        truncated=border.truncated,
        unhonoured=chosen.unhonoured,
        prompt=planned.request.prompt,
        candidates=tuple(candidates) if several else (),
        chosen=place if several else 0,
        masks={number: mask.logits for number, mask in answered.masks.items()} if several else None,
    )


def _drawn(mask: Finished, window: Window, planned: PlannedPrompt, slide: SlideInfo, unit: float) -> Outline:
    options = planned.request.options
    min_area = options.min_area
    if min_area is None:
        min_area = MIN_COMPONENT_CELLS * (unit * planned.field.high.extent / CELLS) ** 2
    made = outline(
        mask.logits,
        window,
        slide.size,
        tolerance_px=None if options.tolerance is None else options.tolerance / unit,
        min_area_px=min_area / unit**2,
        min_hole_px=None if options.fill_holes_below is None else options.fill_holes_below / unit**2,
        open_at=[(one.position.x, one.position.y) for one in planned.job.prompt.points if not one.positive],
    )
    return replace(made, dropped_parts=made.dropped_parts + mask.stray_parts)


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
