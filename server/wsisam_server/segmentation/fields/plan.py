"""The planner: which two patches the model reads for a prompt.

The scale comes from the object's likely size: a box says it outright, a click leaves it to the viewport. Scales lie on
a geometric grid and centres on a grid of quarter windows, so that repeated clicks, neighbouring objects and the
colleague at the next desk meet the same windows, whose embeddings are then cached.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

import shapely

from wsisam_server.core.errors import Reason, WsiSamServerError
from wsisam_server.core.geometry import Box, FieldPair, SlideSize, Viewport, Window
from wsisam_server.core.requests import (
    MAX_CANDIDATES,
    MAX_DOWNSAMPLE,
    MIN_DOWNSAMPLE,
    AtDownsample,
    ExactWindow,
    FieldChoice,
)
from wsisam_server.core.shapes import GeometryRepairer, GeometryRepairError, polygonal

if TYPE_CHECKING:
    from wsisam_server.core.prompt import SlidePrompt


ROUNDING = 1e-9
"""Share of its coordinates by which a caller's window may miss a prompt on its very edge: windows travel to clients and
back."""

SCALES_PER_OCTAVE = 2
"""Grid of scales: d = 2^(k / 2). Coarser would waste resolution, finer would share fewer windows."""

CENTERS_PER_WINDOW = 4
"""Grid of centres: a prompt's centre is at most an eighth of a window away from the window's."""

TARGET_SHARE = 0.5
"""Share of the window's side that a box (or the spread of the positive points) should take: half object, half
context, in the middle of the sizes at which WSI-SAM's patches show their objects."""

MAX_SHARE = 0.75
"""Share of the window's side that a prompt may take before the next scale is taken. With a centre at most an eighth
off, this is what always lies inside the window."""

KEEP_MARGIN = 1 / 16
"""A field is kept from one revision of an object to the next while the prompt stays this share of the window's side
away from its edges; nearer than that, the object itself would soon be cut."""

REPAIR_UNITS = 4_000
"""Work of mending a prompt's shape: a tenth of a second. Prompts are planned between those of others."""

BLIND_MPP = 0.5
"""Working resolution of a click without a viewport, in microns per pixel: the usual 20x, at which glands and small
lesions fit a patch."""


def plan(
    prompt: SlidePrompt,
    slide: SlideSize,
    image_size: int,
    *,
    mpp: float | None = None,
    viewport: Viewport | None = None,
    choice: FieldChoice = None,
) -> FieldPair:
    """Chooses the HR and LR windows for a prompt.

    Args:
        prompt: checked against the slide, in slide coordinates.
        slide: the slide's level-0 size.
        image_size: side of the model's square input in pixels.
        mpp: microns per level-0 pixel, if known; only used for a click without a viewport.
        viewport: what the annotator sees; a box does not need it.
        choice: the caller's own scale or window.

    Returns:
        Windows that hold the whole prompt; the HR window lies on the slide as far as it fits there.

    Raises:
        WsiSamServerError: INVALID_FIELD or PROMPT_OUTSIDE_FIELD, both only for a caller's own choice.
    """
    if isinstance(choice, ExactWindow):
        return FieldPair(_exact(choice.window, prompt, slide, image_size))
    if isinstance(choice, AtDownsample):
        downsample = _in_range(choice.downsample)
        if _span(prompt.extent) > downsample * image_size:
            raise WsiSamServerError(Reason.PROMPT_OUTSIDE_FIELD, downsample=downsample)
    else:
        downsample = _scale(prompt, slide, image_size, mpp, viewport)
    return FieldPair(_place(prompt, slide, downsample, image_size))


def keeps(field: FieldPair, prompt: SlidePrompt, slide: SlideSize, share: float = KEEP_MARGIN) -> bool:
    """Whether a later prompt on the same object can go on in this field without coming near its edge.

    An edge of the window that is also the slide's border needs no margin: there is nothing beyond it.
    """
    region = field.high.region
    margin = field.high.extent * share
    x0, y0, x1, y1 = prompt.extent
    return (
        (region.x0 <= 0 or x0 >= region.x0 + margin)
        and (region.y0 <= 0 or y0 >= region.y0 + margin)
        and (region.x1 >= slide.width or x1 <= region.x1 - margin)
        and (region.y1 >= slide.height or y1 <= region.y1 - margin)
    )


