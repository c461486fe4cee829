"""Whether the encoder's answers in another number type are as good as in float32, against what is drawn.

Embeddings in bfloat16 differ from float32's by a few percent of the largest value, and nobody looks at embeddings.
What counts is how far outlines lie from what is drawn. So the same objects are asked in both, and the differences are
kept with the weights (`additions`): they hold for these weights alone.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

NUMBER_TYPES: Final = ("bfloat16",)
"""What can be measured and used beside float32."""

LEAST_MEAN: Final = -0.003
LEAST_END: Final = -0.006
MOST_CLICKS: Final = 0.1


@dataclass(frozen=True, slots=True)
class Difference:
    """The other type less float32, on the same objects.

    Attributes:
        objects: their number.
        mean: of the differences.
        low: the lower end of its 95 % interval.
    """

    objects: int
    mean: float
    low: float


@dataclass(frozen=True, slots=True)
class TypeFinding:
    """What was measured of one number type.

    Attributes:
        dice: by set of objects, and by kind of prompt.
        clicks: by set, the clicks to an IoU of .85 more than in float32, in the mean.
    """

    dice: Mapping[str, Mapping[str, Difference]]
    clicks: Mapping[str, float]

    @property
    def is_as_good(self) -> bool:
        """Whether on every set, for each kind of prompt, no more is lost than anybody could see.

        Dice: not worse than by .003 in the mean, and by .006 at the lower end of its interval. Clicks to an IoU of .85:
        not a tenth more.
        """
        every = [one for of_set in self.dice.values() for one in of_set.values()]
        return (
            bool(every)
            and set(self.clicks) == set(self.dice)
            and all(one.mean >= LEAST_MEAN and one.low >= LEAST_END for one in every)
            and all(more <= MOST_CLICKS for more in self.clicks.values())
        )


def to_json(findings: Mapping[str, TypeFinding]) -> dict[str, Any]:
    """As plain JSON values."""
    return {name: asdict(found) for name, found in findings.items()}


def from_json(value: Any) -> dict[str, TypeFinding]:
    """What `to_json` made. Types that this version does not know are left out: nothing would use them.

    Raises:
        ValueError: it is something else.
    """
    try:
        return {
            name: TypeFinding(
                {
                    of_set: {kind: _difference(**one) for kind, one in kinds.items()}
                    for of_set, kinds in said["dice"].items()
                },
                {of_set: _number(more) for of_set, more in said["clicks"].items()},
            )
            for name, said in value.items()
            if name in NUMBER_TYPES
        }
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ValueError(f"no finding about a number type: {error}") from error


def _difference(objects: int, mean: float, low: float) -> Difference:
    return Difference(int(objects), _number(mean), _number(low))


def _number(value: Any) -> float:
    number = float(value)
    if not math.isfinite(number):
        raise ValueError(f"{number} is no difference")
    return number
