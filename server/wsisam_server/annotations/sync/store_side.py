"""The store's side of a sync: what it has on a slide, and changes to it, each refused or done."""

from __future__ import annotations

import time
import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, TypeVar

import shapely

from wsisam_server.annotations.store import AnnotationFilter, Draft, RevisionConflictError, Target, listed
from wsisam_server.annotations.sync.model import Drawing
from wsisam_server.annotations.sync.steps import Step
from wsisam_server.core.batches import batched
from wsisam_server.core.errors import Reason, WsiSamServerError
from wsisam_server.core.settings import MIB

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from wsisam_server.annotations.store import Annotation, Conflict, Saved, SlideRecord, Standing, Store
    from wsisam_server.annotations.sync.model import Image
    from wsisam_server.annotations.sync.plan import Action
    from wsisam_server.annotations.sync.steps import ProgressListener

_BATCH: Final = 1000
_BATCH_BYTES: Final = 4 * MIB
"""Of one request, about: messages may have 16 MiB."""

_READ: Final = 250
"""Contents that are read at once."""

_VERTEX_BYTES: Final = 16

_TRIES: Final = 4
_PATIENCE: Final = (Reason.STORE_BUSY, Reason.STORE_UNAVAILABLE, Reason.STARTING, Reason.SHUTTING_DOWN)

_MEANWHILE: Final = "it was changed in the store meanwhile; sync again"
_ELSEWHERE: Final = (
    "the store has an annotation with this id on another slide ({slide}), as when objects are copied with their ids. "
    "It stays as it is in the image, and is not synced. To sync it, give it an id of its own: select it in QuPath and "
    "run getSelectedObject().refreshID() in the script editor"
)
_SHOWN_ID: Final = 12
"""Characters of a slide's id that tell it from others."""

