"""How sure it is that a place shows one of the kind."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

SLOPE: Final = 3.75
EVEN: Final = 0.26
"""Probability that a place is right, as a logistic curve over its similarity: its slope, and how far above the boundary
even odds lie. Fitted on eleven development images of dsb and nuinsseg, four draws of one, three and five exemplars
each. An image that was left out was expected to have .61 of its places right, and had .70."""

SEPARATION: Final = 5.0
"""Distance of two groups' means in their common standard deviation, from which on they stand apart: it is 2.7 for the
halves of a normal distribution, 3.5 for those of a uniform one. Then even odds lie at the boundary itself."""

LEAST_UNSURE: Final = 0.5
"""Probability from which on places are proposed where exemplars do not tell their kind from the rest."""

UNSURE: Final = 0.5
"""Share of the places beyond the boundary that must be expected to be right, or else it is unsure."""

BOUNDARIES: Final = (0.5, 0.9)
"""Least and greatest boundary: where nothing looks like the exemplars, or everything does, there are no two groups."""

USUAL_BOUNDARY: Final = 0.65
"""Where there are too few places to tell groups apart; on the development images, one number for all is best here."""

ENOUGH_PLACES: Final = 10

MOST_SIMILAR: Final = 1.5
"""More counts as that: one exemplar may be far more like itself than the others are like it."""


@dataclass(frozen=True, slots=True)
class Confidence:
    """A logistic curve.

    Attributes:
        boundary: the similarity from which on places are proposed.
        even: how far above it even odds lie.
    """

    boundary: float = USUAL_BOUNDARY
    even: float = EVEN

    @property
    def least(self) -> float:
        """The probability at the boundary. At most even odds: a missed object counts as much as a wrong one."""
        return float(self.of([self.boundary])[0])

    @classmethod
    def learnt(cls, similarities: NDArray[np.floating]) -> Confidence:
        """With its boundary between the places that look like the exemplars and all others.

        Args:
            similarities: of all places of the region, those that look like nothing among them.
        """
        found, even = USUAL_BOUNDARY, EVEN
        if len(similarities) >= ENOUGH_PLACES:
            lower, upper, spread = _two_groups(np.sort(np.minimum(np.asarray(similarities, float), MOST_SIMILAR)))
            found = (lower + upper) / 2
            if upper - lower >= SEPARATION * spread and found >= BOUNDARIES[0]:
                even = 0.0
        return cls(min(max(found, BOUNDARIES[0]), BOUNDARIES[1]), even)

    def of(self, similarities: Sequence[float] | NDArray[np.floating]) -> NDArray[np.float64]:
        """Probabilities."""
        above = np.asarray(similarities, float) - self.boundary
        return np.asarray(1 / (1 + np.exp(-SLOPE * (above - self.even))))

    def similarity(self, probability: float) -> float:
        """The similarity that has a probability between 0 and 1, both excluded."""
        return self.boundary + self.even + float(np.log(probability / (1 - probability))) / SLOPE


def _two_groups(ordered: NDArray[np.float64]) -> tuple[float, float, float]:
    """Means of the two groups that differ least within themselves (Otsu 1979), and their common standard deviation."""
    count = len(ordered)
    lower = np.arange(1, count)
    sums, squares = np.cumsum(ordered), np.cumsum(ordered**2)
    below, above = sums[:-1] / lower, (sums[-1] - sums[:-1]) / (count - lower)
    within = squares[-1] - lower * below**2 - (count - lower) * above**2
    at = int(np.argmin(within))
    return float(below[at]), float(above[at]), float(np.sqrt(max(within[at], 0.0) / count))


def least_probability(
    probabilities: NDArray[np.float64], at_boundary: float, wanted: float | None
) -> tuple[float, float, bool]:
    """From which probability on places are proposed.

    Args:
        probabilities: of all places.
        at_boundary: see `Confidence.least`.
        wanted: by the caller; None for the default.

    Returns:
        The probability, the share of those above it that are expected to be right (0 where there are none), and whether
        the exemplars do not tell their kind from the rest.
    """
    likely = probabilities[probabilities >= at_boundary]
    unsure = len(likely) == 0 or float(likely.mean()) < UNSURE
    least = wanted if wanted is not None else LEAST_UNSURE if unsure else at_boundary
    kept = probabilities[probabilities >= least]
    return least, float(kept.mean()) if len(kept) else 0.0, unsure
