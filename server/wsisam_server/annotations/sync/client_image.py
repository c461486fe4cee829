"""One image that a client has in memory, such as a running QuPath: planned as any other, without its data file.

The client keeps the record of the last sync, and says by it what changed in the image. Only that is sent in full. The
store's part is done here, some annotations at a time, so that no image is too large. What the client is to do, and what
it is to note, goes back.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from itertools import islice
from typing import TYPE_CHECKING, Final, TypeVar

from wsisam_server.annotations.sync.in_common import agreed
from wsisam_server.annotations.sync.likeness import alike
from wsisam_server.annotations.sync.model import Drawing, Image
from wsisam_server.annotations.sync.plan import ALL_GONE, Base, Case, Direction, Resolution, Verb, plan
from wsisam_server.annotations.sync.steps import NoListener
from wsisam_server.annotations.sync.store_side import StoreSide
from wsisam_server.core.errors import Reason, WsiSamServerError

if TYPE_CHECKING:
    import uuid
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from wsisam_server.annotations.store import Annotation, SlideRecord, Store
    from wsisam_server.annotations.sync.plan import Action, Plan
    from wsisam_server.annotations.sync.store_side import Applied, Refusal

_UNKNOWN: Final = ""
"""The digest of a version of which only its contents are known."""

_AT_ONCE: Final = 500
"""Annotations whose contents are held at once."""

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class ClientImage:
    """What a client says of an image. Revisions are those of the last sync.

    Attributes:
        slide: which it shows.
        changed: annotations that are new (revision 0), or other than at the last sync.
        drawings: called: all of these, some at a time.
        unchanged: those that are as they were.
        missing: those that are not in the image any more.
        excluded: those of which nothing more is known.
        store_id: of the store that the revisions are about.
    """

    slide: SlideRecord
    changed: Mapping[uuid.UUID, int] = field(default_factory=dict)
    drawings: Callable[[], Iterable[Mapping[uuid.UUID, Drawing]]] = tuple
    unchanged: Mapping[uuid.UUID, int] = field(default_factory=dict)
    missing: Mapping[uuid.UUID, int] = field(default_factory=dict)
    excluded: frozenset[uuid.UUID] = frozenset()
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
    """What became of some of its annotations.

    Attributes:
        put: what the client is to put into the image, and the store's revision of it.
        remove: what it is to take out.
        synced: revisions of what both sides have in common once that is done, as far as the client may not know it.
        forgotten: what neither side has any more.
        actions: what was done, waits, or is in conflict.
        refused: what the store did not take, and why.
        unchanged: how many are the same on both sides.
        gone: what both sides had when they were last synced, and neither has now.
    """

    put: dict[uuid.UUID, tuple[Drawing, int]] = field(default_factory=dict)
    remove: list[uuid.UUID] = field(default_factory=list)
    synced: dict[uuid.UUID, int] = field(default_factory=dict)
    forgotten: list[uuid.UUID] = field(default_factory=list)
    actions: list[Action] = field(default_factory=list)
    refused: dict[uuid.UUID, Refusal | str] = field(default_factory=dict)
    unchanged: int = 0
    gone: list[Action] = field(default_factory=list)


def merge(store: Store, image: ClientImage, options: SyncOptions) -> Iterator[Merged]:
    """Plans the sync of an image, and does the store's part of it.

    Yields:
        What became of it, part by part: each annotation is in one of them.

    Raises:
        WsiSamServerError: INVALID_FIELD: the store knows the slide with another size. SYNC_BASE_UNKNOWN: the store does
            not have what is unchanged. Else of the store. What was done until then stays, and the next sync goes on
            from there.
    """
    _refuse_other_size(store, image.slide)
    yield from _Merging(store, image, options).parts()


def _refuse_other_size(store: Store, slide: SlideRecord) -> None:
    """Images of different size are never one slide: two computers have different files at one path."""
    for known in store.slides([slide.slide_id]):
        if None not in {known.size, slide.size} and known.size != slide.size:
            assert known.size is not None
            assert slide.size is not None
            raise WsiSamServerError(
                Reason.INVALID_FIELD,
                field="start.slide",
                problem=f"the store knows this slide with {known.size.width} x {known.size.height} pixels, and the "
                f"image has {slide.size.width} x {slide.size.height}: it is another one",
            )


class _Merging:
    def __init__(self, store: Store, image: ClientImage, options: SyncOptions) -> None:
        self._side = StoreSide(store, options.author, options.project, NoListener())
        self._image = image
        self._options = options
        self._standings, head = self._side.standings(image.slide.slide_id)
        newest = max(max(ones.values(), default=0) for ones in (image.changed, image.unchanged, image.missing))
        # A store that was restored from a backup, or another one, knows nothing of what was synced.
        self._trusted = image.store_id == store.identity and newest <= head
        if image.unchanged and not self._trusted:
            raise WsiSamServerError(Reason.SYNC_BASE_UNKNOWN)
        missing = image.missing if self._trusted else {}
        none_left = not image.unchanged and not any(image.changed.values())
        self._all_gone = len(missing) if none_left and len(missing) >= ALL_GONE else 0

    def parts(self) -> Iterator[Merged]:
        image, standings = self._image, self._standings
        moved = [one for one, revision in image.unchanged.items() if not self._is_settled(one, revision)]
        settled = len(image.unchanged) - len(moved)
        for ones in _chunks(moved):
            yield self._part(self._as_it_was(one, stored) for one, stored in self._contents(ones))
        for drawings in image.drawings():
            yield self._of_changed(drawings)
        for ones in _chunks(image.missing if self._trusted else ()):
            yield self._part(
                self._with_base(Case(one, None, stored, Base(image.missing[one], _UNKNOWN)))
                for one, stored in self._contents(ones)
            )
        named = (image.unchanged, image.changed, image.missing if self._trusted else (), image.excluded)
        others = [
            one for one, known in standings.items() if not known.deleted and not any(one in ones for ones in named)
        ]
        for ones in _chunks(others):
            yield self._part(Case(one, None, stored) for one, stored in self._contents(ones) if stored is not None)
        yield Merged(unchanged=settled)

    def _is_settled(self, one: uuid.UUID, revision: int) -> bool:
        """Whether neither side has touched an annotation since the last sync: most of a large image."""
        known = self._standings.get(one)
        if known is None or (known.deleted and known.revision == revision):
            raise WsiSamServerError(Reason.SYNC_BASE_UNKNOWN)
        return known.revision == revision

    def _contents(self, ones: Iterable[uuid.UUID]) -> Iterator[tuple[uuid.UUID, Annotation | None]]:
        """Annotations as the store has them, None for what it does not know."""
        wanted = list(ones)
        found: dict[uuid.UUID, Annotation] = {}
        for read in self._side.contents([one for one in wanted if one in self._standings]):
            found.update((one.id, one) for one in read)
        return ((one, found.get(one)) for one in wanted)

    def _as_it_was(self, one: uuid.UUID, stored: Annotation | None) -> Case:
        """Of what only the store has touched: the image holds what the store had then, but for rounding."""
        revision = self._image.unchanged[one]
        drawing = self._side.drawing(one, revision)
        if drawing is None or stored is None:
            raise WsiSamServerError(Reason.SYNC_BASE_UNKNOWN)
        return Case(one, drawing, stored, Base(revision, drawing.digest, drawing))

    def _of_changed(self, drawings: Mapping[uuid.UUID, Drawing]) -> Merged:
        revisions = self._image.changed if self._trusted else {}
        stored = {one: annotation for one, annotation in self._contents(drawings) if annotation is not None}
        same = _alike(drawings, stored, revisions)
        merged = self._part(
            self._with_base(Case(one, drawing, stored.get(one), Base(revision, _UNKNOWN) if revision else None))
            for one, drawing in drawings.items()
            if one not in same
            for revision in (revisions.get(one, 0),)
        )
        merged.unchanged += len(same)
        if not self._options.dry_run:
            merged.synced.update((one, stored[one].revision) for one in same)
        return merged

    def _with_base(self, case: Case) -> Case:
        if case.base is None or not case.needs_base:
            return case
        return replace(case, base=replace(case.base, drawing=self._side.drawing(case.id, case.base.revision)))

    def _part(self, cases: Iterable[Case]) -> Merged:
        options, slide = self._options, self._image.slide
        planned = plan(cases, options.direction, options.resolution, all_gone=self._all_gone)
        merged = Merged()
        for action in planned.actions:
            if action.verb is not Verb.UNCHANGED:
                merged.actions.append(action)
            elif action.case.project is not None:
                merged.unchanged += 1
            elif action.gone:
                merged.gone.append(action)
        if not options.dry_run:
            applied = self._side.apply(planned.actions, slide, Image("", slide.slide_id, slide.uris))
            _note(planned, applied, merged)
        return merged


def _note(planned: Plan, applied: Applied, merged: Merged) -> None:
    """What the client is to do, and what both sides then have in common."""
    merged.refused = applied.refused
    for one, revision in agreed(planned.actions, applied):
        if revision is None:
            merged.forgotten.append(one)
        else:
            merged.synced[one] = revision
    for action in planned.actions:
        if not (action.in_project and action.to_do) or action.id in applied.refused:
            continue
        if action.target is None:
            merged.remove.append(action.id)
        else:
            merged.put[action.id] = action.target, merged.synced[action.id]


def _chunks(items: Iterable[Item]) -> Iterator[list[Item]]:
    left = iter(items)
    while some := list(islice(left, _AT_ONCE)):
        yield some


def _alike(
    drawings: Mapping[uuid.UUID, Drawing], stored: Mapping[uuid.UUID, Annotation], revisions: Mapping[uuid.UUID, int]
) -> set[uuid.UUID]:
    """Which annotations neither side has touched, although they were sent in full: as QuPath has rounded them."""
    synced = [
        one
        for one, annotation in stored.items()
        if not annotation.deleted and revisions.get(one) == annotation.revision
    ]
    here, there = [drawings[one] for one in synced], [Drawing.of(stored[one].content) for one in synced]
    return {one for one, is_alike in zip(synced, alike(here, there), strict=True) if is_alike}
