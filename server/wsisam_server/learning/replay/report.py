"""Old outlines beside new ones, in numbers."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from statistics import fmean
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import uuid

    from shapely.geometry.base import BaseGeometry

    from wsisam_server.annotations.store import Annotation
    from wsisam_server.learning.replay.answering import ReplayedOutline
    from wsisam_server.learning.replay.selection import SkipReason


def dice(first: BaseGeometry, second: BaseGeometry) -> float:
    """Twice the shared area, as a share of both areas together; 1 for equal shapes, 0 for apart ones."""
    both = first.area + second.area
    return 2 * first.intersection(second).area / both if both else 0.0


@dataclass(frozen=True, slots=True)
class Comparison:
    """One annotation and its replayed outline.

    Attributes:
        annotation: as it was.
        replayed: the new outline.
        dice: how much they agree.
        saved: the revision that the new one became; None when it was not saved.
    """

    annotation: Annotation
    replayed: ReplayedOutline
    dice: float
    saved: int | None = None

    @property
    def class_name(self) -> str:
        """Empty when it has no class."""
        path_class = self.annotation.content.path_class
        return "" if path_class is None else path_class.name


@dataclass(slots=True)
class ReplayReport:
    """What a replay found.

    Attributes:
        model: that was asked.
        weights_hash: of it.
        compared: what was replayed, in the order of revisions.
        left_alone: what was not, by id, and why.
        problems: what was said to those that were not answered, by id.
    """

    model: str
    weights_hash: str
    compared: list[Comparison] = field(default_factory=list)
    left_alone: dict[uuid.UUID, SkipReason] = field(default_factory=dict)
    problems: dict[uuid.UUID, str] = field(default_factory=dict)

    @property
    def by_class(self) -> dict[str, list[Comparison]]:
        """What was replayed, by class, in the order of their names."""
        found: dict[str, list[Comparison]] = defaultdict(list)
        for one in self.compared:
            found[one.class_name].append(one)
        return dict(sorted(found.items()))

    @property
    def reasons(self) -> Counter[SkipReason]:
        """How many were left alone for which reason."""
        return Counter(self.left_alone.values())

    @property
    def worst_first(self) -> list[Comparison]:
        """What was replayed, the least similar first."""
        return sorted(self.compared, key=lambda one: (one.dice, one.annotation.id))

    def as_json(self) -> dict[str, Any]:
        """As plain values."""
        return {
            "model": self.model,
            "weights_hash": self.weights_hash,
            "n": len(self.compared),
            "dice": mean(self.compared),
            "classes": {name: {"n": len(found), "dice": mean(found)} for name, found in self.by_class.items()},
            "annotations": [_said(one) for one in self.worst_first],
            "left_alone": [
                {"id": str(one), "reason": why.value, "problem": self.problems.get(one)}
                for one, why in self.left_alone.items()
            ],
        }


def mean(found: list[Comparison]) -> float | None:
    """The mean Dice; None of nothing."""
    return fmean(one.dice for one in found) if found else None


def _said(one: Comparison) -> dict[str, Any]:
    made = one.annotation.content.provenance
    return {
        "id": str(one.annotation.id),
        "revision": one.annotation.revision,
        "class": one.class_name,
        "slide_id": one.annotation.content.slide_id,
        "old_model": None if made is None else made.model,
        "dice": one.dice,
        "old_area": one.annotation.content.shape.area,
        "new_area": one.replayed.shape.area,
        "truncated": one.replayed.truncated,
        "saved_revision": one.saved,
    }
