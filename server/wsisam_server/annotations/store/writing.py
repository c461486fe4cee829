"""The store's changes, in SQL. Each is one transaction, of which no other runs beside it."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Final

import shapely
import sqlalchemy as sa

from wsisam_server.annotations.store import chain, reading, record, rules, slide_rows, tables, validation
from wsisam_server.annotations.store.errors import Conflict, RevisionConflictError
from wsisam_server.annotations.store.model import ChangeKind, Draft, Patch, Saved, Target
from wsisam_server.annotations.store.rules import Verdict
from wsisam_server.annotations.store.shape import to_wkb
from wsisam_server.core.errors import Reason, WsiSamServerError

if TYPE_CHECKING:
    import uuid
    from collections.abc import Collection, Sequence

    from wsisam_server.annotations.store.model import Scope, SlideRecord
    from wsisam_server.core.settings import Limits

REMEMBERED: Final = timedelta(days=30)
"""How long a request id is known."""

SHOWN_CONFLICTS: Final = 100
"""Annotations of one request whose stored version an error carries."""

_WITH_SLIDE: Final = sa.select(*tables.revision.c, tables.slide.c.slide_id).join(
    tables.slide, tables.slide.c.number == tables.revision.c.slide
)

_LOOKED_FOR: Final = ("author", "slide", "project", "class_name", *record.BOUNDS)


@dataclass(frozen=True, slots=True)
class Change:
    """A change that was asked for, ready to be compared with the store.

    Attributes:
        ask: the draft, patch or target as it came.
        kind: what it makes.
        values: the content's columns; of a patch those that it changes; None for a target, whose content lies in the
            store.
        digest: of the values.
    """

    ask: Draft | Patch | Target
    kind: ChangeKind
    values: record.Columns | None = None
    digest: bytes | None = None

    @property
    def to_revision(self) -> int | None:
        """The revision that a target is to be restored to, if it says."""
        return self.ask.revision if isinstance(self.ask, Target) else None

    @property
    def said(self) -> str:
        """All that counts when a request is repeated."""
        what = self.digest.hex() if self.digest is not None else self.to_revision
        return f"{self.kind.value} {self.ask.id} {self.ask.expected} {what}\n"


def saving(drafts: Sequence[Draft | Patch]) -> list[Change]:
    """The changes that drafts and patches, as `validation.drafts` returned them, ask for."""
    contents = [draft.content for draft in drafts]
    shapes = to_wkb([content.shape for content in contents])
    columns = [record.columns(content, wkb) for content, wkb in zip(contents, shapes, strict=True)]
    return [_saving(draft, values) for draft, values in zip(drafts, columns, strict=True)]


def _saving(draft: Draft | Patch, values: record.Columns) -> Change:
    digest = record.digest(values)
    if isinstance(draft, Draft):
        return Change(draft, ChangeKind.SAVED, values, digest)
    fields = sorted(draft.fields)
    named = {name: values[name] for field in fields for name in record.FIELD_COLUMNS[field]}
    if draft.slide_id:
        named["slide_id"] = draft.slide_id
    # Which fields are named counts, too: to clear a name is not to leave it.
    digest = hashlib.sha256(digest + ",".join(fields).encode()).digest()
    return Change(draft, ChangeKind.SAVED, named, digest)


@dataclass(frozen=True, slots=True)
class _Current:
    """An annotation's rows as they are."""

    head: rules.Head
    slide: str
    project: str
    created: int
    creator: str


@dataclass(frozen=True, slots=True)
class _New:
    """A revision to be added."""

    change: Change
    values: record.Columns
    digest: bytes
    current: _Current | None


def apply(
    connection: sa.Connection,
    changes: Sequence[Change],
    limits: Limits,
    *,
    author: str,
    request_id: str,
    slides: Collection[SlideRecord] = (),
    scope: Scope | None = None,
    validate_only: bool = False,
) -> list[Saved]:
    """Makes all changes, or none; within a scope, if one is given. With `validate_only` it says what it would make.

    Raises:
        RevisionConflictError, WsiSamServerError: see `Store.save` and `SqlStore.within`.
    """
    # The lock that makes this the only writer, also on PostgreSQL.
    latest: int = connection.execute(sa.select(tables.store.c.revision).with_for_update()).scalar_one()
    if validate_only:
        answers, new = _decided(connection, changes, latest, scope, limits)
        before = {entry.change.ask.id: entry.current.head.revision if entry.current else 0 for entry in new}
        return [replace(answer, revision=before.get(answer.id, answer.revision)) for answer in answers]
    fingerprint = hashlib.sha256((author + "\0" + "".join(change.said for change in changes)).encode()).digest()
    answered = _answered(connection, request_id, fingerprint, changes)
    if answered is not None:
        return answered
    now = reading.from_time(datetime.now(timezone.utc))
    answers, new = _decided(connection, changes, latest, scope, limits)
    numbers = slide_rows.note(connection, slides, {entry.values["slide_id"] for entry in new})
    _add(connection, new, numbers, author, now, latest)
    if new:
        connection.execute(sa.update(tables.store).values(revision=latest + len(new)))
    _remember(connection, request_id, fingerprint, answers, now)
    return answers


