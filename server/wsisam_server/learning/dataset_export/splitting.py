"""Which slides train and which validate; with one slide only, which of its regions. Pure."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from wsisam_server.core.geometry import Box
from wsisam_server.learning.dataset_export.errors import DatasetExportError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from wsisam_server.core.geometry import SlideSize
    from wsisam_server.learning.dataset_export.annotation_set import LabelSource

TRAIN: Final = "train"
VAL: Final = "val"


@dataclass(frozen=True, slots=True)
class SplitRegion:
    """A part of a slide that belongs to one split.

    Attributes:
        split: TRAIN or VAL.
        bounds: level-0 pixels; nothing outside of it is shown.
        objects: those that lie in it.
    """

    split: str
    bounds: Box
    objects: tuple[LabelSource, ...]


def cases(names: Mapping[str, str], pattern: str | None) -> dict[str, str]:
    """The case that each slide belongs to.

    Args:
        names: a slide's name for people, by its identity.
        pattern: see `ExportOptions.case`.

    Raises:
        DatasetExportError: the pattern is no regular expression, or finds nothing in a name.
    """
    if pattern is None:
        return {identity: identity for identity in names}
    try:
        wanted = re.compile(pattern)
    except re.error as error:
        raise DatasetExportError(f"the pattern {pattern!r} for cases is no regular expression: {error}") from error
    found = {}
    for identity, name in names.items():
        match = wanted.search(name)
        if match is None or not match[wanted.groups > 0]:
            raise DatasetExportError(f"the pattern {pattern!r} for cases finds nothing in the slide's name {name!r}")
        found[identity] = match[wanted.groups > 0]
    return found


def validating(of_slide: Mapping[str, str], share: float, seed: int) -> set[str]:
    """The slides that validate: all of some cases, none of the others.

    Args:
        of_slide: each slide's case.
        share: of the cases; at least one validates, and at least one does not, unless there are fewer than two.
        seed: which ones.
    """
    known = sorted(set(of_slide.values()), key=lambda case: hashlib.sha256(f"{seed} {case}".encode()).digest())
    if share == 0 or not known[1:]:
        return set()
    chosen = set(known[: min(max(round(share * len(known)), 1), len(known) - 1)])
    return {slide for slide, case in of_slide.items() if case in chosen}


def whole(split: str, size: SlideSize, objects: Sequence[LabelSource]) -> SplitRegion:
    """A slide that belongs to one split."""
    return SplitRegion(split, Box(0, 0, size.width, size.height), tuple(objects))


def divided(size: SlideSize, objects: Sequence[LabelSource], share: float) -> tuple[list[SplitRegion], int]:
    """One slide as two regions, apart by a straight line.

    The line runs across the longer side of what is drawn. Of the places at which the share of the objects beyond it is
    within a quarter of what is wanted it takes the one that cuts the fewest, then the one nearest to the share.

    Args:
        size: of the slide.
        objects: all on it.
        share: of the objects that validate; they lie at the right or at the bottom.

    Returns:
        The regions, and how many objects lie across the line, which are in neither. One region only where there is no
        line with objects on both sides.
    """
    boxes = [one.shape.bounds for one in objects]
    spans = [max(box[axis + 2] for box in boxes) - min(box[axis] for box in boxes) for axis in (0, 1)]
    axis = 0 if spans[0] >= spans[1] else 1
    found = _line([(box[axis], box[axis + 2]) for box in boxes], share)
    if share == 0 or found is None:
        return [whole(TRAIN, size, objects)], 0
    line = found
    before = Box(0, 0, line, size.height) if axis == 0 else Box(0, 0, size.width, line)
    after = Box(line, 0, size.width, size.height) if axis == 0 else Box(0, line, size.width, size.height)
    train = tuple(one for one, box in zip(objects, boxes, strict=True) if box[axis + 2] <= line)
    val = tuple(one for one, box in zip(objects, boxes, strict=True) if box[axis] >= line)
    return [SplitRegion(TRAIN, before, train), SplitRegion(VAL, after, val)], len(objects) - len(train) - len(val)


def _line(spans: Sequence[tuple[float, float]], share: float) -> int | None:
    """The best whole number at which to divide intervals; None when there is none with some on both sides."""
    starts = np.sort([start for start, _ in spans])
    ends = np.sort([end for _, end in spans])
    lines = np.unique(np.concatenate((np.floor(starts), np.ceil(ends))))
    before = np.searchsorted(ends, lines, side="right")
    after = len(spans) - np.searchsorted(starts, lines, side="left")
    apart = (before > 0) & (after > 0)
    if not apart.any():
        return None
    lines, before, after = lines[apart], before[apart], after[apart]
    off = np.abs(after / len(spans) - share)
    near = off <= share / 4
    cut = len(spans) - before - after
    # Near enough comes first, then few cut ones, then the nearest.
    order = np.lexsort((lines, off, np.where(near, cut, 0), ~near))
    return int(lines[order[0]])
