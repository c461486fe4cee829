"""From what is known of an answer to the overlap that such answers turned out to have.

Two things tell how good a mask is: the decoder's own estimate, and the mask's stability (arXiv 2304.02643, appendix B).
Neither is right as it is. SAM's quality head was trained on SAM's own masks, ours on those of training. Which of the
two tells more depends on the kind of prompt. So for each kind they are mixed, and a rising curve leads from the mixture
to the mean intersection over union that was measured on validation objects. Curves are stored with the weights
(`additions`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias, get_args

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from wsisam_model.prompt import Prompt

AnswerKind: TypeAlias = Literal["box", "click", "clicks", "candidate"]
"""To a box alone; to a single click; to anything else; a further candidate of a single click."""

ANSWER_KINDS: Final[tuple[AnswerKind, ...]] = get_args(AnswerKind)

SHARES: Final = (0.0, 0.25, 0.5, 0.75, 1.0)
"""How much the decoder's estimate may count in the mixture; the rest is stability's."""

_OFFSET: Final = 1.0
_MIN_PER_KNOT: Final = 10
_MAX_KNOTS: Final = 8
_PAIR: Final = 2


def stability(logits: NDArray[np.float32]) -> float:
    """How little a mask changes with its threshold: the mask at logits above 1 as a share of that above -1.

    Args:
        logits: [H, W]; above 0 is the object.

    Returns:
        0 to 1; 0 for a mask in which nothing is above -1.
    """
    wide = int(np.count_nonzero(logits > -_OFFSET))
    return int(np.count_nonzero(logits > _OFFSET)) / wide if wide else 0.0


@dataclass(frozen=True, slots=True)
class ScoreCurve:
    """The score of one kind of answer.

    Attributes:
        share: of the decoder's estimate in the mixture, 0 to 1; the rest is stability's.
        knots: pairs of mixture and overlap, both rising. Between two the curve is straight, beyond them level.
    """

    share: float
    knots: tuple[tuple[float, float], ...]

    def __post_init__(self) -> None:
        """Refuses what is no such curve.

        Raises:
            ValueError: the share or an overlap leaves 0 to 1, or the knots do not rise.
        """
        pairs = np.array(self.knots, np.float64)
        if (
            not 0 <= self.share <= 1
            or pairs.ndim != _PAIR
            or pairs.shape[1] != _PAIR
            or not np.isfinite(pairs).all()
            or (np.diff(pairs[:, 0]) <= 0).any()
            or (np.diff(pairs[:, 1]) < 0).any()
            or ((pairs[:, 1] < 0) | (pairs[:, 1] > 1)).any()
        ):
            raise ValueError(f"no rising curve within 0 to 1: {self.share}, {self.knots}")

    def score(self, estimate: float, stability: float) -> float:
        """The overlap to be expected, 0 to 1.

        Args:
            estimate: what the decoder says, about 0 to 1.
            stability: of the mask, see there.
        """
        mixtures, overlaps = zip(*self.knots, strict=True)
        return float(np.interp(_mixture(self.share, estimate, stability), mixtures, overlaps))


Calibration: TypeAlias = "Mapping[AnswerKind, ScoreCurve]"
"""The curves of a model. An answer of a kind without one has the decoder's estimate for its score."""


def kind_of(prompt: Prompt) -> AnswerKind:
    """The kind of the answer to a prompt."""
    if not prompt.points:
        return "box"
    return "click" if prompt.is_single_click else "clicks"


def fit(estimates: Sequence[float], stabilities: Sequence[float], overlaps: Sequence[float]) -> ScoreCurve:
    """The curve through measured answers of one kind.

    The share is the one whose mixture correlates best with the overlap. The answers are then put into groups of equal
    size by their mixtures, and the groups' means made to rise by pooling neighbours that do not (pool adjacent
    violators). Groups keep a few answers from bending the curve.

    Args:
        estimates: of each answer, what the decoder said.
        stabilities: of each answer's mask.
        overlaps: of each answer, its intersection over union with what is drawn.

    Raises:
        ValueError: fewer answers than ten.
    """
    true = np.asarray(overlaps, np.float64)
    if true.size < _MIN_PER_KNOT:
        raise ValueError(f"a curve needs {_MIN_PER_KNOT} measured answers, and there are {true.size}")
    mixtures = {
        share: np.array([_mixture(share, *each) for each in zip(estimates, stabilities, strict=True)])
        for share in SHARES
    }
    share = max(SHARES, key=lambda share: _correlation(mixtures[share], true))
    return ScoreCurve(share, _rising(mixtures[share], true))


def to_json(calibration: Calibration) -> dict[str, Any]:
    """As plain JSON values."""
    return {
        kind: {"share": curve.share, "knots": [list(pair) for pair in curve.knots]}
        for kind, curve in calibration.items()
    }


def from_json(value: Any) -> dict[AnswerKind, ScoreCurve]:
    """What `to_json` made.

    Raises:
        ValueError: it is something else.
    """
    try:
        found = {
            kind: ScoreCurve(float(said["share"]), tuple((float(x), float(y)) for x, y in said["knots"]))
            for kind, said in value.items()
        }
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ValueError(f"no calibration: {error}") from error
    if not set(found) <= set(ANSWER_KINDS):
        raise ValueError(f"a calibration of unknown answers: {', '.join(map(str, found))}")
    return found


def _mixture(share: float, estimate: float, stability: float) -> float:
    return share * min(max(estimate, 0.0), 1.0) + (1 - share) * stability


def _correlation(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    if one.std() == 0 or other.std() == 0:
        return -1.0
    return float(np.corrcoef(one, other)[0, 1])


def _rising(mixtures: NDArray[np.float64], overlaps: NDArray[np.float64]) -> tuple[tuple[float, float], ...]:
    order = np.argsort(mixtures, kind="stable")
    blocks: list[tuple[float, float, int]] = []
    for group in np.array_split(order, min(_MAX_KNOTS, order.size // _MIN_PER_KNOT)):
        blocks.append((float(mixtures[group].mean()), float(overlaps[group].mean()), group.size))
        while len(blocks) > 1 and (blocks[-2][1] >= blocks[-1][1] or blocks[-2][0] >= blocks[-1][0]):
            last, before = blocks.pop(), blocks.pop()
            count = before[2] + last[2]
            mixture, overlap = (
                (one * before[2] + other * last[2]) / count for one, other in zip(before[:2], last[:2], strict=True)
            )
            blocks.append((mixture, overlap, count))
    return tuple((mixture, min(max(overlap, 0.0), 1.0)) for mixture, overlap, _ in blocks)
