"""How a model is to work with: clicks needed, clicks honoured, steps that made it worse, fragments, and its own score.

The number of clicks (NoC) is the field's measure (RITM, SimpleClick): the clicks until the IoU reaches 85 or 90 %, at
most 20; an object that does not get there counts 20 and as failed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from wsisam_server.learning.evaluation.measures import Measured

CAP: Final = 20
"""The most clicks of the number of clicks."""

TARGETS: Final = (0.85, 0.90)

WORSE: Final = 0.05
"""A click that costs more Dice than this made the answer worse."""

LOW_IOU: Final = 0.7
"""The score should tell answers below this from those above."""

WHOLE: Final = 0.9
"""An answer whose largest part has less of its area is in fragments."""

_BINS = 10


def clicks_needed(trail: Mapping[int, Measured], target: float) -> int | None:
    """The first number of clicks whose answer has an IoU of `target`; None if that is above `CAP`."""
    return next((count for count in range(1, CAP + 1) if count in trail and trail[count].iou >= target), None)


def interaction(trails: Sequence[Mapping[int, Measured]], counts: Sequence[int], *, noc: bool) -> dict[str, Any]:
    """Sums up how objects were clicked on.

    Args:
        trails: of each object, its answers by number of clicks, from 1 on without a gap.
        counts: the numbers of clicks that are reported.
        noc: whether the trails go on far enough for the number of clicks.

    Returns:
        Plain JSON values: `worse` (share of all clicks after the first that cost more than `WORSE`), `honoured` by
        number of clicks (share of all positive and of all negative clicks so far; null where there is none), and of the
        number of clicks the mean (`noc85`, `noc90`) and the share of objects that failed.
    """
    steps = [after.dice - trail[count - 1].dice for trail in trails for count, after in trail.items() if count > 1]
    found: dict[str, Any] = {
        "n": len(trails),
        "steps": len(steps),
        "worse": _share(sum(step < -WORSE for step in steps), len(steps)),
        "honoured": {
            str(count): {
                "positive": _share(sum(each.positives_honoured for each in those), sum(e.positives for e in those)),
                "negative": _share(sum(each.negatives_honoured for each in those), sum(e.negatives for e in those)),
            }
            for count in counts
            for those in [[trail[count] for trail in trails]]
        },
    }
    if noc:
        for target in TARGETS:
            needed = [clicks_needed(trail, target) for trail in trails]
            name = f"{target:.0%}".rstrip("%")
            found[f"noc{name}"] = sum(CAP if each is None else each for each in needed) / len(needed)
            found[f"failed{name}"] = sum(each is None for each in needed) / len(needed)
    return found


def shape_and_score(answers: Sequence[Measured]) -> dict[str, Any]:
    """Sums up the answers to one kind of prompt.

    Returns:
        Plain JSON values: shares of answers in several parts, with holes, and in fragments; of the score against the
        IoU the expected calibration error, the correlation, and the AUROC for IoU below `LOW_IOU` (null where it is
        not defined); the mean agreement with other hands (null where none were asked for).
    """
    scores, ious = (np.array([getattr(each, name) for each in answers]) for name in ("score", "iou"))
    count = len(answers)
    return {
        "several_parts": sum(each.parts > 1 for each in answers) / count,
        "holes": sum(each.holes > 0 for each in answers) / count,
        "fragments": sum(each.largest < WHOLE for each in answers) / count,
        "ece": calibration_error(scores, ious),
        "correlation": _correlation(scores, ious),
        "auroc": auroc(scores, ious >= LOW_IOU),
        "agreement": _mean([each.agreement for each in answers if each.agreement is not None]),
    }


def worsened(before: Sequence[Measured], after: Sequence[Measured]) -> float:
    """Share of objects whose answer lost more than `WORSE` by a click that should correct it."""
    return sum(new.dice - old.dice < -WORSE for old, new in zip(before, after, strict=True)) / len(before)


def calibration_error(scores: NDArray[np.float64], ious: NDArray[np.float64]) -> float:
    """Expected calibration error: how far mean score and mean IoU are apart, over ten equal bins of the score."""
    bins = np.clip((scores * _BINS).astype(int), 0, _BINS - 1)
    total = sum(abs(float((scores[bins == each] - ious[bins == each]).sum())) for each in np.unique(bins))
    return total / len(scores)


def auroc(scores: NDArray[np.float64], good: NDArray[np.bool_]) -> float | None:
    """The chance that a good answer has a higher score than a bad one; equal ones count half. None without both."""
    high, low = scores[good][:, None], scores[~good][None]
    if not high.size or not low.size:
        return None
    return float((high > low).mean() + (high == low).mean() / 2)


def _correlation(one: NDArray[np.float64], other: NDArray[np.float64]) -> float | None:
    if len(one) < 2 or one.std() == 0 or other.std() == 0:  # noqa: PLR2004
        return None
    return float(np.corrcoef(one, other)[0, 1])


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None