def onto_slide(edge: float, extent: float, limit: int) -> float:
    """Moves a window along one axis inwards, so that it reads no padding that it need not.

    Args:
        edge: where its left or top edge would lie, in level-0 pixels.
        extent: its side, in level-0 pixels.
        limit: the slide's width or height.

    Returns:
        The edge with the window on the slide; of a window that is as large as the slide or larger, with the slide in
        its middle.
    """
    if extent >= limit:
        return (limit - extent) / 2
    return min(max(edge, 0.0), limit - extent)


def _scale(
    prompt: SlidePrompt, slide: SlideSize, image_size: int, mpp: float | None, viewport: Viewport | None
) -> float:
    wanted = _span(prompt.target) / TARGET_SHARE
    if not prompt.has_area:
        wanted = max(wanted, _view(viewport, image_size, mpp))
    # Nothing is gained by a window larger than the slide.
    wanted = min(wanted, float(max(slide.width, slide.height)))
    needed = _span(prompt.extent) / MAX_SHARE
    step = round(SCALES_PER_OCTAVE * math.log2(max(wanted / image_size, MIN_DOWNSAMPLE)))
    while 2 ** (step / SCALES_PER_OCTAVE) * image_size < min(needed, max(slide.width, slide.height)):
        step += 1
    return min(max(2 ** (step / SCALES_PER_OCTAVE), MIN_DOWNSAMPLE), MAX_DOWNSAMPLE)


def _view(viewport: Viewport | None, image_size: int, mpp: float | None) -> float:
    """Side of the region in which the object of a click lies, level-0 pixels."""
    if viewport is not None:
        return min(viewport.region.width, viewport.region.height)
    return image_size * (BLIND_MPP / mpp if mpp else 1.0)


def _place(prompt: SlidePrompt, slide: SlideSize, downsample: float, image_size: int) -> Window:
    extent = downsample * image_size
    x0, y0, x1, y1 = prompt.target
    px0, py0, px1, py1 = prompt.extent
    return Window(
        _edge((x0 + x1) / 2, px0, px1, extent, slide.width),
        _edge((y0 + y1) / 2, py0, py1, extent, slide.height),
        downsample,
        image_size,
    )


def _edge(center: float, low: float, high: float, extent: float, limit: int) -> float:
    """The window's left (or top) edge: on the grid about the centre, then over the prompt, then onto the slide."""
    step = extent / CENTERS_PER_WINDOW
    edge = round(center / step) * step - extent / 2
    return onto_slide(min(max(edge, high - extent), low), extent, limit)


def _exact(window: Window, prompt: SlidePrompt, slide: SlideSize, image_size: int) -> Window:
    _in_range(window.downsample)
    if window.size != image_size:
        raise WsiSamServerError(
            Reason.INVALID_FIELD, field="field.high.size", problem=f"this model reads patches of {image_size} pixels"
        )
    # Plain arithmetic: far away from the slide a window's own corners may round to one point.
    slack = ROUNDING * (abs(window.x) + abs(window.y) + window.extent)
    x0, y0, x1, y1 = prompt.extent
    if (
        min(x0 - window.x, y0 - window.y) < -slack
        or max(x1 - window.x, y1 - window.y) > window.extent + slack
        or slack > window.extent
    ):
        raise WsiSamServerError(Reason.PROMPT_OUTSIDE_FIELD)
    # A prompt lies on the slide, so a window that holds it overlaps the slide; far larger ones make no sense.
    if window.extent > 4 * max(slide.width, slide.height, image_size):
        raise WsiSamServerError(
            Reason.INVALID_FIELD, field="field.high", problem="it is more than 4 times as large as the slide"
        )
    return window


