"""The region that is searched: valid, and on the slide."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import shapely

from wsisam_server.core.errors import Reason, WsiSamServerError
from wsisam_server.core.shapes import GeometryRepairer, GeometryRepairError, polygonal
from wsisam_server.segmentation.proposals.finding import OTHER_KIND, size_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from wsisam_server.core.geometry import SlideSize
    from wsisam_server.core.requests import ProposalFilter


_TOO_COMPLEX: Final = "cross themselves or lie over each other too often; simplify them, or draw less at once"


def repaired_region(
    drawn: shapely.MultiPolygon, slide: SlideSize, repairer: GeometryRepairer | None = None
) -> shapely.MultiPolygon:
    """Repairs borders that cross themselves, and clips the region to the slide.

    Args:
        drawn: level-0 pixels; rings of any kind.
        slide: the slide's size.
        repairer: of the request; one of its own if there is no more to it.

    Returns:
        Valid polygons with an area: the parts' union, see `GeometryRepairer.repair`.

    Raises:
        WsiSamServerError: INVALID_REGION, REGION_OUTSIDE_SLIDE.
    """
    if drawn.is_empty:
        raise WsiSamServerError(Reason.INVALID_REGION, problem="it is empty")
    try:
        repaired = (repairer or GeometryRepairer()).repair(drawn)
    except GeometryRepairError as error:
        raise WsiSamServerError(
            Reason.INVALID_REGION, problem=f"its borders {_TOO_COMPLEX}", private=str(error)
        ) from error
    if repaired.area == 0:
        raise WsiSamServerError(Reason.INVALID_REGION, problem="it has no area")
    region = polygonal(shapely.intersection(repaired, shapely.box(0, 0, slide.width, slide.height)))
    if region.area == 0:
        raise WsiSamServerError(Reason.REGION_OUTSIDE_SLIDE, width=slide.width, height=slide.height)
    return region


def comparable(
    existing: Iterable[shapely.MultiPolygon], proposal_filter: ProposalFilter, repairer: GeometryRepairer | None = None
) -> list[shapely.MultiPolygon]:
    """Those of the existing objects that suppress proposals: of about the size that is searched for.

    Args:
        existing: level-0 pixels; rings of any kind.
        proposal_filter: sizes in level-0 pixels.
        repairer: of the request; one of its own if there is no more to it.

    Raises:
        WsiSamServerError: INVALID_REGION.
    """
    repairer = repairer or GeometryRepairer()
    try:
        shapes = [repairer.repair(one) for one in existing]
    except GeometryRepairError as error:
        problem = f"the borders of existing objects {_TOO_COMPLEX}"
        raise WsiSamServerError(Reason.INVALID_REGION, field="existing", problem=problem, private=str(error)) from error
    return [
        one
        for one in shapes
        if proposal_filter.min_size / OTHER_KIND <= size_of(one.area) <= proposal_filter.max_size * OTHER_KIND
    ]
