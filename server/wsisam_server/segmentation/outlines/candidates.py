"""Which of a prompt's candidates are answered, in what order, and which of them is chosen. Pure: masks and scores in.

Candidate 0 is the model's own answer, 1 to 3 are the masks of SAM's tokens 1 to 3: other objects that the prompt may
mean. The numbers name them: the same prompt has the same candidates under the same numbers, however many are wanted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

OWN: Final = 0
"""The number of the model's own answer."""

SAME: Final = 0.9
"""IoU of masks from which two candidates are one. See decision 0044 for what it costs."""


def best(scores: Mapping[int, float], *, ranked: bool) -> int:
    """The candidate that is chosen: the one place that ranks, so that a calibrated score needs to be put in here only.

    The model's own answer is chosen, unless the scores were measured to choose better (`wsisam calibrate`) and another
    one has a higher score. Those of the default weights do not: see decision 0045.

    Args:
        scores: the model's estimates of the candidates' IoU, by their numbers; holds `OWN`.
        ranked: whether the scores were measured to rank them better.
    """
    if not ranked:
        return OWN
    # Of equal ones the own answer.
    return max(scores, key=lambda number: (scores[number], number == OWN, -number))


def selected(
    masks: Mapping[int, NDArray[np.bool_]],
    scores: Mapping[int, float],
    most: int,
    *,
    ranked: bool,
    meant: int | None = None,
) -> tuple[list[int], int]:
    """The candidates that are answered, and which of them is chosen.

    Left out are those that nearly equal a better one (`SAME`), or the model's own answer, and those in which nothing
    is drawn. The own answer is never left out for another one; nor is the chosen one where fewer are wanted.

    Args:
        masks: [h, w] of each candidate, finished as its outline is; by their numbers.
        scores: as in `best`.
        most: how many are wanted, at least 1. With 1 it is the model's own answer.
        ranked: as in `best`.
        meant: a candidate that was said to be meant. It is chosen, and not left out.

    Returns:
        The candidates' numbers, and that of the chosen one.
    """
    if most == 1:
        only = OWN if meant is None else meant
        return [only], only
    kept = list(dict.fromkeys([OWN, OWN if meant is None else meant]))
    for number in sorted(masks, key=lambda number: (-scores[number], number)):
        alike = (_alike(masks[number], masks[other]) for other in kept)
        if number not in kept and masks[number].any() and not any(alike):
            kept.append(number)
    chosen = best({number: scores[number] for number in kept}, ranked=ranked) if meant is None else meant
    return list(dict.fromkeys([chosen, OWN, *kept]))[:most], chosen


def _alike(one: NDArray[np.bool_], other: NDArray[np.bool_]) -> bool:
    common, union = int(np.count_nonzero(one & other)), int(np.count_nonzero(one | other))
    return common >= SAME * union
