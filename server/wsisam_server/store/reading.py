"""The store's questions, in SQL. Each function is part of a reader's (or the writer's) transaction."""

from __future__ import annotations

import hashlib
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any, Final, TypeVar

import shapely
import sqlalchemy as sa

from wsisam_server.errors import Reason, WsiSamServerError
from wsisam_server.geometry import SlideSize
from wsisam_server.store import record, tables
from wsisam_server.store.model import Annotation, ChangeKind, Page, SlideRecord

if TYPE_CHECKING:
    import uuid
    from collections.abc import Collection, Iterator, Sequence

    from wsisam_server.store.classes import Spellings
    from wsisam_server.store.model import Scope, Wanted

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=timezone.utc)

_IN_ONE_STATEMENT: Final = 500
"""Values in one IN list: SQLite's builds differ in how many they take."""

_ROWS_AT_ONCE: Final = 50

VERTICES_PER_PAGE: Final = 250_000
"""A page ends after the annotation that passes it: 4 MB of coordinates, so that a reader of many large ones, or many
readers, take no more memory than one that is allowed to be stored."""

_WHOLE: Final = (
    sa.select(*tables.revision.c, tables.slide.c.slide_id, tables.annotation.c.created, tables.annotation.c.creator)
    .join(tables.slide, tables.slide.c.number == tables.revision.c.slide)
    .join(tables.annotation, tables.annotation.c.id == tables.revision.c.annotation_id)
)

Item = TypeVar("Item")
Condition = sa.ColumnElement[bool]


def head(connection: sa.Connection) -> int:
    """The latest revision's number."""
    number: int = connection.execute(sa.select(tables.store.c.revision)).scalar_one()
    return number


def identity(connection: sa.Connection) -> str:
    """The store's own id."""
    found: str = connection.execute(sa.select(tables.store.c.identity)).scalar_one()
    return found


def one(
    connection: sa.Connection, annotation_id: uuid.UUID, revision: int | None, scope: Scope | None = None
) -> Annotation:
    """One annotation as of a revision; None for as it is.

    Raises:
        WsiSamServerError: ANNOTATION_NOT_FOUND.
    """
    wanted = tables.annotation.c.revision if revision is None else revision
    row = connection.execute(
        _WHOLE.where(tables.annotation.c.id == annotation_id, tables.revision.c.number == wanted, *seen(scope))
    ).one_or_none()
    if row is None:
        raise WsiSamServerError(Reason.ANNOTATION_NOT_FOUND, annotation_id=annotation_id)
    return annotation(row)


def many(connection: sa.Connection, annotation_ids: Collection[uuid.UUID]) -> dict[uuid.UUID, Annotation]:
    """Annotations as they are, by id; unknown ones are left out."""
    found = {}
    for ids in chunks(list(annotation_ids)):
        query = _WHOLE.where(tables.annotation.c.id.in_(ids), tables.revision.c.number == tables.annotation.c.revision)
        found.update({row.annotation_id: annotation(row) for row in connection.execute(query)})
    return found


def listing(
    connection: sa.Connection,
    wanted: Wanted,
    after: int,
    limit: int,
    scope: Scope | None,
    spellings: Spellings,
    *,
    deleted: bool,
) -> Page:
    """See `Store.listing`."""
    latest = _latest(connection, after)
    slides = _slides(connection, wanted)
    if slides == []:
        return Page((), latest, complete=True)
    current = tables.annotation.c
    number: sa.ColumnElement[int] = current.revision
    if wanted.region is not None:
        # Hides the order's index: by region, the bounding boxes' index is the one to use.
        number = number + 0
    classes = _classes(connection, wanted, spellings)
    conditions = [number > after, *_conditions(wanted, tables.annotation, slides, classes), *seen(scope)]
    if not deleted:
        conditions.append(~current.deleted)
    query = _WHOLE.where(tables.revision.c.number == current.revision, *conditions).order_by(number)
    return _page(connection, query, latest, limit)


def changes(
    connection: sa.Connection, wanted: Wanted, after: int, limit: int, scope: Scope | None, spellings: Spellings
) -> Page:
    """See `Store.changes`."""
    latest = _latest(connection, after)
    slides = _slides(connection, wanted)
    if slides == []:
        return Page((), latest, complete=True)
    earlier = tables.revision.alias("earlier")
    classes = _classes(connection, wanted, spellings)
    now = sa.and_(sa.true(), *_conditions(wanted, tables.revision, slides, classes))
    before = sa.and_(earlier.c.number.is_not(None), *_conditions(wanted, earlier, slides, classes))
    query = (
        _WHOLE.outerjoin(earlier, earlier.c.number == tables.revision.c.previous)
        .where(tables.revision.c.number > after, now | before, *seen(scope))
        .order_by(tables.revision.c.number)
    )
    return _page(connection, query, latest, limit)


