"""The checks that a prompt must pass on its slide."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from wsisam_server.core.errors import Reason, WsiSamServerError
from wsisam_server.core.geometry import Box

if TYPE_CHECKING:
    from wsisam_server.core.geometry import SlideSize
    from wsisam_server.core.prompt import SlidePrompt


def checked(prompt: SlidePrompt, slide: SlideSize, max_points: int) -> SlidePrompt:
    """The prompt as the planner takes it: with something positive in it, on the slide, its box clipped to the slide.

    Raises:
        WsiSamServerError: EMPTY_PROMPT, ONLY_NEGATIVE_POINTS, TOO_MANY_POINTS or PROMPT_OUTSIDE_SLIDE.
    """
    if len(prompt.points) > max_points:
        raise WsiSamServerError(Reason.TOO_MANY_POINTS, count=len(prompt.points), limit=max_points)
    if prompt.box is None and not prompt.points:
        raise WsiSamServerError(Reason.EMPTY_PROMPT)
    if prompt.box is None and not any(p.positive for p in prompt.points):
        raise WsiSamServerError(Reason.ONLY_NEGATIVE_POINTS)
    for point in prompt.points:
        if not slide.contains(point.position):
            raise _outside(slide, x=point.position.x, y=point.position.y)
    if prompt.box is None:
        return prompt
    box = prompt.box
    x0, y0 = max(box.x0, 0.0), max(box.y0, 0.0)
    x1, y1 = min(box.x1, float(slide.width)), min(box.y1, float(slide.height))
    if x0 >= x1 or y0 >= y1:
        raise _outside(slide, x=box.x0, y=box.y0)
    return replace(prompt, box=Box(x0, y0, x1, y1))


def _outside(slide: SlideSize, x: float, y: float) -> WsiSamServerError:
    return WsiSamServerError(Reason.PROMPT_OUTSIDE_SLIDE, width=slide.width, height=slide.height, x=x, y=y)
