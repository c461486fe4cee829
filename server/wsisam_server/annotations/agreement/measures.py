"""Numbers of how far two people agree: about which objects there are, their outlines, their classes."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wsisam_server.annotations.agreement.matching import Matching, Outlined


@dataclass(frozen=True, slots=True)
class ClassAgreement:
    """About one class, or about all objects whatever their class.

    Attributes:
        name: the class; "" for objects without one.
        first: how many objects the first has.
        second: how many the second has.
        both: how many of them are the same, and of this class for both.
        f1: 2 both / (first + second); None where there are none.
        dice: mean Dice of those pairs; None where there are none.
    """

    name: str
    first: int
    second: int
    both: int
    f1: float | None
    dice: float | None


@dataclass(frozen=True, slots=True)
class Measures:
    """How far two people agree.

    Attributes:
        objects: about objects and outlines, whatever the class.
        classes: for each class that either has, by name.
        kappa: Cohen's kappa of the classes of the objects that both have: 1 for always, 0 for as by chance. None where
            there is no such object, or where both gave all of them one and the same class.
        confusion: objects that both have, by the first's and the second's class.
    """

    objects: ClassAgreement
    classes: tuple[ClassAgreement, ...]
    kappa: float | None
    confusion: dict[tuple[str, str], int]


def measure(first: Sequence[Outlined], second: Sequence[Outlined], matching: Matching) -> Measures:
    """Measures a matching of two people's objects."""
    named = [(first[i].path_class, second[j].path_class, 2 * iou / (1 + iou)) for i, j, iou in matching.pairs]
    names = sorted({one.path_class for one in (*first, *second)})
    confusion = Counter((a, b) for a, b, _ in named)
    return Measures(
        _agreement("", len(first), len(second), [dice for _, _, dice in named]),
        tuple(
            _agreement(
                name,
                sum(one.path_class == name for one in first),
                sum(one.path_class == name for one in second),
                [dice for a, b, dice in named if a == b == name],
            )
            for name in names
        ),
        _kappa(confusion),
        dict(sorted(confusion.items())),
    )


def _agreement(name: str, first: int, second: int, dice: list[float]) -> ClassAgreement:
    return ClassAgreement(
        name,
        first,
        second,
        len(dice),
        2 * len(dice) / (first + second) if first + second else None,
        sum(dice) / len(dice) if dice else None,
    )


def _kappa(confusion: Counter[tuple[str, str]]) -> float | None:
    total = sum(confusion.values())
    if not total:
        return None
    observed = sum(count for (a, b), count in confusion.items() if a == b) / total
    firsts: Counter[str] = Counter()
    seconds: Counter[str] = Counter()
    for (a, b), count in confusion.items():
        firsts[a] += count
        seconds[b] += count
    by_chance = sum(firsts[name] * seconds[name] for name in firsts) / total**2
    return None if by_chance == 1 else (observed - by_chance) / (1 - by_chance)