def _in_range(downsample: float) -> float:
    if not MIN_DOWNSAMPLE <= downsample <= MAX_DOWNSAMPLE:
        raise WsiSamServerError(
            Reason.INVALID_FIELD,
            field="field.downsample",
            problem=f"it must lie between {MIN_DOWNSAMPLE} and {MAX_DOWNSAMPLE:g}",
        )
    return downsample


def _span(rectangle: tuple[float, float, float, float]) -> float:
    x0, y0, x1, y1 = rectangle
    return max(x1 - x0, y1 - y0)


def checked(prompt: SlidePrompt, slide: SlideSize, max_points: int) -> SlidePrompt:
    """The prompt as the planner takes it: with something positive in it, box and shape clipped to the slide.

    Raises:
        WsiSamServerError: EMPTY_PROMPT, ONLY_NEGATIVE_POINTS, TOO_MANY_POINTS, UNKNOWN_CANDIDATE, PROMPT_OUTSIDE_SLIDE;
            INVALID_FIELD for a shape.
    """
    if len(prompt.points) > max_points:
        raise WsiSamServerError(Reason.TOO_MANY_POINTS, count=len(prompt.points), limit=max_points)
    if not prompt.has_area and not prompt.points:
        raise WsiSamServerError(Reason.EMPTY_PROMPT)
    if not prompt.has_area and not any(p.positive for p in prompt.points):
        raise WsiSamServerError(Reason.ONLY_NEGATIVE_POINTS)
    for point in prompt.points:
        if not slide.contains(point.position):
            raise _outside(slide, x=point.position.x, y=point.position.y)
    _check_candidates(prompt)
    if prompt.shape is not None:
        prompt = replace(prompt, shape=_usable(prompt.shape, slide))
    if prompt.box is None:
        return prompt
    box = prompt.box
    x0, y0 = max(box.x0, 0.0), max(box.y0, 0.0)
    x1, y1 = min(box.x1, float(slide.width)), min(box.y1, float(slide.height))
    if x0 >= x1 or y0 >= y1:
        raise _outside(slide, x=box.x0, y=box.y0)
    return replace(prompt, box=Box(x0, y0, x1, y1))


def _check_candidates(prompt: SlidePrompt) -> None:
    last = MAX_CANDIDATES - 1
    named = {"prompt.candidate": prompt.candidate}
    named |= {f"prompt.points[{number}].candidate": point.candidate for number, point in enumerate(prompt.points)}
    for field, candidate in named.items():
        if candidate is not None and candidate > last:
            raise WsiSamServerError(
                Reason.UNKNOWN_CANDIDATE, field=field, candidate=candidate, problem="no answer has it", last=last
            )
    for number, point in enumerate(prompt.points):
        if prompt.has_area or any(earlier.positive for earlier in prompt.points[:number]):
            break
        if point.candidate is not None:
            raise WsiSamServerError(
                Reason.UNKNOWN_CANDIDATE,
                field=f"prompt.points[{number}].candidate",
                candidate=point.candidate,
                problem="nothing was said before this point that has an answer",
                last=last,
            )


def _usable(drawn: shapely.MultiPolygon, slide: SlideSize) -> shapely.MultiPolygon:
    """A shape without crossings, clipped to the slide."""
    try:
        repaired = GeometryRepairer(REPAIR_UNITS).repair(drawn)
    except GeometryRepairError as error:
        raise WsiSamServerError(
            Reason.INVALID_FIELD,
            field="prompt.shape",
            problem="its border crosses itself too often; draw it more simply",
            private=str(error),
        ) from error
    if repaired.area == 0:
        raise WsiSamServerError(Reason.INVALID_FIELD, field="prompt.shape", problem="it has no area")
    shape = polygonal(shapely.intersection(repaired, shapely.box(0, 0, slide.width, slide.height)))
    if shape.area == 0:
        x0, y0, _, _ = repaired.bounds
        raise _outside(slide, x=x0, y=y0)
    return shape


def _outside(slide: SlideSize, x: float, y: float) -> WsiSamServerError:
    return WsiSamServerError(Reason.PROMPT_OUTSIDE_SLIDE, width=slide.width, height=slide.height, x=x, y=y)
