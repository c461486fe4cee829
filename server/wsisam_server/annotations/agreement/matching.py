"""Which objects of two people are the same."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import shapely
from shapely import STRtree

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from shapely.geometry.base import BaseGeometry

    from wsisam_server.annotations.store import Content

SAME_IOU: Final = 0.5
"""From this overlap on, two outlines are of one object, as in the counts of the field (F1 at IoU 0.5)."""


@dataclass(frozen=True, slots=True)
class Outlined:
    """One object.

    Attributes:
        shape: valid areas, in level-0 pixels.
        path_class: its class's name; "" for none.
    """

    shape: BaseGeometry
    path_class: str


@dataclass(frozen=True, slots=True)
class Matching:
    """Which are the same.

    Attributes:
        pairs: indices of the first's and of the second's object, and their IoU; each object is in at most one.
        only_first: indices of the first's objects that the second has not.
        only_second: the other way round.
    """

    pairs: tuple[tuple[int, int, float], ...]
    only_first: tuple[int, ...]
    only_second: tuple[int, ...]


def outlined(contents: Iterable[Content]) -> list[Outlined]:
    """The areas among annotations; points and lines outline nothing. What crosses itself is made valid first."""
    found = []
    for content in contents:
        shape = content.shape if content.shape.is_valid else shapely.make_valid(content.shape)
        if shape.area > 0:
            found.append(Outlined(shape, "" if content.path_class is None else content.path_class.name))
    return found


def match(first: Sequence[Outlined], second: Sequence[Outlined], iou: float = SAME_IOU) -> Matching:
    """Pairs objects by overlap, the best pair first.

    From an IoU of 0.5 on, an object can have two partners only where somebody outlined it twice.

    Args:
        first: one side's objects.
        second: the other's.
        iou: the smallest intersection over union of a pair, above 0.
    """
    pairs: list[tuple[int, int, float]] = []
    if first and second:
        shapes, others = (np.array([one.shape for one in side]) for side in (first, second))
        left, right = STRtree(others).query(shapes, predicate="intersects")
        common = shapely.area(shapely.intersection(shapes[left], others[right]))
        overlap = common / (shapely.area(shapes[left]) + shapely.area(others[right]) - common)
        taken_left: set[int] = set()
        taken_right: set[int] = set()
        for at in np.argsort(-overlap, kind="stable"):
            i, j, value = int(left[at]), int(right[at]), float(overlap[at])
            if value >= iou and i not in taken_left and j not in taken_right:
                pairs.append((i, j, value))
                taken_left.add(i)
                taken_right.add(j)
    paired_first, paired_second = ({pair[side] for pair in pairs} for side in (0, 1))
    return Matching(
        tuple(pairs),
        tuple(i for i in range(len(first)) if i not in paired_first),
        tuple(j for j in range(len(second)) if j not in paired_second),
    )
