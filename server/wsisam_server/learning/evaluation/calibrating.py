"""Fits the scores of a model to what its answers on drawn objects turn out to be worth."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from wsisam_model.calibration import ANSWER_KINDS, AnswerKind, ScoreCurve, fit, stability
from wsisam_server.learning.datasets import ImageSlide, load
from wsisam_server.learning.evaluation.masks import predicted
from wsisam_server.learning.evaluation.object_sample import sample_objects
from wsisam_server.learning.evaluation.options import BOX, EvaluationOptions
from wsisam_server.learning.evaluation.patches import Patches
from wsisam_server.learning.evaluation.protocol import Trial, cases, view
from wsisam_server.learning.evaluation.scores import interval, iou
from wsisam_server.learning.evaluation.variants import variants_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from wsisam_model import Prediction, SamPrediction, WsiSam
    from wsisam_server.learning.datasets import Row
    from wsisam_server.learning.evaluation.protocol import Case

LAST_CLICK: Final = 5
"""Answers to one click and to each number of clicks up to this are counted."""


class Judged(NamedTuple):
    """One answer: its kind, what is known of it, and what it is worth.

    Attributes:
        estimate: what the decoder says.
        stability: of its mask.
        overlap: its intersection over union with what is drawn.
    """

    kind: AnswerKind
    estimate: float
    stability: float
    overlap: float


def judged(
    model: WsiSam,
    rows: Sequence[Row],
    *,
    max_objects: int | None,
    seed: int,
    context: float = 2.0,
    connected_parts: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> Iterator[Judged]:
    """Asks for objects by a box and by clicks, as `evaluate` does, with masks finished as the server finishes them.

    Args:
        model: to be calibrated; a calibration that it has does not count.
        rows: of one manifest, at least one.
        max_objects: see `EvaluationOptions`.
        seed: see `EvaluationOptions`.
        context: see `EvaluationOptions`.
        connected_parts: see `EvaluationOptions`.
        progress: called with the objects done and the objects to do.

    Raises:
        DatasetError: a row cannot be used, or there is no object in any of them.
    """
    options = EvaluationOptions((BOX, str(LAST_CLICK)), max_objects, seed, context, finish=True)
    variant = variants_of(model, against_sam=False)[-1]
    found = sample_objects(rows, max_objects=max_objects, seed=seed, connected_parts=connected_parts)
    done = 0
    for row, items in found.drawn:
        sample = load(row, connected_parts=connected_parts)
        slide = ImageSlide(sample.image, sample.mpp)
        for item in items:
            viewport = view(item, context, np.random.default_rng((seed, row.line, item.label)))
            patches = Patches(model, slide)
            trial = Trial(model, patches, sample, item, viewport, feedback=True, finish=True, further=True)
            for case in cases(trial, variant, options):
                if case.name != BOX and len(case.prompt.points) < int(case.name):
                    continue  # nothing was wrong any more: the answer before stands for it
                kind: AnswerKind = "box" if case.name == BOX else "click" if case.name == "1" else "clicks"
                yield Judged(kind, case.estimate, case.stability, case.iou)
                yield from map(partial(_candidate, case), case.further)
            done += 1
            if progress is not None:
                progress(done, found.count)


def fitted(answers: Sequence[Judged]) -> dict[AnswerKind, ScoreCurve]:
    """A curve for each kind of answer of which there are some.

    Raises:
        ValueError: of a kind there are fewer than ten.
    """
    curves: dict[AnswerKind, ScoreCurve] = {}
    for kind in ANSWER_KINDS:
        of_kind = [answer for answer in answers if answer.kind == kind]
        if of_kind:
            curves[kind] = fit(*zip(*(answer[1:] for answer in of_kind), strict=True))
    return curves


def ranking_helps(answers: Sequence[Judged], curves: Mapping[AnswerKind, ScoreCurve], seed: int) -> bool:
    """Whether the candidate of the highest score is better than the model's own answer, beyond chance.

    Args:
        answers: as `judged` made them: each first click's answer, then its candidates.
        curves: of the scores.
        seed: of the interval.

    Returns:
        Whether the lower end of the mean gain's 95 % interval is above 0, in IoU.
    """
    gains: list[float] = []
    own = chosen = None
    for answer in answers:
        if answer.kind not in {"click", "candidate"}:
            continue
        score = curves[answer.kind].score(answer.estimate, answer.stability)
        if answer.kind == "click":
            own = chosen = (score, answer.overlap)
            gains.append(0.0)
        elif own is not None and chosen is not None and score > chosen[0]:
            chosen = (score, answer.overlap)
            gains[-1] = chosen[1] - own[1]
    return bool(gains) and interval(gains, seed)[0] > 0


def _candidate(case: Case, one: Prediction | SamPrediction) -> Judged:
    """A further candidate of a first click."""
    overlap = iou(case.truth, predicted(one.logits, case.field.high, case.region))
    return Judged("candidate", one.iou, stability(one.logits), overlap)
