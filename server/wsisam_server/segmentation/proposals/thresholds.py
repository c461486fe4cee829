"""Which outlines are worth proposing."""

from __future__ import annotations

import math

AGREEMENT_IOU = 0.6
"""From where on two outlines are said to show the same object."""

INSIDE_SHARE = 0.5
"""Share of its area that a proposal must have in the region."""

OTHER_KIND = 2.0
"""An existing object that is smaller than min_size by more than this factor, or larger than max_size, is a thing of
another kind (the nuclei of a wanted gland, the tissue about it), which proposals may overlap."""


def size_of(area: float) -> float:
    """The diameter of the circle of an area."""
    return 2 * math.sqrt(area / math.pi)
