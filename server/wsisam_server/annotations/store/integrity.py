"""What is wrong with a store: everything in it is read, and what follows from something else is compared with it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import shapely
import sqlalchemy as sa

from wsisam_server.annotations.store import chain, reading, record, tables
from wsisam_server.annotations.store.model import ChangeKind
from wsisam_server.annotations.store.slide_rows import uri_digest
from wsisam_server.core.errors import WsiSamServerError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

_AT_ONCE: Final = 500

_SAME: Final = ("author", "slide", "project", "class_name", *record.BOUNDS)
"""What an annotation's row repeats of its latest revision."""


def problems(
    connection: sa.Connection, progress: Callable[[int, int], None] | None, kept: tuple[int, bytes] | None
) -> Iterator[str]:
    """Each problem in words; none for a sound store.

    Args:
        connection: sees one state of the store.
        progress: told how many revisions have been read, and how many there are.
        kept: a revision's number and its digest in the chain, as they were at some time.
    """
    damaged = list(_by_the_database(connection))
    if damaged:
        yield from damaged
        return
    yield from _read("the revisions", _revisions(connection, progress))
    yield from _read("the annotations", _annotations(connection))
    yield from _read("the slides", _slides(connection))
    yield from _read("the answered requests", _requests(connection))
    yield from _head(connection)
    if kept is not None:
        yield from _kept(connection, *kept)


def _read(what: str, found: Iterable[str]) -> Iterator[str]:
    """Problems of one kind; that rows cannot even be read is one, too."""
    try:
        yield from found
    except (ValueError, TypeError, OverflowError, ArithmeticError) as error:
        yield f"{what} cannot be read: {error}"


def _by_the_database(connection: sa.Connection) -> Iterator[str]:
    """What SQLite finds by itself. PostgreSQL checks pages as they are read, if it was set up so."""
    if connection.dialect.name != "sqlite":
        return
    for (line,) in connection.exec_driver_sql("PRAGMA integrity_check(20)"):
        if line != "ok":
            yield f"SQLite: {line}"
    for table, row, *_ in connection.exec_driver_sql("PRAGMA foreign_key_check"):
        yield f"row {row} of {table} refers to a row that is missing"


def _revisions(connection: sa.Connection, progress: Callable[[int, int], None] | None) -> Iterator[str]:
    """Revisions that are not as they were stored."""
    total = connection.execute(sa.select(sa.func.count()).select_from(tables.revision)).scalar_one()
    earlier = tables.revision.alias("earlier")
    column = tables.revision.c
    follows = (
        sa.select(sa.func.max(earlier.c.number))
        .where(earlier.c.annotation_id == column.annotation_id, earlier.c.number < column.number)
        .scalar_subquery()
    )
    query = (
        sa.select(*column, tables.slide.c.slide_id, follows.label("follows"))
        .join(tables.slide, tables.slide.c.number == column.slide)
        .order_by(column.number)
        .execution_options(yield_per=_AT_ONCE)
    )
    before, number = chain.START, 0
    for rows in connection.execute(query).mappings().partitions(_AT_ONCE):
        yield from _contents(rows)
        for row in rows:
            number += 1
            if row["number"] != number:
                yield f"before revision {row['number']} some are missing"
                number = row["number"]
            if chain.link(before, row) != row["chain"]:
                yield f"revision {number}: it, or the one before, is not what was stored"
            if row["previous"] != row["follows"]:
                yield f"revision {number}: it does not follow the annotation's revision {row['follows']}"
            before = row["chain"] or chain.START
            if progress is not None:
                progress(number, total)


def _contents(rows: Sequence[sa.RowMapping]) -> Iterator[str]:
    """Contents that are not what was stored, and bounding boxes that are not their shapes'."""
    good: list[tuple[sa.RowMapping, record.Columns]] = []
    for row in rows:
        try:
            values = record.from_row(row)
            record.contents([values])
        except WsiSamServerError as error:
            yield error.private
        except ValueError as error:
            yield f"revision {row['number']}: {error}"
        else:
            good.append((row, values))
    bounds = shapely.bounds(shapely.from_wkb([values["shape"] for _, values in good])).tolist()
    for (row, _), box in zip(good, bounds, strict=True):
        if [row[name] for name in record.BOUNDS] != box:
            yield f"revision {row['number']}: its bounding box is not its shape's"


