"""One image that a client has in memory, such as a running QuPath: planned as any other, without its data file.

The client sends what the image holds now, and which revisions both sides had in common. The store's part is done here;
the client's part is sent back, and the client keeps the new revisions together with the image, so that both share one
fate. There is no digest of the image's version: it is compared with the store's version of the last sync.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from itertools import compress, islice
from operator import attrgetter
from typing import TYPE_CHECKING, Final

from wsisam_server.annotations.store import same_contents
from wsisam_server.annotations.sync.likeness import alike
from wsisam_server.annotations.sync.model import Drawing, Image
from wsisam_server.annotations.sync.plan import Base, Case, Direction, Note, Resolution, Verb, plan
from wsisam_server.annotations.sync.steps import NoListener
from wsisam_server.annotations.sync.store_side import Applied, Refusal, StoreSide
from wsisam_server.core.errors import Reason, WsiSamServerError

if TYPE_CHECKING:
    import uuid
    from collections.abc import Mapping

    from wsisam_server.annotations.store import Annotation, SlideRecord, Standing, Store
    from wsisam_server.annotations.sync.plan import Action

_NO_DIGEST: Final = ""

_COMPARED: Final = 500
"""Annotations that are compared by their digests at once."""


@dataclass(frozen=True, slots=True)
class ClientImage:
    """What a client sends of an image.

    Attributes:
        slide: which it shows.
        drawings: its annotations.
        excluded: those of which nothing more is known.
        revisions: of the annotations that both sides had when they were last synced.
        store_id: of the store that these are about.
    """

    slide: SlideRecord
    drawings: Mapping[uuid.UUID, Drawing]
    excluded: frozenset[uuid.UUID] = frozenset()
    revisions: Mapping[uuid.UUID, int] = field(default_factory=dict)
    store_id: str = ""


@dataclass(frozen=True, slots=True)
class SyncOptions:
    """How it is to be synced; see `plan`."""

    author: str
    project: str = ""
    direction: Direction = Direction.BOTH
    resolution: Resolution = field(default_factory=Resolution)
    dry_run: bool = False


@dataclass(slots=True)
class Merged:
    """What became of it.

    Attributes:
        put: what the client is to put into the image.
        remove: what it is to take out.
        revisions: of what both sides have in common once that is done.
        actions: what was done, waits, or is in conflict.
        refused: what the store did not take, and why.
        unchanged: how many are the same on both sides.
        gone: what both sides had when they were last synced, and neither has now.
    """

    put: dict[uuid.UUID, Drawing] = field(default_factory=dict)
    remove: list[uuid.UUID] = field(default_factory=list)
    revisions: dict[uuid.UUID, int] = field(default_factory=dict)
    actions: list[Action] = field(default_factory=list)
    refused: dict[uuid.UUID, Refusal | str] = field(default_factory=dict)
    unchanged: int = 0
    gone: list[Action] = field(default_factory=list)


def merge(store: Store, image: ClientImage, options: SyncOptions) -> Merged:
    """Plans the sync of an image, and does the store's part of it.

    Raises:
        WsiSamServerError: INVALID_FIELD: the store knows the slide with another size. Else of the store. What was
            done until then stays, and the next sync goes on from there.
    """
    _refuse_other_size(store, image.slide)
    side = StoreSide(store, options.author, options.project, NoListener())
    standings, head = side.standings(image.slide.slide_id)
    trusted = image.store_id == store.identity and max(image.revisions.values(), default=0) <= head
    revisions = dict(image.revisions) if trusted else {}
    cases = []
    settled, stored = _without_a_plan(side, image, revisions, standings)
    open_ones = {**image.drawings, **stored, **revisions}.keys() - image.excluded - settled
    for one in sorted(open_ones, key=attrgetter("int")):
        base = Base(revisions[one], _NO_DIGEST) if one in revisions else None
        case = Case(one, image.drawings.get(one), stored.get(one), base)
        if base is not None and case.needs_base:
            case = replace(case, base=replace(base, drawing=side.drawing(one, base.revision)))
        cases.append(case)
    planned = plan(cases, options.direction, options.resolution)
    same = [action for action in planned.actions if action.verb is Verb.UNCHANGED and action.case.project is not None]
    merged = Merged(revisions=revisions, unchanged=len(same) + len(settled))
    merged.actions = [action for action in planned.actions if action.verb is not Verb.UNCHANGED]
    merged.gone = [action for action in planned.actions if action.gone]
    if options.dry_run:
        merged.revisions = {}
        return merged
    applied = side.apply(planned.actions, image.slide, Image("", image.slide.slide_id, image.slide.uris))
    merged.refused = applied.refused
    for action in planned.actions:
        if action.id not in applied.refused:
            _note(action, merged, applied)
    return merged


def _refuse_other_size(store: Store, slide: SlideRecord) -> None:
    """Images of different size are never one slide: two computers have different files at one path."""
    for known in store.slides([slide.slide_id]):
        if None not in {known.size, slide.size} and known.size != slide.size:
            assert known.size is not None
            assert slide.size is not None
            raise WsiSamServerError(
                Reason.INVALID_FIELD,
                field="slide",
                problem=f"the store knows this slide with {known.size.width} x {known.size.height} pixels, and the "
                f"image has {slide.size.width} x {slide.size.height}: it is another one",
            )


def _without_a_plan(
    side: StoreSide,
    image: ClientImage,
    revisions: Mapping[uuid.UUID, int],
    standings: Mapping[uuid.UUID, Standing],
) -> tuple[set[uuid.UUID], dict[uuid.UUID, Annotation]]:
    """Annotations that need no plan, and those of the store that do, with their contents.

    Neither side has touched the first since the last sync: most of a large image. Contents are read only where the
    digests do not show that, and kept only where the plan needs them. What is deleted, and of which the image never
    heard, needs none, either.
    """
    drawings = image.drawings
    synced = [one for one in drawings if one in standings and revisions.get(one) == standings[one].revision]
    settled: set[uuid.UUID] = set()
    for start in range(0, len(synced), _COMPARED):
        some = synced[start : start + _COMPARED]
        shown = [drawings[one] for one in some]
        equal = same_contents([standings[one] for one in some], image.slide.slide_id, shown)
        settled |= set(compress(some, equal))
        if not any(equal):
            break  # QuPath has rounded them all: their contents tell
    forgotten = {one for one, standing in standings.items() if standing.deleted} - drawings.keys() - revisions.keys()
    told = settled | forgotten | image.excluded
    doubtful = [one for one in standings if one not in told]
    stored: dict[uuid.UUID, Annotation] = {}
    for read in side.contents(doubtful):
        there = {one.id: one for one in read}
        settled |= _alike(drawings, there, revisions)
        stored.update((one, annotation) for one, annotation in there.items() if one not in settled)
    # One of them is left to the plan: an image that still has anything has not lost everything, see there.
    for read in side.contents(list(islice(settled, 1))):
        stored.update((one.id, one) for one in read)
    return settled - stored.keys(), stored


def _alike(
    drawings: Mapping[uuid.UUID, Drawing], stored: Mapping[uuid.UUID, Annotation], revisions: Mapping[uuid.UUID, int]
) -> set[uuid.UUID]:
    """Which annotations neither side has touched: as QuPath has rounded them."""
    synced = [
        one
        for one, annotation in stored.items()
        if one in drawings and not annotation.deleted and revisions.get(one) == annotation.revision
    ]
    here, there = [drawings[one] for one in synced], [Drawing.of(stored[one].content) for one in synced]
    return {one for one, is_alike in zip(synced, alike(here, there), strict=True) if is_alike}


def _note(action: Action, merged: Merged, applied: Applied) -> None:
    """What the client is to do, and what both sides then have in common."""
    if action.held or action.verb is Verb.CONFLICT:
        return
    if action.in_project and action.target is None:
        merged.remove.append(action.id)
    elif action.in_project:
        assert action.target is not None
        merged.put[action.id] = action.target
    gone = action.target is None if action.to_do else action.note is Note.FORGET
    if gone:
        merged.revisions.pop(action.id, None)
    elif action.to_do or action.note is Note.RECORD:
        stored = action.case.store
        merged.revisions[action.id] = applied.revisions.get(action.id, 0 if stored is None else stored.revision)
