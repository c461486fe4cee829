"""Where in the windows something looks like the exemplars, and how sure that is."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import numpy as np
import shapely

from wsisam_server.core.geometry import Point
from wsisam_server.segmentation.exemplars import (
    Appearance,
    Confidence,
    Shown,
    described,
    least_probability,
    places_in,
    spread_out,
)
from wsisam_server.segmentation.segmenter.like.plan import GRID, POSITIONS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from wsisam_server.core.answers import Likeness
    from wsisam_server.core.geometry import Window
    from wsisam_server.segmentation.exemplars import Place, ShownObject
    from wsisam_server.segmentation.proposals import Tile
    from wsisam_server.segmentation.segmenter.like.plan import LikePlan
    from wsisam_server.segmentation.segmenter.like.windows import Seen

SAMPLED_POSITIONS: Final = 4000


@dataclass(frozen=True, slots=True)
class Places:
    """Where to ask.

    Attributes:
        places: of each window.
        sure: the probability that a place is right, and the number of its class.
        likeness: with what is expected of all of them.
        classes: names by their numbers.
    """

    places: dict[int, list[Place]]
    sure: dict[Point, tuple[float, int]]
    likeness: Likeness
    classes: list[str]


def found_places(plan: LikePlan, seen: Seen, likeness: Likeness) -> Places:
    """Where objects are, and how sure that is. Blocks, for milliseconds a window.

    Args:
        plan: of the search.
        seen: all of its windows.
        likeness: the sizes.
    """
    if not seen.rotated:
        return Places({}, {}, replace(likeness, expected_precision=0.0, unsure=True), [])
    shown, about = [], []
    for exemplar, window in zip(plan.shown, plan.exemplar_windows, strict=True):
        cells = plan.cells(window, exemplar.slide_id)
        around = described(seen.exemplars[exemplar.slide_id, window], cells)
        shown.append(_shown_at(exemplar, window, around, cells))
        about.append(_sample(around, SAMPLED_POSITIONS // len(plan.shown)))
    each = SAMPLED_POSITIONS // len(seen.rotated)
    about += [_sample(_described(plan, seen, number), each) for number in seen.rotated]
    appearance = Appearance(shown, np.concatenate(about))
    every = _peaks(plan, seen, appearance, 0.0)
    similarities = np.array([one.similarity for one in every])
    confidence = Confidence.learnt(similarities)
    probabilities = confidence.of([one.similarity for one in every])
    least, precision, unsure = least_probability(probabilities, confidence.least, plan.request.min_similarity)
    places: dict[int, list[Place]] = {}
    sure: dict[Point, tuple[float, int]] = {}
    for one, probability in zip(every, probabilities.tolist(), strict=True):
        if probability >= least:
            places.setdefault(one.window, []).append(one)
            sure[Point(one.x, one.y)] = probability, one.kind
    return Places(places, sure, replace(likeness, expected_precision=precision, unsure=unsure), appearance.classes)


def _described(plan: LikePlan, seen: Seen, number: int) -> NDArray[np.float32]:
    cells = plan.cells(plan.tiling.tiles[number].window, plan.request.slide_id)
    return described(seen.rotated[number].astype(np.float32), cells)


def _shown_at(one: ShownObject, window: Window, around: NDArray[np.float32], cells: float) -> Shown:
    step = window.extent / POSITIONS
    return Shown.at(
        around,
        (one.center.y - window.y) / step - 0.5,
        (one.center.x - window.x) / step - 0.5,
        cells,
        positive=one.positive,
        path_class=one.path_class,
    )


def _sample(around: NDArray[np.float32], number: int) -> NDArray[np.float32]:
    """Some positions of a window."""
    whole = around.reshape(POSITIONS**2, -1)
    return whole[np.random.default_rng(0).choice(len(whole), min(max(number, 1), len(whole)), replace=False)]


def _peaks(plan: LikePlan, seen: Seen, appearance: Appearance, least: float) -> list[Place]:
    found: list[Place] = []
    for number in seen.rotated:
        tile = plan.tiling.tiles[number]
        similarities = appearance.similarities(_described(plan, seen, number))
        some = places_in(number, tile.window, similarities, plan.sizes, plan.info.size, least)
        found += [one for one in some if not _on_background(one, tile, seen.background[number])]
    shapely.prepare(plan.region)
    at = np.array([(one.x, one.y) for one in found]).reshape(-1, 2)
    inside = shapely.contains_xy(plan.region, at[:, 0], at[:, 1])
    return spread_out([one for one, is_in in zip(found, inside.tolist(), strict=True) if is_in], plan.sizes)


def _on_background(place: Place, tile: Tile, background: frozenset[Point]) -> bool:
    step, last = tile.window.extent / GRID, GRID - 1
    column = min(max(int((place.x - tile.window.x) / step), 0), last)
    row = min(max(int((place.y - tile.window.y) / step), 0), last)
    return tile.clicks[row * GRID + column] in background