def _answered(
    connection: sa.Connection, request_id: str, fingerprint: bytes, changes: Sequence[Change]
) -> list[Saved] | None:
    """What a repeated request was answered before."""
    row = connection.execute(sa.select(tables.request).where(tables.request.c.request_id == request_id)).one_or_none()
    if row is None:
        return None
    if row.fingerprint != fingerprint:
        raise WsiSamServerError(Reason.REQUEST_ID_REUSED, request_id=request_id)
    return [
        Saved(change.ask.id, revision, unchanged=bool(unchanged))
        for change, (revision, unchanged) in zip(changes, json.loads(row.answer), strict=True)
    ]


def _remember(connection: sa.Connection, request_id: str, fingerprint: bytes, answers: list[Saved], now: int) -> None:
    forgotten = now - REMEMBERED // timedelta(microseconds=1)
    connection.execute(sa.delete(tables.request).where(tables.request.c.at < forgotten))
    answer = json.dumps([[saved.revision, int(saved.unchanged)] for saved in answers], separators=(",", ":"))
    row = {"request_id": request_id, "fingerprint": fingerprint, "answer": answer, "at": now}
    checksum = chain.of_request(request_id, fingerprint, answer, now)
    connection.execute(sa.insert(tables.request).values(**row, checksum=checksum))


def _decided(
    connection: sa.Connection, changes: Sequence[Change], latest: int, scope: Scope | None, limits: Limits
) -> tuple[list[Saved], list[_New]]:
    """The answers, and the revisions to be added for them, numbered from `latest` + 1 in order."""
    current = _current(connection, changes)
    answers: list[Saved] = []
    new: list[_New] = []
    conflicts: list[Change] = []
    for change in changes:
        known = current.get(change.ask.id)
        if scope is not None and known is not None and not scope.holds(known.creator, known.project):
            raise WsiSamServerError(Reason.ANNOTATION_NOT_FOUND, annotation_id=change.ask.id)
        values, digest = _values(connection, change, known)
        verdict = _verdict(change, known, digest)
        if verdict is Verdict.UNKNOWN:
            raise WsiSamServerError(Reason.ANNOTATION_NOT_FOUND, annotation_id=change.ask.id)
        if verdict is Verdict.CONFLICT:
            conflicts.append(change)
        elif verdict is Verdict.UNCHANGED:
            assert known is not None
            answers.append(Saved(change.ask.id, known.head.revision, unchanged=True))
        else:
            assert values is not None
            assert digest is not None
            if known is not None and values["slide_id"] != known.slide:
                raise WsiSamServerError(
                    Reason.INVALID_FIELD,
                    field="slide_id",
                    problem="the annotation lies on another slide; give what is on this one an id of its own",
                    annotation_id=change.ask.id,
                )
            _check_project(scope, change, known, values["project"])
            if isinstance(change.ask, Patch):
                validation.patched(change.ask.id, record.text_length(values), limits)
            new.append(_New(change, values, digest, known))
            answers.append(Saved(change.ask.id, latest + len(new), unchanged=False))
    if conflicts:
        raise _conflict(connection, conflicts)
    return answers, new


def _check_project(scope: Scope | None, change: Change, known: _Current | None, project: str) -> None:
    stays = known is not None and known.project == project
    if scope is not None and not stays and not scope.takes(project):
        raise WsiSamServerError(Reason.PROJECT_NOT_YOURS, project=project, annotation_id=change.ask.id)


def _verdict(change: Change, known: _Current | None, digest: bytes | None) -> Verdict:
    head = None if known is None else known.head
    if change.kind is ChangeKind.DELETED:
        return rules.deleting(head, change.ask.expected)
    if change.kind is ChangeKind.RESTORED:
        return rules.restoring(head, change.ask.expected, digest)
    if digest is None:  # a patch of what is not there
        return Verdict.UNKNOWN
    return rules.saving(head, change.ask.expected, digest)


