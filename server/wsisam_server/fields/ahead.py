"""Fields that the next click will likely need, planned from what the annotator sees."""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING, Final

from wsisam_server.fields.plan import CENTERS_PER_WINDOW, ROUNDING, keeps, plan
from wsisam_server.fields.prompt import PromptPoint, SlidePrompt
from wsisam_server.geometry import FieldPair, Point

if TYPE_CHECKING:
    from collections.abc import Iterable

    from wsisam_server.geometry import SlideSize, Viewport, Window

REACH: Final = 0.25
"""How far from its middle a field that is already encoded takes a click, in sides of the window; a field planned for
the click has it within an eighth."""


def ahead(
    viewport: Viewport, slide: SlideSize, image_size: int, *, mpp: float | None = None, count: int
) -> list[FieldPair]:
    """Fields so that `reaching` finds one for a click in a viewport, the likeliest first.

    Args:
        viewport: what the annotator sees, in slide coordinates.
        slide: the slide's level-0 size.
        image_size: side of the model's square input in pixels.
        mpp: microns per level-0 pixel, if known.
        count: most of them.

    Returns:
        Fields at the scale at which `plan` answers a click in that viewport, half a window apart: first those that
        take clicks from the greatest part of it. Without a limit of their number, every click finds one. None where
        the viewport does not show the slide.
    """
    region = viewport.region
    x0, x1 = max(region.x0, 0.0), min(region.x1, float(slide.width))
    y0, y1 = max(region.y0, 0.0), min(region.y1, float(slide.height))
    if x0 >= x1 or y0 >= y1:
        return []

    def at(x: float, y: float) -> FieldPair:
        click = SlidePrompt((PromptPoint(Point(x, y), positive=True),))
        return plan(click, slide, image_size, mpp=mpp, viewport=viewport)

    middle = ((x0 + x1) / 2, (y0 + y1) / 2)
    extent = at(*middle).high.extent
    reach = REACH * extent

    def likelihood(place: tuple[float, float]) -> tuple[float, float]:
        x, y = place
        seen = (min(x + reach, x1) - max(x - reach, x0)) * (min(y + reach, y1) - max(y - reach, y0))
        return -round(seen / reach**2, 6), math.dist(place, middle)

    found: dict[Window, FieldPair] = {}
    across, down = _places(x0, x1, extent, count), _places(y0, y1, extent, count)
    for x, y in sorted(itertools.product(across, down), key=likelihood):
        pair = at(min(max(x, 0.0), float(slide.width)), min(max(y, 0.0), float(slide.height)))
        found.setdefault(pair.high, pair)
        if len(found) == count:
            break
    return list(found.values())


def reaching(
    fields: Iterable[FieldPair], prompt: SlidePrompt, planned: FieldPair, slide: SlideSize
) -> FieldPair | None:
    """The field in whose middle a first click lies, of those that are encoded already; None where there is none.

    Args:
        fields: these.
        prompt: checked against the slide.
        planned: what `plan` says; only fields of the same scale can take its place.
        slide: the slide's level-0 size; its borders are as good as the middle, because nothing lies beyond.
    """
    if prompt.box is not None or len(prompt.points) != 1:
        return None
    click = prompt.points[0].position
    # At the very edge of the reach, a click must not fall between two fields because of rounding.
    margin = (0.5 - REACH) * (1 - ROUNDING)

    def off(pair: FieldPair) -> float:
        center = pair.high.center
        return math.dist((click.x, click.y), (center.x, center.y))

    same = (pair for pair in fields if pair.high.downsample == planned.high.downsample)
    return min((pair for pair in same if keeps(pair, prompt, slide, margin)), key=off, default=None)


def _places(low: float, high: float, extent: float, count: int) -> list[float]:
    """Middles of windows, on the grid of `plan`, so that no place from low to high is farther than `REACH` from one.

    Of a view that is a thousand times as long as wide, no more than `count` on either side of its middle.
    """
    grid = extent / CENTERS_PER_WINDOW
    step = 2 * REACH * extent
    middle = round((low + high) / 2 / grid) * grid
    first, last = math.floor((low - middle) / step + 0.5), math.ceil((high - middle) / step - 0.5)
    return [middle + number * step for number in range(max(first, -count), min(last, count) + 1)]
