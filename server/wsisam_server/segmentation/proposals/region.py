"""The region as it can be worked on: valid, and on the slide."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import shapely

from wsisam_server.core.errors import Reason, WsiSamServerError
from wsisam_server.core.shapes import Mender, TangledError, polygonal
from wsisam_server.segmentation.proposals.thresholds import OTHER_KIND, size_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from wsisam_server.core.geometry import SlideSize
    from wsisam_server.core.requests import ProposalFilter


_TANGLED: Final = "cross themselves or lie over each other too often; simplify them, or draw less at once"


def usable_region(drawn: shapely.MultiPolygon, slide: SlideSize, mender: Mender | None = None) -> shapely.MultiPolygon:
    """Mends borders that cross themselves and leaves out what is not on the slide.

    Args:
        drawn: level-0 pixels; rings of any kind.
        slide: the slide's size.
        mender: of the request; one of its own if there is no more to it.

    Returns:
        Valid polygons with an area: the parts' union, see `Mender.mended`.

    Raises:
        WsiSamServerError: INVALID_REGION, REGION_OUTSIDE_SLIDE.
    """
    if drawn.is_empty:
        raise WsiSamServerError(Reason.INVALID_REGION, problem="it is empty")
    try:
        mended = (mender or Mender()).mended(drawn)
    except TangledError as error:
        raise WsiSamServerError(Reason.INVALID_REGION, problem=f"its borders {_TANGLED}", private=str(error)) from error
    if mended.area == 0:
        raise WsiSamServerError(Reason.INVALID_REGION, problem="it has no area")
    region = polygonal(shapely.intersection(mended, shapely.box(0, 0, slide.width, slide.height)))
    if region.area == 0:
        raise WsiSamServerError(Reason.REGION_OUTSIDE_SLIDE, width=slide.width, height=slide.height)
    return region


def comparable(
    existing: Iterable[shapely.MultiPolygon], wanted: ProposalFilter, mender: Mender | None = None
) -> list[shapely.MultiPolygon]:
    """Those of the objects that are there already whose place no proposal may take: of about the wanted size.

    Args:
        existing: level-0 pixels; rings of any kind.
        wanted: sizes in level-0 pixels.
        mender: of the request; one of its own if there is no more to it.

    Raises:
        WsiSamServerError: INVALID_REGION.
    """
    mender = mender or Mender()
    try:
        shapes = [mender.mended(one) for one in existing]
    except TangledError as error:
        problem = f"the borders of existing objects {_TANGLED}"
        raise WsiSamServerError(Reason.INVALID_REGION, field="existing", problem=problem, private=str(error)) from error
    return [one for one in shapes if wanted.min_size / OTHER_KIND <= size_of(one.area) <= wanted.max_size * OTHER_KIND]