def _values(
    connection: sa.Connection, change: Change, known: _Current | None
) -> tuple[record.Columns | None, bytes | None]:
    """The columns of the revision that a change would add, and their digest; None when there is none to take."""
    if isinstance(change.ask, Patch):
        return (None, None) if known is None else _patched(connection, change, known)
    if change.values is not None or known is None:
        return change.values, change.digest
    wanted = known.head.revision if change.to_revision is None else change.to_revision
    row = connection.execute(
        _WITH_SLIDE.where(tables.revision.c.number == wanted, tables.revision.c.annotation_id == change.ask.id)
    ).one_or_none()
    return (None, None) if row is None else record.today(row._mapping)  # noqa: SLF001 - public


def _patched(connection: sa.Connection, change: Change, known: _Current) -> tuple[record.Columns, bytes]:
    """The columns of an annotation as it is with those that a patch changes, and their digest."""
    assert change.values is not None
    row = connection.execute(_WITH_SLIDE.where(tables.revision.c.number == known.head.revision)).one()
    values = {**record.today(row._mapping)[0], **change.values}  # noqa: SLF001 - public
    return values, record.digest(values)


def _conflict(connection: sa.Connection, conflicts: list[Change]) -> RevisionConflictError:
    shown = conflicts[:SHOWN_CONFLICTS]
    stored = reading.many(connection, [change.ask.id for change in shown])
    error = RevisionConflictError([Conflict(change.ask, stored[change.ask.id]) for change in shown])
    error.at(conflicts=len(conflicts))
    return error


def _current(connection: sa.Connection, changes: Sequence[Change]) -> dict[uuid.UUID, _Current]:
    found = {}
    annotation, revision, slide = tables.annotation.c, tables.revision.c, tables.slide.c
    for ids in slide_rows.chunks([change.ask.id for change in changes]):
        query = (
            sa.select(
                annotation.id,
                annotation.revision,
                annotation.deleted,
                annotation.created,
                annotation.creator,
                annotation.project,
                revision.digest,
                revision.class_name,
                slide.slide_id,
            )
            .join(tables.revision, revision.number == annotation.revision)
            .join(tables.slide, slide.number == annotation.slide)
            .where(annotation.id.in_(ids))
        )
        for row in connection.execute(query):
            digest = row.digest if record.in_form(row.class_name) else _digest_today(connection, row.revision)
            head = rules.Head(row.revision, row.deleted, digest)
            found[row.id] = _Current(head, row.slide_id, row.project, row.created, row.creator)
    return found


def _digest_today(connection: sa.Connection, revision: int) -> bytes:
    row = connection.execute(_WITH_SLIDE.where(tables.revision.c.number == revision)).one()
    return record.today(row._mapping)[1]  # noqa: SLF001 - public


def _add(
    connection: sa.Connection, new: Sequence[_New], slides: dict[str, int], author: str, now: int, latest: int
) -> None:
    added, changed, revisions = [], [], []
    before = reading.newest_link(connection, latest) if new else chain.START
    bounds = shapely.bounds(shapely.from_wkb([entry.values["shape"] for entry in new])).tolist()
    for number, (entry, box) in enumerate(zip(new, bounds, strict=True), latest + 1):
        row = {
            **record.to_row(entry.values),
            **dict(zip(record.BOUNDS, box, strict=True)),
            "number": number,
            "annotation_id": entry.change.ask.id,
            "previous": None if entry.current is None else entry.current.head.revision,
            "kind": entry.change.kind.value,
            "at": now,
            "author": author,
            "slide": slides[entry.values["slide_id"]],
            "digest": entry.digest,
        }
        row["chain"] = before = chain.link(before, row | {"slide_id": entry.values["slide_id"]})
        revisions.append(row)
        head = {
            "id": row["annotation_id"],
            "revision": number,
            "deleted": entry.change.kind is ChangeKind.DELETED,
            **{name: row[name] for name in _LOOKED_FOR},
        }
        if entry.current is None:
            added.append({**head, "created": now, "creator": author})
        else:
            changed.append({f"new_{name}": value for name, value in head.items()})
    if revisions:
        connection.execute(sa.insert(tables.revision), revisions)
    if added:
        connection.execute(sa.insert(tables.annotation), added)
    if changed:
        update = sa.update(tables.annotation).where(tables.annotation.c.id == sa.bindparam("new_id"))
        names = [name.removeprefix("new_") for name in changed[0] if name != "new_id"]
        connection.execute(update.values({name: sa.bindparam(f"new_{name}") for name in names}), changed)
