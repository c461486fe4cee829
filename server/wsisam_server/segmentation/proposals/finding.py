"""What was outlined at the clicks of one window, and what of it is worth proposing."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import shapely

from wsisam_server.core.answers import ClickStatus, Counts
from wsisam_server.core.shapes import STEP_PX, polygonal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from wsisam_server.core.geometry import Point, Window
    from wsisam_server.core.requests import ProposalFilter

STABILITY_STEP = 1.0
"""How far the threshold of the logits is moved, up and down."""

AGREEMENT_IOU = 0.6
"""From where on two outlines are said to show the same object."""

INSIDE_SHARE = 0.5
"""Share of its area that a proposal must have in the region."""

OTHER_KIND = 2.0
"""An existing object that is smaller than min_size by more than this factor, or larger than max_size, is a thing of
another kind (the nuclei of a wanted gland, the tissue about it), which proposals may overlap."""


@dataclass(frozen=True, slots=True)
class Found:
    """What a click outlined.

    Attributes:
        click: in slide coordinates.
        part: the part of the outline in which the click lies, with its holes; None where there is none.
        cut: whether that part reaches an edge of its window beyond which the slide goes on.
        score: the IoU that the model expects.
        stability: see `stability`.
    """

    click: Point
    part: shapely.Polygon | None
    cut: bool
    score: float
    stability: float


@dataclass(frozen=True, slots=True)
class Candidate:
    """An outline that is good enough, unless another one of the same object is better.

    Attributes:
        number: of its click in the window.
        whole: as it was outlined.
        shape: what of it lies in the region.
        agreement: see `ProposalFilter`.
        rank: which of several is best; higher is better.
    """

    number: int
    whole: shapely.Polygon
    shape: shapely.MultiPolygon
    agreement: float
    rank: float


def stability(logits: NDArray[np.float32], window: Window, part: shapely.Polygon) -> float:
    """How far an outline stays where it is when the model's threshold moves.

    Args:
        logits: [h, w] over the window.
        window: where they lie.
        part: what they outline; counted are the cells in its bounding box, a quarter of its sides wider.

    Returns:
        IoU of the masks of logits above `STABILITY_STEP` and above its negative; 0 where there is neither.
    """
    height, width = logits.shape
    x0, y0, x1, y1 = part.bounds
    dx, dy = (x1 - x0) / 4, (y1 - y0) / 4
    columns = _cells(x0 - dx, x1 + dx, window.x, window.extent, width)
    rows = _cells(y0 - dy, y1 + dy, window.y, window.extent, height)
    near = logits[rows, columns]
    wide = np.count_nonzero(near > -STABILITY_STEP)
    return np.count_nonzero(near > STABILITY_STEP) / wide if wide else 0.0


def judge(
    found: Sequence[Found],
    proposal_filter: ProposalFilter,
    region: shapely.MultiPolygon,
    existing: shapely.STRtree,
    agreements: Sequence[float] | None = None,
) -> tuple[list[Candidate], Counts]:
    """Chooses what is good enough of one window.

    Args:
        found: one for each of the window's clicks.
        proposal_filter: sizes in level-0 pixels.
        region: prepared.
        existing: objects that no proposal may take the place of.
        agreements: of each of `found`; None for the share of the clicks in it whose own outlines agree with it.

    Returns:
        Candidates in the order of their clicks, and what became of the others.
    """
    if agreements is None:
        agreements = _agreements(found)
    candidates, counts = [], Counts()
    for number, one in enumerate(found):
        status = _rejected(one, agreements[number], proposal_filter, existing)
        if status is None and one.part is not None:
            shape = inside(one.part, region)
            if shape.area >= INSIDE_SHARE * one.part.area:
                rank = one.score * one.stability * agreements[number]
                candidates.append(Candidate(number, one.part, shape, agreements[number], rank))
                continue
        counts[status or ClickStatus.OUTSIDE] += 1
    return candidates, counts


def size_of(area: float) -> float:
    """The diameter of the circle of an area."""
    return 2 * math.sqrt(area / math.pi)


def agreement(
    part: shapely.Polygon | None, others: Sequence[shapely.Polygon | None], least: float = AGREEMENT_IOU
) -> float:
    """Of some outlines, those that are none included, the share that shows the same object as a part."""
    if part is None or not others:
        return 0.0
    theirs = np.array([other for other in others if other is not None], dtype=object)
    common = shapely.area(shapely.intersection(part, theirs))
    ious = common / (part.area + shapely.area(theirs) - common)
    return float(np.count_nonzero(ious > least) / len(others))


def inside(part: shapely.Polygon, region: shapely.MultiPolygon) -> shapely.MultiPolygon:
    """What of a part lies in the region, its vertices on the grid."""
    if shapely.covers(region, part):
        return shapely.MultiPolygon([part])
    return polygonal(shapely.intersection(part, region, grid_size=STEP_PX))


def overlap(first: shapely.Polygon, second: NDArray[np.object_]) -> NDArray[np.float64]:
    """The shares of the smaller one's area that a part has in common with others."""
    common: NDArray[np.float64] = shapely.area(shapely.intersection(first, second))
    return common / np.minimum(first.area, shapely.area(second))


def _rejected(
    one: Found, agreement: float, proposal_filter: ProposalFilter, existing: shapely.STRtree
) -> ClickStatus | None:
    """Why an outline is no candidate; None where only the region can say."""
    if one.part is None:
        return ClickStatus.NOTHING
    if one.cut:
        return ClickStatus.CUT
    size = size_of(one.part.area)
    if size < proposal_filter.min_size:
        return ClickStatus.TOO_SMALL
    if size > proposal_filter.max_size:
        return ClickStatus.TOO_LARGE
    if (
        one.score < proposal_filter.min_score
        or one.stability < proposal_filter.min_stability
        or agreement < proposal_filter.min_agreement
    ):
        return ClickStatus.WEAK
    others = existing.geometries[existing.query(one.part, predicate="intersects")]
    return ClickStatus.EXISTING if (overlap(one.part, others) > proposal_filter.max_overlap).any() else None


def _agreements(found: Sequence[Found]) -> list[float]:
    """Of the clicks in each part, its own included, the share whose parts agree with it."""
    parts = [one.part for one in found]
    tree = shapely.STRtree([shapely.Point(one.click.x, one.click.y) for one in found])
    return [
        0.0 if part is None else agreement(part, [parts[number] for number in tree.query(part, predicate="covers")])
        for part in parts
    ]


def _cells(low: float, high: float, start: float, extent: float, count: int) -> slice:
    """The cells of a row or column of a window that lie between two places."""
    first, last = (round((place - start) / extent * count) for place in (low, high))
    return slice(max(first, 0), max(last, 0))
