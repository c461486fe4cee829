"""The evaluation of a model on the rows of a manifest."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from wsisam_server.datasets import ImageSlide, load
from wsisam_server.evaluation.patches import Patches
from wsisam_server.evaluation.protocol import Trial, cases, view
from wsisam_server.evaluation.report import Report, Scores
from wsisam_server.evaluation.survey import survey
from wsisam_server.evaluation.variants import variants_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from wsisam_model import WsiSam
    from wsisam_server.datasets import ObjectMask, Row, Sample
    from wsisam_server.evaluation.options import Options
    from wsisam_server.evaluation.protocol import Case

    Progress = Callable[[int, int], None]
    Observer = Callable[[Row, Sample, ObjectMask, Case], None]


def evaluate(
    model: WsiSam,
    rows: Sequence[Row],
    options: Options,
    *,
    progress: Progress | None = None,
    observer: Observer | None = None,
) -> Report:
    """Measures a model on drawn objects. The same arguments give the same report on the same machine.

    Args:
        model: what to measure.
        rows: of one manifest, at least one.
        options: the conditions.
        progress: called with the objects done and the objects to do, first with none done.
        observer: sees each answer with where it belongs, to draw it for example.

    Raises:
        DatasetError: a row cannot be used, or there is no object in any of them.
    """
    found = survey(rows, max_objects=options.max_objects, seed=options.seed, connected_parts=options.connected_parts)
    variants = variants_of(model, against_sam=options.against_sam)
    scores = Scores()
    done = 0
    if progress is not None:
        progress(done, found.count)
    for row, items in found.drawn:
        sample = load(row, connected_parts=options.connected_parts)
        slide = ImageSlide(sample.image, sample.mpp)
        for item in items:
            # An object's viewport must not depend on which others were drawn.
            viewport = view(item, options.context, np.random.default_rng((options.seed, row.line, item.label)))
            trial = Trial(model, Patches(model, slide), sample, item, viewport, options.feedback)
            for variant in variants:
                for case in cases(trial, variant, options):
                    scores.add(variant, case.name, case.dice, case.iou)
                    if observer is not None:
                        observer(row, sample, item, case)
            done += 1
            if progress is not None:
                progress(done, found.count)
    return scores.report(model.name, model.weights_hash, options, variants, found, len(rows))
