"""Annotations out of files into a store, where some may be already, and some ids may be others'."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote

import click
import shapely

from wsisam_server.annotations.formats import parsed, provenance
from wsisam_server.annotations.store import AnnotationFilter, RevisionConflictError, digest, listed
from wsisam_server.cli.storable import SHOWN, in_words
from wsisam_server.core.batches import batched
from wsisam_server.core.errors import Reason, WsiSamServerError

if TYPE_CHECKING:
    from wsisam_server.annotations.store import Annotation, Draft, SlideRecord, Store
    from wsisam_server.cli.annotation_files import FileEntry

PAGE: Final = 1000

VERTICES: Final = 200_000
"""Of the annotations in one request: 3 MB, as a message."""

_OTHERS: Final = ""
"""In place of the slide of an annotation that is not this user's to see."""


@dataclass(slots=True)
class ImportCounts:
    """What became of the annotations: each is counted once."""

    new: int = 0
    changed: int = 0
    same: int = 0
    left_out: int = 0

    @property
    def saved(self) -> int:
        """Those that the store has now as the files have them."""
        return self.new + self.changed + self.same


class Importer:
    """Saves annotations of one slide.

    Args:
        store: takes them.
        record: the slide.
        author: of the revisions.
        update: whether the file wins where the store has another version.
        new_ids: whether annotations whose ids lie on another slide get ids of their own.
    """

    def __init__(self, store: Store, record: SlideRecord, author: str, *, update: bool, new_ids: bool) -> None:
        self._store = store
        self._record = record
        self._author = author
        self._update = update
        self._new_ids = new_ids
        self._known, _ = listed(store, AnnotationFilter(slide_id=record.slide_id), deleted=True)
        self._elsewhere: dict[uuid.UUID, str] = {}
        self._counts = ImportCounts()

    def save(self, entries: list[FileEntry]) -> ImportCounts:
        """Stores all that can be; says what was left out.

        Raises:
            click.ClickException: the store has other versions, and the file may not win.
            WsiSamServerError: see `Store.save`.
        """
        waiting = [replace(entry, draft=self._as_stored(entry.draft)) for entry in entries]
        self._check_versions(waiting)
        while waiting:
            waiting = self._save_until_refused(waiting)
        return self._counts

    def _save_until_refused(self, entries: list[FileEntry]) -> list[FileEntry]:
        """Stores batch by batch; at one that the store refuses, what is left, with that settled."""
        done = 0
        for batch in batched(entries, _vertices, max_count=PAGE, max_weight=VERTICES):
            drafts = [self._at_revision(entry.draft) for entry in batch]
            try:
                saved = self._store.save(
                    drafts, author=self._author, request_id=uuid.uuid4().hex, slides=[self._record]
                )
            except RevisionConflictError as error:
                self._look_elsewhere(error)
                return self._settled(entries[done:])
            except WsiSamServerError as error:
                return self._without(error, batch) + entries[done + len(batch) :]
            done += len(batch)
            changed = sum(not one.unchanged for one in saved)
            new = sum(one.id not in self._known for one in saved)
            self._counts.new += new
            self._counts.changed += changed - new
            self._counts.same += len(saved) - changed
        return []

    def _at_revision(self, draft: Draft) -> Draft:
        known = self._known.get(draft.id)
        return draft if known is None else replace(draft, expected=known.revision)

    def _look_elsewhere(self, error: RevisionConflictError) -> None:
        """Notes which ids lie on the slides that a conflict speaks of."""
        slides = {one.stored.content.slide_id for one in error.conflicts} - {self._record.slide_id}
        # Asked for once each, whole: one by one, the ids of a copied file would take as many calls as it has.
        new = slides - set(self._elsewhere.values())
        if not new:
            raise error  # changed here, meanwhile
        for slide_id in new:
            there, _ = listed(self._store, AnnotationFilter(slide_id=slide_id), deleted=True)
            self._elsewhere |= dict.fromkeys(there, slide_id)

    def _settled(self, entries: list[FileEntry]) -> list[FileEntry]:
        """Entries without the ids that are taken elsewhere: under new ones, or left out."""
        taken = [entry for entry in entries if entry.draft.id in self._elsewhere]
        if not self._new_ids:
            self._counts.left_out += len(taken)
            slides = sorted({self._elsewhere[entry.draft.id] for entry in taken})
            click.echo(
                f"left out: {len(taken)} annotations whose ids the store has on another slide "
                f"({', '.join(map(self._name, slides[:SHOWN]))}), the first: {taken[0].place}. Give them ids of their "
                "own with --new-ids",
                err=True,
            )
            return [entry for entry in entries if entry.draft.id not in self._elsewhere]
        anew = [self._renamed(entry) if entry.draft.id in self._elsewhere else entry for entry in entries]
        self._check_versions(anew)
        return anew

    def _renamed(self, entry: FileEntry) -> FileEntry:
        entry = entry.under(parsed.replacement_id(self._record.slide_id, entry.draft.id, 0))
        return replace(entry, draft=self._as_stored(entry.draft))

    def _without(self, error: WsiSamServerError, batch: list[FileEntry]) -> list[FileEntry]:
        """A batch without what a server refuses whose limits are others than ours."""
        refused = next((entry for entry in batch if str(entry.draft.id) == error.details.get("annotation_id")), None)
        if refused is not None and error.reason is Reason.ANNOTATION_NOT_FOUND and self._new_ids:
            # An annotation of somebody else, who keeps it to himself; so, it may be, are others of this batch.
            self._elsewhere |= {entry.draft.id: _OTHERS for entry in batch if entry.draft.id not in self._known}
            return self._settled(batch)
        if refused is not None and error.reason is Reason.ANNOTATION_NOT_FOUND:
            raise click.ClickException(
                f"{refused.place}: the store has its id for an annotation that is not yours to see; {self._so_far()}. "
                "Give yours ids of their own with --new-ids"
            ) from error
        if refused is None or error.reason not in {Reason.INVALID_SHAPE, Reason.INVALID_FIELD}:
            raise error
        click.echo(f"left out: {refused.place}: {in_words(error)}", err=True)
        self._counts.left_out += 1
        return [entry for entry in batch if entry is not refused]

    def _check_versions(self, entries: list[FileEntry]) -> None:
        other = [entry for entry in entries if self._differs(entry.draft)]
        if not other or self._update:
            return
        for entry in other[:SHOWN]:
            name = f" {entry.draft.content.name}" if entry.draft.content.name else ""
            click.echo(f"{entry.draft.id}{name}: the store has another version ({entry.place})", err=True)
        raise click.ClickException(
            f"{len(other)} of {len(entries)} annotations are in the store with another content, or were deleted; "
            f"{self._so_far()}. Let the file win with --update"
        )

    def _so_far(self) -> str:
        saved = self._counts.saved
        return f"{saved} others were stored before this was seen" if saved else "nothing was stored"

    def _as_stored(self, draft: Draft) -> Draft:
        """The draft in the words of the store, where these come from an earlier reading of the same file."""
        stored = self._known.get(draft.id)
        if stored is None:
            return draft
        now = provenance.with_levels(stored.content)
        # Nearly all are read as they were; these are compared once, when it is asked what differs.
        if now is stored.content or digest(now) != digest(draft.content):
            return draft
        return replace(draft, content=stored.content)

    def _differs(self, draft: Draft) -> bool:
        stored: Annotation | None = self._known.get(draft.id)
        return stored is not None and (stored.deleted or digest(stored.content) != digest(draft.content))

    def _name(self, slide_id: str) -> str:
        """A slide as people know it: the last part of where it was seen last."""
        uris = [uri for record in self._store.slides({slide_id}) for uri in record.uris]
        return PurePosixPath(unquote(uris[-1]).replace("\\", "/")).name if uris else slide_id


def _vertices(entry: FileEntry) -> int:
    return int(shapely.get_num_coordinates(entry.draft.content.shape))
