"""Outlines at the places of a search: boxes of about the exemplars' size, read as tightly as fits these."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import numpy as np

from wsisam_server.core.geometry import Box, Point
from wsisam_server.core.prompt import SlidePrompt
from wsisam_server.segmentation.exemplars import Place, best_threshold, cells_inside
from wsisam_server.segmentation.outlines import reaches_edge
from wsisam_server.segmentation.proposals import Found, agreement, stability

if TYPE_CHECKING:
    from collections.abc import Sequence

    import shapely

    from wsisam_server.core.answers import Outcome
    from wsisam_server.core.geometry import Window
    from wsisam_server.core.requests import Request
    from wsisam_server.segmentation.segmenter.like.plan import LikePlan
    from wsisam_server.segmentation.segmenter.segmenter import Segmenter
    from wsisam_server.slides import SlideInfo

BOXES: Final = (0.75, 1.0, 1.35)
"""Sizes of the boxes that are asked at a place, in usual sizes. The outline is taken that the model is surest of."""

SCORE_SHARE: Final = 0.8
"""Least score of an outline, as a share of the median of what the exemplars' own outlines score."""

MOST_SCORED: Final = 12
"""Exemplars that are outlined to learn that."""

RIGHT: Final = 0.5
"""IoU from which on an outline shows what was drawn."""

USUAL_SUCCESS: Final = 0.8
SUCCESS_WEIGHT: Final = 5
"""Share of objects that a box in their middle outlines rightly: on the development sets, and as so many exemplars."""


@dataclass(frozen=True, slots=True)
class Outlined:
    """The best outline at a place.

    Attributes:
        found: its largest part.
        outcome: all of it.
        agreement: the share of the boxes there whose outlines agree with it, its own included.
    """

    found: Found
    outcome: Outcome
    agreement: float


class Outliner:
    """Asks for boxes.

    Args:
        segmenter: has the model.
        plan: of the search.
        base: what each prompt is asked with.

    Attributes:
        least_score: that an outline must have.
        success: share of the right places at which the outline is right, too, as far as the exemplars show it.
    """

    def __init__(self, segmenter: Segmenter, plan: LikePlan, base: Request) -> None:
        self._segmenter, self._plan, self._base = segmenter, plan, base
        self._threshold = 0.0
        self.least_score = plan.request.min_score or 0.0
        self.success = USUAL_SUCCESS

    async def learn(self) -> None:
        """Learns from the exemplars' own outlines what the model scores, and how tightly it is to be read.

        Exemplars on other slides are not asked; without any here, all is as the model says.
        """
        scores: list[float] = []
        thresholds: list[float] = []
        right = 0
        for one, window in [both for both in self._plan.shown_here if both[0].positive][:MOST_SCORED]:
            place = Place(0, one.center.x, one.center.y, 1.0, self._plan.classes.index(one.path_class))
            (best,) = await self.outlined(window, [place])
            scores.append(best.found.score)
            drawn = cells_inside(one.shape, window, best.outcome.logits.shape)
            thresholds.append(best_threshold(best.outcome.logits, drawn))
            right += agreement(best.found.part, list(one.shape.geoms), RIGHT) > 0
        self.success = (right + SUCCESS_WEIGHT * USUAL_SUCCESS) / (len(scores) + SUCCESS_WEIGHT)
        if scores:
            self._threshold = float(np.median(thresholds))
            self.least_score = SCORE_SHARE * float(np.median(scores))
        if self._plan.request.min_score is not None:
            self.least_score = self._plan.request.min_score

    async def outlined(self, window: Window, places: Sequence[Place]) -> list[Outlined]:
        """Asks for boxes of about the usual size at each place; of their outlines, the best one."""
        boxes = [self._boxed(place, share) for place in places for share in BOXES]
        outcomes = await self._segmenter.segment_many(boxes, window, self._threshold)
        found = []
        for number, place in enumerate(places):
            some = outcomes[number * len(BOXES) : (number + 1) * len(BOXES)]
            answers = [_found(one, Point(place.x, place.y), window, self._plan.info) for one in some]
            best = max(range(len(BOXES)), key=lambda at: answers[at].score * answers[at].stability)
            agreed = agreement(answers[best].part, [one.part for one in answers])
            found.append(Outlined(answers[best], some[best], agreed))
        return found

    def _boxed(self, place: Place, share: float) -> Request:
        half = share * self._plan.sizes[place.kind] / 2
        box = Box(place.x - half, place.y - half, place.x + half, place.y + half)
        return replace(self._base, prompt=SlidePrompt(box=box))


def _largest(outcome: Outcome) -> shapely.Polygon | None:
    """The largest part: a box means the whole object, also one with a lumen in its middle."""
    return max(outcome.outline.geometry.geoms, key=lambda part: part.area, default=None)


def _found(outcome: Outcome, place: Point, window: Window, info: SlideInfo) -> Found:
    part = _largest(outcome)
    if part is None:
        return Found(place, None, cut=False, score=outcome.score, stability=0.0)
    cut = reaches_edge(part, window, info.size)
    return Found(place, part, cut, outcome.score, stability(outcome.logits, window, part))