def history(connection: sa.Connection, annotation_id: uuid.UUID, after: int, limit: int, scope: Scope | None) -> Page:
    """See `Store.history`."""
    latest = one(connection, annotation_id, None, scope).revision
    query = _WHOLE.where(tables.revision.c.annotation_id == annotation_id, tables.revision.c.number > after).order_by(
        tables.revision.c.number
    )
    return _page(connection, query, latest, limit)


def slide_records(connection: sa.Connection, slide_ids: Collection[str]) -> list[SlideRecord]:
    """See `Store.slides`."""
    records = []
    for ids in chunks(sorted(set(slide_ids))):
        rows = connection.execute(sa.select(tables.slide).where(tables.slide.c.slide_id.in_(ids))).all()
        uris: dict[int, list[str]] = {row.number: [] for row in rows}
        query = (
            sa.select(tables.slide_uri.c.slide, tables.slide_uri.c.uri)
            .where(tables.slide_uri.c.slide.in_(uris))
            .order_by(tables.slide_uri.c.number)
        )
        for slide, uri in connection.execute(query):
            uris[slide].append(uri)
        records += [
            SlideRecord(
                row.slide_id,
                tuple(uris[row.number]),
                None if row.width is None or row.height is None else SlideSize(row.width, row.height),
            )
            for row in rows
        ]
    return records


def annotation(row: Any) -> Annotation:  # a row's type differs between SQLAlchemy 2.0 and 2.1
    """A row of the select that all questions share.

    Raises:
        WsiSamServerError: STORE_DAMAGED.
    """
    return Annotation(
        id=row.annotation_id,
        revision=row.number,
        kind=ChangeKind(row.kind),
        content=record.restored(row._mapping),  # noqa: SLF001 - SQLAlchemy's public name for it
        author=row.author,
        creator=row.creator,
        created=to_time(row.created),
        updated=to_time(row.at),
    )


def to_time(microseconds: int) -> datetime:
    """Microseconds since 1970 as a time, exactly."""
    return _EPOCH + timedelta(microseconds=microseconds)


def from_time(time: datetime) -> int:
    """The inverse of `to_time`."""
    return (time - _EPOCH) // timedelta(microseconds=1)


def uri_digest(uri: str) -> bytes:
    """What a URI is looked for by."""
    return hashlib.sha256(uri.encode()).digest()


def chunks(items: Sequence[Item]) -> Iterator[Sequence[Item]]:
    """Items in portions that fit into one statement."""
    for start in range(0, len(items), _IN_ONE_STATEMENT):
        yield items[start : start + _IN_ONE_STATEMENT]


def _latest(connection: sa.Connection, after: int) -> int:
    latest = head(connection)
    if after > latest:
        raise WsiSamServerError(Reason.REVISION_AHEAD, current=latest, given=after)
    return latest


def _slides(connection: sa.Connection, wanted: Wanted) -> list[int] | None:
    """The slides' numbers; None for all."""
    if wanted.slide_id is None and wanted.uri is None:
        return None
    query = sa.select(tables.slide.c.number)
    if wanted.slide_id is not None:
        query = query.where(tables.slide.c.slide_id == wanted.slide_id)
    if wanted.uri is not None:
        query = query.join(tables.slide_uri).where(tables.slide_uri.c.digest == uri_digest(wanted.uri))
    return list(connection.execute(query).scalars())


def _classes(connection: sa.Connection, wanted: Wanted, spellings: Spellings) -> Collection[str] | None:
    """The names of the class; None for all classes."""
    return None if wanted.path_class is None else spellings.of(connection, wanted.path_class)


def _conditions(
    wanted: Wanted, table: sa.FromClause, slides: list[int] | None, classes: Collection[str] | None
) -> Iterator[Condition]:
    column = table.c
    if slides is not None:
        yield column.slide.in_(slides)
    if wanted.project is not None:
        yield column.project == wanted.project
    if wanted.author is not None:
        yield column.author == wanted.author
    if classes is not None:
        named = column.class_name.in_(classes)
        yield named if wanted.path_class else named | column.class_name.is_(None)
    if wanted.region is not None:
        region = wanted.region
        yield column.x0 <= region.x1
        yield column.x1 >= region.x0
        yield column.y0 <= region.y1
        yield column.y1 >= region.y0


def seen(scope: Scope | None) -> Iterator[Condition]:
    """What keeps a question within a scope; it is asked of the annotation as it is."""
    if scope is not None:
        current = tables.annotation.c
        yield current.creator.in_(sorted(scope.owners)) | current.project.in_(sorted(scope.projects))


def _page(connection: sa.Connection, query: sa.Select[Any], latest: int, limit: int) -> Page:
    found: list[Annotation] = []
    vertices = 0
    with connection.execute(query.limit(limit + 1).execution_options(yield_per=_ROWS_AT_ONCE)) as rows:
        for row in rows:
            if len(found) == limit or vertices > VERTICES_PER_PAGE:
                return Page(tuple(found), found[-1].revision, complete=False)
            found.append(annotation(row))
            vertices += int(shapely.get_num_coordinates(found[-1].content.shape))
    return Page(tuple(found), latest, complete=True)