def _annotations(connection: sa.Connection) -> Iterator[str]:
    """Annotations whose present state does not follow from their revisions."""
    current, revision = tables.annotation, tables.revision
    ends = (
        sa.select(
            revision.c.annotation_id,
            sa.func.min(revision.c.number).label("first"),
            sa.func.max(revision.c.number).label("last"),
        )
        .group_by(revision.c.annotation_id)
        .subquery()
    )
    first, last = revision.alias("first_revision"), revision.alias("last_revision")
    query = (
        sa.select(
            ends.c.annotation_id,
            ends.c.last,
            *(column.label(f"now_{column.name}") for column in current.c),
            *(last.c[name].label(f"last_{name}") for name in ("kind", *_SAME)),
            first.c.at.label("first_at"),
            first.c.author.label("first_author"),
        )
        .outerjoin(current, current.c.id == ends.c.annotation_id)
        .join(first, first.c.number == ends.c.first)
        .join(last, last.c.number == ends.c.last)
        .execution_options(yield_per=_AT_ONCE)
    )
    for row in connection.execute(query).mappings():
        if row["now_revision"] != row["last"]:
            yield f"annotation {row['annotation_id']} is not at its latest revision"
        else:
            yield from _unlike(row)
    without = sa.select(current.c.id).where(
        ~sa.exists().where(revision.c.annotation_id == current.c.id).correlate(current)
    )
    for (annotation_id,) in connection.execute(without):
        yield f"annotation {annotation_id} has no revision"


def _unlike(row: sa.RowMapping) -> Iterator[str]:
    shall: dict[str, Any] = {name: row[f"last_{name}"] for name in _SAME}
    shall["deleted"] = row["last_kind"] == ChangeKind.DELETED.value
    shall["created"], shall["creator"] = row["first_at"], row["first_author"]
    for name, value in shall.items():
        if row[f"now_{name}"] != value:
            yield f"annotation {row['annotation_id']}: its {name} is not that of its revisions"


def _slides(connection: sa.Connection) -> Iterator[str]:
    slide, seen_at = tables.slide.c, tables.slide_uri.c
    query = sa.select(slide.number, slide.slide_id, slide.width, slide.height, slide.checksum)
    for row in connection.execute(query).all():
        seen = sa.select(seen_at.uri, seen_at.digest).where(seen_at.slide == row.number).order_by(seen_at.number)
        uris = connection.execute(seen).all()
        if chain.of_slide(*row[:4], [one.uri for one in uris]) != row.checksum:
            yield f"slide {row.number}: its id, its size or where it was seen is not what was stored"
        if any(uri_digest(one.uri) != one.digest for one in uris):
            yield f"slide {row.number}: it would not be found where it was seen"


def _requests(connection: sa.Connection) -> Iterator[str]:
    column = tables.request.c
    query = sa.select(column.request_id, column.fingerprint, column.answer, column.at, column.checksum)
    for *said, checksum in connection.execute(query.execution_options(yield_per=_AT_ONCE)):
        if chain.of_request(*said) != checksum:
            yield f"request {said[0]}: its answer is not what was stored"


def _head(connection: sa.Connection) -> Iterator[str]:
    highest = connection.execute(sa.select(sa.func.max(tables.revision.c.number))).scalar_one() or 0
    if highest != reading.head(connection):
        yield f"the store counts {reading.head(connection)} revisions, and the latest is number {highest}"
    identity, checksum = connection.execute(sa.select(tables.store.c.identity, tables.store.c.checksum)).one()
    if chain.of_store(identity) != checksum:
        yield "the store's own id is not what was stored"


def _kept(connection: sa.Connection, number: int, digest: bytes) -> Iterator[str]:
    query = sa.select(tables.revision.c.chain).where(tables.revision.c.number == number)
    if connection.execute(query).scalar_one_or_none() != digest:
        yield f"up to revision {number}, the history is not the one that this digest was kept of"
