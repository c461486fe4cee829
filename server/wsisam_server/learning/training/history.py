"""What a run measured so far: losses and validations, and which of them was the best."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

    from wsisam_server.learning.training.validation import ValidationAnswer


@dataclass(frozen=True, slots=True)
class Validation:
    """Mean Dice at one step.

    Attributes:
        step: when.
        means: by kind of prompt, over all objects.
        by_source: by data set, then by kind of prompt.
    """

    step: int
    means: dict[str, float]
    by_source: dict[str, dict[str, float]]

    @classmethod
    def of(cls, step: int, answers: Iterable[ValidationAnswer]) -> Validation:
        """Averages answers, which need not be kept."""
        means: dict[str, _Mean] = defaultdict(_Mean)
        by_source: dict[str, dict[str, _Mean]] = defaultdict(lambda: defaultdict(_Mean))
        for answer in answers:
            for mean in (means[answer.prompt], by_source[answer.example.source][answer.prompt]):
                mean.add(answer.dice)
        return cls(step, _values(means), {source: _values(those) for source, those in sorted(by_source.items())})

    @property
    def value(self) -> float:
        """What a run makes large: the mean over kinds of prompt."""
        return sum(self.means.values()) / len(self.means)


@dataclass(slots=True)
class History:
    """The course of a run.

    Attributes:
        losses: of each step.
        validations: in their order.
    """

    losses: list[float] = field(default_factory=list)
    validations: list[Validation] = field(default_factory=list)

    @property
    def best(self) -> Validation | None:
        """The validation of the highest value, the first of equal ones; None before the first."""
        return max(self.validations, key=lambda each: each.value, default=None)

    def waited(self) -> int:
        """Validations since the best one."""
        best = self.best
        return 0 if best is None else len(self.validations) - 1 - self.validations.index(best)

    def state(self) -> dict[str, Any]:
        """As plain values, for a checkpoint."""
        return asdict(self)

    @classmethod
    def restored(cls, state: dict[str, Any]) -> History:
        """The history that `state` was taken of."""
        return cls(list(state["losses"]), [Validation(**each) for each in state["validations"]])


@dataclass(slots=True)
class _Mean:
    total: float = 0.0
    count: int = 0

    def add(self, value: float) -> None:
        self.total += value
        self.count += 1


def _values(means: dict[str, _Mean]) -> dict[str, float]:
    return {prompt: mean.total / mean.count for prompt, mean in means.items()}
