"""What was outlined at the clicks of one window, and what of it is worth proposing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import shapely

from wsisam_server.core.answers import Counts, Fate
from wsisam_server.core.shapes import STEP_PX, polygonal
from wsisam_server.segmentation.proposals.thresholds import AGREEMENT_IOU, INSIDE_SHARE, size_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from wsisam_server.core.geometry import Point, Window
    from wsisam_server.core.requests import ProposalFilter

STABILITY_STEP = 1.0
"""How far the threshold of the logits is moved, up and down."""


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
        agreement: share of the window's clicks in it whose own outlines agree with it.
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
    found: Sequence[Found], wanted: ProposalFilter, region: shapely.MultiPolygon, existing: shapely.STRtree
) -> tuple[list[Candidate], Counts]:
    """Chooses what is good enough of one window.

    Args:
        found: one for each of the window's clicks.
        wanted: sizes in level-0 pixels.
        region: prepared.
        existing: objects that no proposal may take the place of.

    Returns:
        Candidates in the order of their clicks, and what became of the others.
    """
    agreements = _agreements(found)
    candidates, counts = [], Counts()
    for number, one in enumerate(found):
        fate = _fate(one, agreements[number], wanted, existing)
        if fate is None and one.part is not None:
            shape = inside(one.part, region)
            if shape.area >= INSIDE_SHARE * one.part.area:
                rank = one.score * one.stability * agreements[number]
                candidates.append(Candidate(number, one.part, shape, agreements[number], rank))
                continue
        counts[fate or Fate.OUTSIDE] += 1
    return candidates, counts


def inside(part: shapely.Polygon, region: shapely.MultiPolygon) -> shapely.MultiPolygon:
    """What of a part lies in the region, its vertices on the grid."""
    if shapely.covers(region, part):
        return shapely.MultiPolygon([part])
    return polygonal(shapely.intersection(part, region, grid_size=STEP_PX))


def overlap(first: shapely.Polygon, second: NDArray[np.object_]) -> NDArray[np.float64]:
    """The shares of the smaller one's area that a part has in common with others."""
    common: NDArray[np.float64] = shapely.area(shapely.intersection(first, second))
    return common / np.minimum(first.area, shapely.area(second))


def _fate(one: Found, agreement: float, wanted: ProposalFilter, existing: shapely.STRtree) -> Fate | None:
    """Why an outline is no candidate; None where only the region can say."""
    if one.part is None:
        return Fate.NOTHING
    if one.cut:
        return Fate.CUT
    size = size_of(one.part.area)
    if size < wanted.min_size:
        return Fate.TOO_SMALL
    if size > wanted.max_size:
        return Fate.TOO_LARGE
    if one.score < wanted.min_score or one.stability < wanted.min_stability or agreement < wanted.min_agreement:
        return Fate.WEAK
    others = existing.geometries[existing.query(one.part, predicate="intersects")]
    return Fate.EXISTING if (overlap(one.part, others) > wanted.max_overlap).any() else None


def _agreements(found: Sequence[Found]) -> list[float]:
    """Of the clicks in each part, its own included, the share whose parts agree with it."""
    parts = [one.part for one in found]
    tree = shapely.STRtree([shapely.Point(one.click.x, one.click.y) for one in found])
    shares = []
    for part in parts:
        if part is None:
            shares.append(0.0)
            continue
        inner = [parts[number] for number in tree.query(part, predicate="covers")]
        theirs = np.array([other for other in inner if other is not None], dtype=object)
        common = shapely.area(shapely.intersection(part, theirs))
        ious = common / (part.area + shapely.area(theirs) - common)
        shares.append(float(np.count_nonzero(ious > AGREEMENT_IOU) / len(inner)) if inner else 0.0)
    return shares


def _cells(low: float, high: float, start: float, extent: float, count: int) -> slice:
    """The cells of a row or column of a window that lie between two places."""
    first, last = (round((place - start) / extent * count) for place in (low, high))
    return slice(max(first, 0), max(last, 0))
