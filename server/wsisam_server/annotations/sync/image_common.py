"""What an image and the store have in common while the image is synced: as the record says, and as it is to say."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from wsisam_server.annotations.sync.common_record import Common, CommonRecord
from wsisam_server.annotations.sync.in_common import arrived, held

if TYPE_CHECKING:
    import uuid
    from collections.abc import Callable, Collection, Mapping

    from wsisam_server.annotations.sync.common_record import CommonRecords
    from wsisam_server.annotations.sync.plan import Base
    from wsisam_server.annotations.sync.project import Contents


class ImageCommon:
    """The record of one image with one store.

    Args:
        records: of the project.
        image_id: the image's number.
        slide_id: of the slide that it shows.
        store_id: the store's identity.

    Attributes:
        now: as it was written last, or read.
        bases: what to compare with.
        missing: what the image lacks without it being known that it was deleted there.
    """

    def __init__(self, records: CommonRecords, image_id: str, slide_id: str, store_id: str) -> None:
        self._records = records
        self._image_id = image_id
        self._slide_id = slide_id
        self._store_id = store_id
        self._record = CommonRecord(slide_id)
        self._name: str | None = None
        self.now = Common()
        self.bases: dict[uuid.UUID, Base] = {}
        self.missing: set[uuid.UUID] = set()

    def read(
        self, contents: Contents, find: Callable[[uuid.UUID, str], int | None], *, trusted: bool, expected: bool
    ) -> bool:
        """Finds what both sides had in common when the data file was what it was saved from.

        Args:
            contents: the image's.
            find: see `in_common.arrived`.
            trusted: what is remembered of the store still holds.
            expected: something was synced before.

        Returns:
            False where there must be a record and is none that is of this state.
        """
        known = self._records.read(self._image_id, contents.generation)
        known = known if known is not None and known.slide_id == self._slide_id else None
        text, owner = contents.kept_record
        if owner != f"{self._image_id}\n{self._slide_id}":
            text = ""  # copied from another image, together with its data
        if not trusted:
            known, text = None, ""
        old = known is not None and _is_older(contents, known.stores.get(self._store_id, Common()))
        self._record = CommonRecord(self._slide_id) if known is None or old else known
        self._record.with_property(text)
        self._name = contents.generation
        self.now = self._record.stores.setdefault(self._store_id, Common())
        self.now.annotations |= arrived(self.now.sent, find)
        self.bases, self.missing = held(self.now, contents.drawings)
        return not old and (known is not None or bool(text) or not expected)

    def keep(
        self,
        generation: str | None,
        bases: Mapping[uuid.UUID, Base],
        contents: Contents,
        *,
        shown: Callable[[], bool],
        sent: Mapping[uuid.UUID, str] | None = None,
        noted: Collection[uuid.UUID] = (),
    ) -> None:
        """Writes the record of the image's state.

        Args:
            generation: the name in its data file.
            bases: what both sides have in common.
            contents: the state.
            shown: called where it matters: whether a QuPath may have an older state of that name in memory.
            sent: what is about to go to the store; None when all has gone.
            noted: of what that QuPath may not hold.
        """
        new, self._name = generation != self._name, generation
        known = dict(self.now.doubtful)
        late = {} if new else {one: self.now.annotations.get(one) for one in noted}
        late |= {} if new else {one: base for one, base in self.now.annotations.items() if one not in bases}
        if late and shown():
            known = late | known
        self.now = Common(
            {one: bases[one] for one in sorted(bases)},
            settling=self.now.settling if sent is not None else {},
            data=contents.data,
            sent=dict(sent or {}),
            doubtful={
                one: base
                for one, base in known.items()
                if (one in self.missing and one in bases)
                or (not new and (one in contents.drawings or (one not in bases and base is not None)))
            },
        )
        self._write(generation)

    def keep_doubtful(self, generation: str | None, first: Common, sent: set[uuid.UUID]) -> None:
        """Notes in the record of the name that the file had what went to the store from it under another one.

        A QuPath that had the image open may save under that name, with or without it.

        Args:
            generation: that name.
            first: what its record said.
            sent: what went.
        """
        late = {one: self.now.annotations[one] for one in sent if one in self.now.annotations}
        record = self._records.read(self._image_id, generation)
        if not late or record is None or record.slide_id != self._slide_id:
            return
        doubtful = {one: first.annotations.get(one) for one in late} | first.doubtful
        common = replace(first, annotations=first.annotations | late, sent={}, doubtful=doubtful)
        self._records.write(self._image_id, generation, record.with_store(self._store_id, common))

    def intend(self, settled: Mapping[uuid.UUID, int], generation: str | None) -> None:
        """Notes with which versions conflicts are about to be settled: a sync that is cut off is gone on with."""
        self.now.settling.update(settled)
        self._write(generation)

    def state(self) -> tuple[Common, CommonRecord, str | None]:
        """What `back_to` takes."""
        return self.now, self._record, self._name

    def back_to(self, state: tuple[Common, CommonRecord, str | None]) -> None:
        """As it was: what was written since is of a name that no data file has."""
        self.now, self._record, self._name = state

    def prune(self, needed: Collection[str | None]) -> None:
        """Deletes old records, none of these names."""
        self._records.prune(self._image_id, needed)

    def _write(self, generation: str | None) -> None:
        self._record = self._record.with_store(self._store_id, self.now)
        self._records.write(self._image_id, generation, self._record)


def _is_older(contents: Contents, known: Common) -> bool:
    """Whether a data file is older than the one that was last compared, as after it was restored from a backup."""
    if known.data is None or (contents.data is not None and contents.data.sha256 == known.data.sha256):
        return False
    return contents.data is None or contents.data.modified < known.data.modified
