"""How sure it is that a place shows one of the kind."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

SLOPE: Final = 3.4
MIDDLE: Final = 0.9
"""Probability that a place is right, as a logistic curve over its similarity. The similarity's unit is the exemplars'
own, so that other features need no other curve. The slope was fitted on four images of nuinsseg, by whether a box of
the usual size there met an object. The middle was fitted to 1.3 there, by which hardly anything was proposed elsewhere.
0.9 is what gave the better F1 on three images each of dsb and nuinsseg (.46 and .47, against .19 and .31)."""

ENOUGH_DECISIONS: Final = 5
"""Of accepted and of rejected objects each: from there on the curve's middle is where these part."""

LEAST: Final = 0.5
"""Probability from which on a place is proposed by default."""

LEAST_UNSURE: Final = 0.65
"""The same where exemplars do not tell their kind from the rest."""

LIKELY: Final = 0.25
"""Probability from which on a place resembles the exemplars at all."""

UNSURE: Final = 0.5
"""Share of these places that must be expected to be right, or else it is unsure."""


SEPARATION: Final = 5.0
"""Distance of two groups' means in their common standard deviation, from which on they stand apart: it is 2.7 for the
halves of a normal distribution, 3.5 for those of a uniform one."""


@dataclass(frozen=True, slots=True)
class Confidence:
    """A logistic curve.

    Attributes:
        slope: see `SLOPE`.
        middle: the similarity that is right as often as it is wrong.
    """

    slope: float = SLOPE
    middle: float = MIDDLE

    @classmethod
    def learnt(cls, positive: NDArray[np.floating], negative: NDArray[np.floating]) -> Confidence:
        """From what accepted and rejected objects scored, each when it was left out.

        Args:
            positive: similarities of the positive exemplars.
            negative: of the negative ones.
        """
        if min(len(positive), len(negative)) < ENOUGH_DECISIONS:
            return cls()
        places = np.sort(np.concatenate([positive, negative]))
        cuts = (places[1:] + places[:-1]) / 2
        wrong = [(positive < cut).mean() + (negative >= cut).mean() for cut in cuts]
        # Halfway to where it is without decisions: ten of them are few.
        return cls(middle=float((cuts[int(np.argmin(wrong))] + MIDDLE) / 2))

    def told_apart(self, similarities: NDArray[np.floating], positive: NDArray[np.floating]) -> Confidence:
        """The same, with its middle between places that look like the exemplars and all others, if these stand apart.

        Where they do not, the curve stays as it is.

        Args:
            similarities: of all places of the region, those that look like nothing among them.
            positive: as in `learnt`.
        """
        if len(similarities) < 2 * ENOUGH_DECISIONS:
            return self
        lower, upper, spread = _two_groups(np.sort(np.asarray(similarities, float)))
        middle = (lower + upper) / 2
        if upper - lower < SEPARATION * spread or np.median(positive) < middle:
            return self
        return replace(self, middle=min(self.middle, middle))

    def of(self, similarities: Sequence[float] | NDArray[np.floating]) -> NDArray[np.float64]:
        """Probabilities."""
        return np.asarray(1 / (1 + np.exp(-self.slope * (np.asarray(similarities, float) - self.middle))))

    def similarity(self, probability: float) -> float:
        """The similarity that has a probability between 0 and 1, both excluded."""
        return self.middle + float(np.log(probability / (1 - probability))) / self.slope


def _two_groups(ordered: NDArray[np.float64]) -> tuple[float, float, float]:
    """Means of the two groups that differ least within themselves (Otsu 1979), and their common standard deviation."""
    count = len(ordered)
    lower = np.arange(1, count)
    sums, squares = np.cumsum(ordered), np.cumsum(ordered**2)
    below, above = sums[:-1] / lower, (sums[-1] - sums[:-1]) / (count - lower)
    within = squares[-1] - lower * below**2 - (count - lower) * above**2
    at = int(np.argmin(within))
    return float(below[at]), float(above[at]), float(np.sqrt(max(within[at], 0.0) / count))


def least_probability(probabilities: NDArray[np.float64], wanted: float | None) -> tuple[float, float, bool]:
    """From which probability on places are proposed.

    Args:
        probabilities: of all places.
        wanted: by the caller; None for the default.

    Returns:
        The probability, the share of those above it that are expected to be right (0 where there are none), and whether
        the exemplars do not tell their kind from the rest.
    """
    likely = probabilities[probabilities >= LIKELY]
    unsure = len(likely) == 0 or float(likely.mean()) < UNSURE
    least = wanted if wanted is not None else LEAST_UNSURE if unsure else LEAST
    kept = probabilities[probabilities >= least]
    return least, float(kept.mean()) if len(kept) else 0.0, unsure