Change = TypeVar("Change", Draft, Target)


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why the store does not take a change; `str` gives the text for people."""

    reason: Reason
    text: str

    def __str__(self) -> str:
        return self.text


@dataclass(slots=True)
class Applied:
    """What became of changes.

    Attributes:
        revisions: of what was changed, by annotation.
        refused: why the others were not, by annotation.
    """

    revisions: dict[uuid.UUID, int] = field(default_factory=dict)
    refused: dict[uuid.UUID, Refusal | str] = field(default_factory=dict)


class StoreSide:
    """The store as a sync sees it.

    Args:
        author: of all revisions.
        project: what new annotations belong to.
        listener: hears of each step.
    """

    def __init__(self, store: Store, author: str, project: str, listener: ProgressListener) -> None:
        self._store = store
        self._author = author
        self._project = project
        self._listener = listener

    def on_slide(self, slide_id: str, after: int = 0) -> tuple[dict[uuid.UUID, Annotation], int]:
        """Everything on a slide, deleted or not, that was changed after a revision; and up to which all is known."""
        return listed(self._store, AnnotationFilter(slide_id=slide_id), after=after, deleted=True)

    def standings(self, slide_id: str) -> tuple[dict[uuid.UUID, Standing], int]:
        """Everything on a slide, deleted or not, without contents; and up to which revision all is known."""
        return self._store.standings(slide_id)

    def contents(self, annotation_ids: Sequence[uuid.UUID]) -> Iterator[list[Annotation]]:
        """Annotations as they are, some at a time; unknown ones are left out."""
        for start in range(0, len(annotation_ids), _READ):
            yield self._store.some(annotation_ids[start : start + _READ])

    def has_news(self, slide_id: str, after: int) -> bool:
        """Whether anything on a slide was changed after a revision."""
        try:
            page = self._store.listing(AnnotationFilter(slide_id=slide_id), after=after, limit=1, deleted=True)
        except WsiSamServerError as error:
            if error.reason is Reason.REVISION_AHEAD:
                return True
            raise
        return bool(page.annotations)

    def version(self, annotation_id: uuid.UUID, revision: int) -> Annotation | None:
        """An annotation as of a revision; None when the store does not know that."""
        try:
            return self._store.get(annotation_id, revision)
        except WsiSamServerError as error:
            if error.reason is Reason.ANNOTATION_NOT_FOUND:
                return None
            raise

    def revision_of(self, annotation_id: uuid.UUID, digest: str) -> int | None:
        """The last revision of an annotation that says what a digest is of; None when there is none."""
        after, found = 0, None
        try:
            while True:
                page = self._store.history(annotation_id, after=after, limit=_READ)
                for one in page.annotations:
                    if not one.deleted and Drawing.of(one.content).digest == digest:
                        found = one.revision
                if page.complete or not page.annotations:
                    return found
                after = page.annotations[-1].revision
        except WsiSamServerError as error:
            if error.reason is Reason.ANNOTATION_NOT_FOUND:
                return None
            raise

    def drawing(self, annotation_id: uuid.UUID, revision: int) -> Drawing | None:
        """What an annotation said as of a revision; None when the store does not know that, or it was deleted."""
        found = self.version(annotation_id, revision)
        return None if found is None or found.deleted else Drawing.of(found.content)

    def apply(self, actions: Sequence[Action], slide: SlideRecord, image: Image) -> Applied:
        """Makes the changes that a plan asks of the store. What cannot be done does not keep the rest from it."""
        applied = Applied()
        wanted = [action for action in actions if action.in_store and action.to_do]
        self._settle([action for action in wanted if action.discarded is not None], applied, image)
        plain = [action for action in wanted if action.discarded is None]
        drafts = [self._draft(action, slide) for action in plain if action.target is not None]
        for batch in batched(drafts, _size, max_count=_BATCH, max_weight=_BATCH_BYTES):
            self._change(batch, lambda changes, request: self._save(changes, request, slide), applied)
            self._listener.step(Step.SAVED_TO_STORE, image)
        targets = [Target(action.id, _revision(action)) for action in plain if action.target is None]
        for start in range(0, len(targets), _BATCH):
            self._change(targets[start : start + _BATCH], self._delete, applied)
            self._listener.step(Step.DELETED_IN_STORE, image)
        return applied

    def _draft(self, action: Action, slide: SlideRecord) -> Draft:
        assert action.target is not None
        store = action.case.store
        if store is None:
            return Draft(action.id, action.target.new(slide.slide_id, self._project))
        return Draft(action.id, action.target.onto(store.content), store.revision)

    def _settle(self, actions: Sequence[Action], applied: Applied, image: Image) -> None:
        """Puts QuPath's versions into the history, and the store's back on top of them."""
        for action in actions:
            store, discarded = action.case.store, action.discarded
            assert store is not None
            assert discarded is not None
            draft = Draft(action.id, discarded.onto(store.content), store.revision)
            kept = Applied()
            self._change([draft], lambda changes, request: self._save(changes, request, None), kept)
            self._listener.step(Step.KEPT_IN_HISTORY, image)
            applied.refused |= kept.refused
            if action.id in kept.revisions:
                target = Target(action.id, kept.revisions[action.id], None if store.deleted else store.revision)
                self._change([target], self._delete if store.deleted else self._restore, applied)
                self._listener.step(Step.STORE_SETTLED, image)

    def _save(self, drafts: Sequence[Draft], request_id: str, slide: SlideRecord | None) -> list[Saved]:
        slides = () if slide is None else (slide,)
        return self._store.save(drafts, author=self._author, request_id=request_id, slides=slides)

    def _delete(self, targets: Sequence[Target], request_id: str) -> list[Saved]:
        return self._store.delete(targets, author=self._author, request_id=request_id)

    def _restore(self, targets: Sequence[Target], request_id: str) -> list[Saved]:
        return self._store.restore(targets, author=self._author, request_id=request_id)

    def _change(
        self, changes: Sequence[Change], call: Callable[[Sequence[Change], str], list[Saved]], applied: Applied
    ) -> None:
        """Makes changes in one request, again without those that the store refuses, until the rest is done."""
        while changes:
            try:
                for saved in _patiently(call, changes):
                    applied.revisions[saved.id] = saved.revision
            except RevisionConflictError as error:
                refused = {one.stored.id: Refusal(error.reason, _why(one)) for one in error.conflicts}
            except WsiSamServerError as error:
                one = error.details.get("annotation_id")
                if error.reason not in {Reason.INVALID_SHAPE, Reason.INVALID_FIELD} or one is None:
                    raise
                refused = {uuid.UUID(one): Refusal(error.reason, error.public_text)}
            else:
                return
            applied.refused |= refused
            changes = [change for change in changes if change.id not in refused]


def _why(conflict: Conflict) -> str:
    there = conflict.stored.content.slide_id
    if isinstance(conflict.sent, Draft) and conflict.sent.content.slide_id != there:
        return _ELSEWHERE.format(slide=there[:_SHOWN_ID])
    return _MEANWHILE


def _patiently(call: Callable[[Sequence[Change], str], list[Saved]], changes: Sequence[Change]) -> list[Saved]:
    """Repeats a request while the store is busy or away; by its id the store knows it again."""
    request_id = uuid.uuid4().hex
    for attempt in range(1, _TRIES):
        try:
            return call(changes, request_id)
        except WsiSamServerError as error:
            if error.reason not in _PATIENCE:
                raise
            time.sleep(2.0**attempt)
    return call(changes, request_id)


def _revision(action: Action) -> int:
    assert action.case.store is not None
    return action.case.store.revision


def _size(draft: Draft) -> int:
    """Bytes that it takes in a message, about."""
    content = draft.content
    texts = [content.name, *content.measurements, *content.metadata, *content.metadata.values()]
    vertices = int(shapely.get_num_coordinates(content.shape))
    return _VERTEX_BYTES * vertices + sum(len(text.encode()) for text in texts)
