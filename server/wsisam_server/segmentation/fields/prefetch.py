"""Fields that the next click will likely need, planned from what the annotator sees."""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING

from wsisam_server.core.geometry import Point
from wsisam_server.core.prompt import PromptPoint, SlidePrompt
from wsisam_server.segmentation.fields.lattice import REACH, Lattice
from wsisam_server.segmentation.fields.plan import plan

if TYPE_CHECKING:
    from wsisam_server.core.geometry import FieldPair, SlideSize, Viewport, Window


def prefetch_fields(
    viewport: Viewport, slide: SlideSize, image_size: int, *, mpp: float | None = None, count: int
) -> list[FieldPair]:
    """Fields so that a click in a viewport is in one that is `shared`, the likeliest first.

    Args:
        viewport: what the annotator sees, in slide coordinates.
        slide: the slide's level-0 size.
        image_size: side of the model's square input in pixels.
        mpp: microns per level-0 pixel, if known.
        count: most of them.

    Returns:
        Fields of the lattice at the scale at which `plan` answers a click in that viewport: first those that take
        clicks from the greatest part of it. Without a limit of their number, every click finds one. None where the
        viewport does not show the slide.
    """
    region = viewport.region
    x0, x1 = max(region.x0, 0.0), min(region.x1, float(slide.width))
    y0, y1 = max(region.y0, 0.0), min(region.y1, float(slide.height))
    if x0 >= x1 or y0 >= y1:
        return []
    middle = Point((x0 + x1) / 2, (y0 + y1) / 2)
    click = SlidePrompt((PromptPoint(middle, positive=True),))
    planned = plan(click, slide, image_size, mpp=mpp, viewport=viewport)
    lattice = Lattice(slide, image_size, planned.high.downsample)
    reach = REACH * planned.high.extent

    def likelihood(place: tuple[int, int]) -> tuple[float, float]:
        x, y = place[0] * lattice.step, place[1] * lattice.step
        seen = (min(x + reach, x1) - max(x - reach, x0)) * (min(y + reach, y1) - max(y - reach, y0))
        return -round(seen / reach**2, 6), math.dist((x, y), (middle.x, middle.y))

    found: dict[Window, FieldPair] = {}
    across, down = _places(x0, x1, lattice.step, count), _places(y0, y1, lattice.step, count)
    for place in sorted(itertools.product(across, down), key=likelihood):
        pair = lattice.field(*place)
        found.setdefault(pair.high, pair)
        if len(found) == count:
            break
    return list(found.values())


def _places(low: float, high: float, step: float, count: int) -> range:
    """The lattice's places between two coordinates.

    Of a view that is a thousand times as long as wide, no more than `count` on either side of its middle.
    """
    middle = round((low + high) / 2 / step)
    return range(max(round(low / step), middle - count), min(round(high / step), middle + count) + 1)
