"""The evaluation of a model on the rows of a manifest."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from wsisam_server.learning.datasets import ImageSlide, crude_outline, load
from wsisam_server.learning.evaluation.jitter import other_hands
from wsisam_server.learning.evaluation.measures import measure
from wsisam_server.learning.evaluation.object_sample import sample_objects
from wsisam_server.learning.evaluation.patches import Patches
from wsisam_server.learning.evaluation.protocol import Trial, cases, view
from wsisam_server.learning.evaluation.report import EvaluationReport, Scores
from wsisam_server.learning.evaluation.variants import variants_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from wsisam_model import WsiSam
    from wsisam_server.learning.datasets import ObjectMask, Row, Sample
    from wsisam_server.learning.evaluation.journal import Journal
    from wsisam_server.learning.evaluation.measures import Measured
    from wsisam_server.learning.evaluation.number_types import Kept
    from wsisam_server.learning.evaluation.options import EvaluationOptions
    from wsisam_server.learning.evaluation.protocol import Case
    from wsisam_server.learning.evaluation.variants import Variant

    Progress = Callable[[int, int], None]
    AnswerListener = Callable[[Row, Sample, ObjectMask, Case], None]


def evaluate(
    model: WsiSam,
    rows: Sequence[Row],
    options: EvaluationOptions,
    *,
    progress: Progress | None = None,
    listener: AnswerListener | None = None,
    journal: Journal | Kept | None = None,
) -> EvaluationReport:
    """Measures a model on drawn objects. The same arguments give the same report on the same machine.

    Args:
        model: what to measure.
        rows: of one manifest, at least one.
        options: the conditions.
        progress: called with the objects done and the objects to do, first with none done.
        listener: called with each reported answer and what it belongs to, to draw it for example.
        journal: objects in it are not measured again, and the listener is not called for them. New ones are added.

    Raises:
        DatasetError: a row cannot be used, or there is no object in any of them.
    """
    found = sample_objects(
        rows, max_objects=options.max_objects, seed=options.seed, connected_parts=options.connected_parts
    )
    variants = variants_of(model, against_sam=options.against_sam)
    base = model.frozen_base() if "sam" in variants else None
    scores = Scores()
    done = 0
    if progress is not None:
        progress(done, found.count)
    for row, items in found.drawn:
        known = {item.label: journal.get(row.line, item.label) for item in items} if journal is not None else {}
        sample = load(row, connected_parts=options.connected_parts)
        slide = ImageSlide(sample.image, sample.mpp)
        for item in items:
            answers = known.get(item.label)
            if answers is not None:
                scores.add(answers)
                done += 1
                continue
            # An object's viewport must not depend on which others were drawn.
            viewport = view(item, options.context, np.random.default_rng((options.seed, row.line, item.label)))
            crude = crude_outline(
                item.box, sample.labels.shape[::-1], np.random.default_rng((options.seed, row.line, item.label, 1))
            )
            others = other_hands(
                sample, item, options.jitter, np.random.default_rng((options.seed, row.line, item.label, 2))
            )
            trial = Trial(
                model,
                Patches(model, slide),
                sample,
                item,
                viewport,
                options.feedback,
                options.finish,
                crude,
                others,
            )
            of_sam = (
                trial if base is None or base is model else replace(trial, model=base, patches=Patches(base, slide))
            )
            trials = {variant: of_sam if variant == "sam" else trial for variant in variants}
            measured = _measured(trials, options, None if listener is None else partial(listener, row))
            scores.add(measured)
            if journal is not None:
                journal.add(row.line, item.label, measured)
            done += 1
            if progress is not None:
                progress(done, found.count)
    return scores.report(model.name, model.weights_hash, options, variants, found, len(rows))


def _measured(
    trials: Mapping[Variant, Trial],
    options: EvaluationOptions,
    listener: Callable[[Sample, ObjectMask, Case], None] | None,
) -> dict[Variant, list[Measured]]:
    """The measures of each answer on one object, by variant."""
    found: dict[Variant, list[Measured]] = {variant: [] for variant in trials}
    for variant, trial in trials.items():
        for case in cases(trial, variant, options):
            found[variant].append(measure(case))
            if listener is not None and case.name in options.prompts:
                listener(trial.sample, trial.item, case)
    return found
