"""Which outlines are worth proposing."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

MAX_SIZE_RATIO = 16
"""Largest max_size / min_size: in a window that holds the largest objects, the smallest are then a few mask cells."""

AGREEMENT_IOU = 0.6
"""From where on two outlines are said to show the same object."""

INSIDE_SHARE = 0.5
"""Share of its area that a proposal must have in the region."""

OTHER_KIND = 2.0
"""An existing object that is smaller than min_size by more than this factor, or larger than max_size, is a thing of
another kind (the nuclei of a wanted gland, the tissue about it), which proposals may overlap."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Sizes, the diameters of circles of the objects' area, and thresholds; see ProposalFilter in the contract.

    The defaults were chosen on images that the default model was not trained on: see `benchmarks/everything.py`.

    Attributes:
        min_size: in microns, or in level-0 pixels once `in_pixels` was asked.
        max_size: in the same unit.
        min_score: least IoU that the model itself expects.
        min_stability: see `stability`.
        min_agreement: see `judge`.
        max_overlap: share of the smaller one's area that two objects may have in common.
    """

    min_size: float
    max_size: float
    min_score: float = 0.5
    min_stability: float = 0.5
    min_agreement: float = 0.5
    max_overlap: float = 0.3

    def in_pixels(self, mpp: float | None) -> Wanted:
        """The same with sizes in level-0 pixels.

        Args:
            mpp: microns per level-0 pixel; None where the sizes are pixels already.
        """
        unit = mpp or 1.0
        return replace(self, min_size=self.min_size / unit, max_size=self.max_size / unit)


def size_of(area: float) -> float:
    """The diameter of the circle of an area."""
    return 2 * math.sqrt(area / math.pi)
