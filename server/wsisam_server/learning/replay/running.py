"""A replay: select, ask again, compare, and save if requested."""

from __future__ import annotations

import uuid
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from wsisam_server.annotations.formats import provenance
from wsisam_server.annotations.store import Draft, RevisionConflictError, SlideRecord, canonical, listed
from wsisam_server.learning.replay import selection
from wsisam_server.learning.replay.answering import RefusedError
from wsisam_server.learning.replay.report import Comparison, ReplayReport, dice
from wsisam_server.learning.replay.selection import SkipReason

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from wsisam_server.annotations.store import Annotation, AnnotationFilter, Store
    from wsisam_server.learning.replay.answering import Answerer, ReplayedOutline

PAGE: Final = 1000


def replay(
    store: Store,
    annotation_filter: AnnotationFilter,
    answerer: Answerer,
    *,
    imported: bool = False,
    save: bool = False,
    progress: Callable[[int, int], None],
) -> ReplayReport:
    """Asks stored prompts again.

    Args:
        store: holds the annotations.
        annotation_filter: which.
        answerer: the other model.
        imported: take outlines that came from QuPath or a file, too.
        save: keep the new outlines, as revisions by the author "replay:" and the model's name. Class, name, colour and
            the rest stay; measurements go, as they do in QuPath when an outline changes. Each is saved by itself, to
            the revision that was read: a run that was cut off is gone on with, and what was changed meanwhile stays.
        progress: is called with how many of how many are done.

    Raises:
        WsiSamServerError: of the store.
    """
    report = ReplayReport(answerer.model, answerer.weights_hash)
    chosen = []
    for one in listed(store, annotation_filter)[0].values():
        why = selection.at_sight(one, answerer.weights_hash)
        if why is None:
            chosen.append(one)
        else:
            report.left_alone[one.id] = why
    slides = {record.slide_id: record for record in store.slides({one.content.slide_id for one in chosen})}
    for done, one in enumerate(chosen):
        progress(done, len(chosen))
        why = selection.by_history(_history(store, one), imported=imported)
        if why is not None:
            report.left_alone[one.id] = why
            continue
        try:
            slide = slides.get(one.content.slide_id, SlideRecord(one.content.slide_id))
            _compare(store, one, _asked(answerer, slide, one), report, save=save)
        except RefusedError as error:
            report.left_alone[one.id] = SkipReason.REFUSED
            report.problems[one.id] = str(error)
    progress(len(chosen), len(chosen))
    return report


def _history(store: Store, annotation: Annotation) -> Sequence[Annotation]:
    """Up to the revision that was listed."""
    found: list[Annotation] = []
    after = 0
    while True:
        page = store.history(annotation.id, after=after, limit=PAGE)
        found += (one for one in page.annotations if one.revision <= annotation.revision)
        after = page.revision
        if page.complete or after >= annotation.revision:
            return found


def _asked(answerer: Answerer, slide: SlideRecord, one: Annotation) -> ReplayedOutline:
    made = selection.origin(one.content)
    assert made is not None
    assert made.prompt is not None
    return answerer.answer(slide, made.prompt, None if made.field is None else made.field.high, made.levels)


def _compare(store: Store, one: Annotation, replayed: ReplayedOutline, report: ReplayReport, *, save: bool) -> None:
    if replayed.shape.is_empty:
        report.left_alone[one.id] = SkipReason.NOTHING
        return
    compared = Comparison(one, replayed, dice(one.content.shape, replayed.shape))
    if save:
        try:
            compared = replace(compared, saved=_save(store, one, replayed, report))
        except RevisionConflictError:
            report.left_alone[one.id] = SkipReason.MEANWHILE
            return
    report.compared.append(compared)


def _save(store: Store, one: Annotation, replayed: ReplayedOutline, report: ReplayReport) -> int:
    content = replace(
        one.content,
        shape=canonical(replayed.shape),
        measurements={},
        metadata=provenance.without(one.content.metadata),
        provenance=replayed.made,
    )
    draft = Draft(one.id, content, one.revision)
    (saved,) = store.save([draft], author=f"replay:{report.model}", request_id=uuid.uuid4().hex)
    return saved.revision
