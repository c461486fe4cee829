"""What answers are worth where the encoder runs in another number type, against what is drawn.

In: what two evaluations of the same objects have measured. Out: a `TypeFinding` for the weights' file.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from wsisam_model.number_types import Difference
from wsisam_server.learning.evaluation.interaction import CAP, clicks_needed
from wsisam_server.learning.evaluation.scores import interval

if TYPE_CHECKING:
    from collections.abc import Mapping

    from wsisam_server.learning.evaluation.journal import Answers, Journal
    from wsisam_server.learning.evaluation.measures import Measured

KINDS: Final = ("box", "1", "3", "5")
"""Of `EvaluationOptions.prompts`: what is compared."""

TARGET: Final = 0.85
"""The IoU to which clicks are counted."""


@dataclass
class Kept:
    """What an evaluation has measured, by object; stands in for its journal, and fills one if there is one.

    Attributes:
        journal: see `evaluate`; None to measure all anew.
        answers: by line of the manifest and label.
    """

    journal: Journal | None = None
    answers: dict[tuple[int, int], Answers] = field(default_factory=dict)

    def get(self, line: int, label: int) -> Answers | None:
        """See `Journal`."""
        known = None if self.journal is None else self.journal.get(line, label)
        if known is not None:
            self.answers[line, label] = known
        return known

    def add(self, line: int, label: int, answers: Answers) -> None:
        """See `Journal`."""
        self.answers[line, label] = answers
        if self.journal is not None:
            self.journal.add(line, label, answers)


def compared(one: Kept, other: Kept, seed: int) -> tuple[dict[str, Difference], float]:
    """How much better the other's answers are.

    Args:
        one: in float32, with the clicks to `TARGET`.
        other: of the same objects.
        seed: of the intervals' resampling.

    Returns:
        The differences of Dice by kind of prompt, and the clicks to `TARGET` that the other needs more, in the mean.

    Raises:
        ValueError: they are of other objects, or of none.
    """
    if not one.answers or one.answers.keys() != other.answers.keys():
        raise ValueError("the two evaluations are of different objects")
    pairs = [(_served(one.answers[key]), _served(other.answers[key])) for key in sorted(one.answers)]
    found = {}
    for kind in KINDS:
        gains = [theirs[kind].dice - ours[kind].dice for ours, theirs in pairs]
        mean, (low, _) = sum(gains) / len(gains), interval(gains, seed)
        found[kind] = Difference(len(gains), round(mean, 5), round(low, 5))
    more = sum(_clicks(theirs) - _clicks(ours) for ours, theirs in pairs) / len(pairs)
    return found, round(more, 3)


def _served(answers: Answers) -> Mapping[str, Measured]:
    """Those of the variant that a server answers with: the last one of `variants_of`."""
    return {one.prompt: one for one in list(answers.values())[-1]}


def _clicks(answers: Mapping[str, Measured]) -> int:
    needed = clicks_needed({int(kind): one for kind, one in answers.items() if kind.isdigit()}, TARGET)
    return CAP if needed is None else needed
