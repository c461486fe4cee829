"""Exemplars as they can be used: mended, on their slide, each once, of one size."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import shapely

from wsisam_server.core.errors import Reason, WsiSamServerError
from wsisam_server.core.geometry import Point
from wsisam_server.core.requests import MAX_DOWNSAMPLE
from wsisam_server.core.shapes import GeometryRepairer, GeometryRepairError, polygonal

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from wsisam_server.core.geometry import SlideSize
    from wsisam_server.core.requests import Exemplar

MOST_RATIO: Final = 8.0
"""Between the sizes of the largest and the smallest positive exemplar: one scale cannot show both."""

SAME: Final = 0.9
"""IoU from which on two exemplars are one."""


@dataclass(frozen=True, slots=True)
class ShownObject:
    """An exemplar that can be used.

    Attributes:
        number: of the exemplar in the request.
        slide_id: where it lies.
        shape: valid, clipped to its slide.
        center: the middle of its bounding box.
        size: the geometric mean of that box's sides, level-0 pixels of its slide.
        positive: whether it is one of those that are looked for, or one of those that are not.
        path_class: the name of its class; empty without one.
    """

    number: int
    slide_id: str
    shape: shapely.MultiPolygon
    center: Point
    size: float
    positive: bool
    path_class: str


def checked_exemplars(
    exemplars: Sequence[Exemplar], slides: Mapping[str, SlideSize], microns: Mapping[str, float]
) -> list[ShownObject]:
    """Checks what was shown. What is there twice counts once.

    Args:
        exemplars: as they were sent.
        slides: the size of each of their slides.
        microns: microns per pixel of each of these slides, or 1 for all of them.

    Returns:
        Those that can be used, at least one positive one among them.

    Raises:
        WsiSamServerError: INVALID_FIELD: which exemplar is wrong, and how.
    """
    repairer, found = GeometryRepairer(), list[ShownObject]()
    for number, exemplar in enumerate(exemplars):
        one = _usable(number, exemplar, slides[exemplar.slide_id], repairer)
        same = next((other for other in found if _are_same(one, other)), None)
        if same is None:
            found.append(one)
        elif same.positive != one.positive:
            problem = f"it is positive and negative at once: see exemplars[{same.number}]"
            raise _wrong(number, problem)
    positive = [one for one in found if one.positive]
    if not positive:
        problem = "none of them is positive; show at least one object of the kind that is wanted"
        raise WsiSamServerError(Reason.INVALID_FIELD, field="exemplars", problem=problem)
    by_size = sorted(positive, key=lambda one: one.size * microns[one.slide_id])
    small, large = by_size[0], by_size[-1]
    ratio = large.size * microns[large.slide_id] / (small.size * microns[small.slide_id])
    if ratio > MOST_RATIO:
        problem = (
            f"exemplars[{large.number}] is {ratio:.0f} times as large as exemplars[{small.number}]; show objects of "
            "one size, and ask again for the others"
        )
        raise WsiSamServerError(Reason.INVALID_FIELD, field="exemplars", problem=problem)
    return found


def usual_size(shown: Sequence[ShownObject], microns: Mapping[str, float], here: float) -> float:
    """The median size of some objects in level-0 pixels of the slide that is searched.

    Args:
        shown: at least one.
        microns: as for `checked_exemplars`.
        here: the searched slide's microns per pixel, or 1.
    """
    return float(np.median([one.size * microns[one.slide_id] for one in shown])) / here


def _usable(number: int, exemplar: Exemplar, slide: SlideSize, repairer: GeometryRepairer) -> ShownObject:
    try:
        repaired = repairer.repair(exemplar.shape)
    except GeometryRepairError as error:
        raise _wrong(number, "its border crosses itself too often; draw it more simply", str(error)) from error
    if repaired.area == 0:
        raise _wrong(number, "it has no area")
    shape = polygonal(shapely.intersection(repaired, shapely.box(0, 0, slide.width, slide.height)))
    if shape.area == 0:
        raise _wrong(number, f"it lies outside its slide, which is {slide.width} x {slide.height} pixels")
    x0, y0, x1, y1 = shape.bounds
    size = math.sqrt((x1 - x0) * (y1 - y0))
    if size > MAX_DOWNSAMPLE:
        raise _wrong(number, "it is larger than any window")
    return ShownObject(
        number,
        exemplar.slide_id,
        shape,
        Point((x0 + x1) / 2, (y0 + y1) / 2),
        size,
        exemplar.positive,
        exemplar.path_class,
    )


def _are_same(one: ShownObject, other: ShownObject) -> bool:
    if one.slide_id != other.slide_id or not shapely.intersects(one.shape, other.shape):
        return False
    common = shapely.intersection(one.shape, other.shape).area
    return bool(common >= SAME * (one.shape.area + other.shape.area - common))


def _wrong(number: int, problem: str, private: str = "") -> WsiSamServerError:
    return WsiSamServerError(Reason.INVALID_FIELD, field=f"exemplars[{number}]", problem=problem, private=private)
