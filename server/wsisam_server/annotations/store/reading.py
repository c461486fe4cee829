"""The store's questions, in SQL. Each function is part of a reader's (or the writer's) transaction."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

import sqlalchemy as sa

from wsisam_server.annotations.store import chain, record, slide_rows, tables
from wsisam_server.annotations.store.model import Annotation, ChangeKind, Page
from wsisam_server.annotations.store.shape import vertices
from wsisam_server.annotations.store.standing import UNSAID, Standing
from wsisam_server.core.errors import Reason, WsiSamServerError

if TYPE_CHECKING:
    import uuid
    from collections.abc import Collection, Iterator, Sequence

    from wsisam_server.annotations.store.classes import Spellings
    from wsisam_server.annotations.store.model import AnnotationFilter, Scope

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=timezone.utc)

_ROWS_AT_ONCE: Final = 50

_HEADS_AT_ONCE: Final = 1000

VERTICES_PER_PAGE: Final = 250_000
"""A page ends after the annotation that passes it: 4 MB of coordinates, so that a reader of many large ones, or many
readers, take no more memory than one that is allowed to be stored."""

TEXT_PER_PAGE: Final = 2_000_000
"""Characters; as with vertices."""

_LEFT_OUT: Final = frozenset({"previous", "chain", *record.BOUNDS})
"""What an annotation does not show."""

_WHOLE: Final = (
    sa.select(
        *(column for column in tables.revision.c if column.name not in _LEFT_OUT),
        tables.slide.c.slide_id,
        tables.annotation.c.created,
        tables.annotation.c.creator,
    )
    .join(tables.slide, tables.slide.c.number == tables.revision.c.slide)
    .join(tables.annotation, tables.annotation.c.id == tables.revision.c.annotation_id)
)

_STANDING: Final = sa.select(
    tables.annotation.c.id,
    *(tables.revision.c[name] for name in ("number", "kind", "digest", *UNSAID)),
).join(tables.revision, tables.revision.c.number == tables.annotation.c.revision)

Condition = sa.ColumnElement[bool]


def head(connection: sa.Connection) -> int:
    """The latest revision's number."""
    number: int = connection.execute(sa.select(tables.store.c.revision)).scalar_one()
    return number


def identity(connection: sa.Connection) -> str:
    """The store's own id."""
    found: str = connection.execute(sa.select(tables.store.c.identity)).scalar_one()
    return found


def newest_link(connection: sa.Connection, latest: int) -> bytes:
    """The digest of the latest revision in the chain, for the next one.

    Raises:
        WsiSamServerError: STORE_DAMAGED.
    """
    if latest == 0:
        return chain.START
    query = sa.select(tables.revision.c.chain).where(tables.revision.c.number == latest)
    found: bytes | None = connection.execute(query).scalar_one_or_none()
    if found is None:
        raise record.damaged(latest, "it is the latest, and is not there, or has no digest")
    return found


def one(
    connection: sa.Connection, annotation_id: uuid.UUID, revision: int | None, scope: Scope | None = None
) -> Annotation:
    """One annotation as of a revision; None for as it is.

    Raises:
        WsiSamServerError: ANNOTATION_NOT_FOUND.
    """
    number = tables.annotation.c.revision if revision is None else revision
    row = connection.execute(
        _WHOLE.where(tables.annotation.c.id == annotation_id, tables.revision.c.number == number, *seen(scope))
    ).one_or_none()
    if row is None:
        raise WsiSamServerError(Reason.ANNOTATION_NOT_FOUND, annotation_id=annotation_id)
    return _annotations([_checked(row._fields, row)])[0]


def many(
    connection: sa.Connection, annotation_ids: Collection[uuid.UUID], scope: Scope | None = None
) -> dict[uuid.UUID, Annotation]:
    """Annotations as they are, by id; unknown ones are left out."""
    found = {}
    current = tables.revision.c.number == tables.annotation.c.revision
    for ids in slide_rows.chunks(list(annotation_ids)):
        query = _WHOLE.where(tables.annotation.c.id.in_(ids), current, *seen(scope))
        found.update(
            {
                one.id: one
                for one in _annotations([_checked(row._fields, row) for row in connection.execute(query).all()])
            }
        )
    return found


def standings(connection: sa.Connection, slide_id: str, scope: Scope | None) -> tuple[dict[uuid.UUID, Standing], int]:
    """See `Store`."""
    latest = head(connection)
    query = (
        _STANDING.join(tables.slide, tables.slide.c.number == tables.annotation.c.slide)
        .where(tables.slide.c.slide_id == slide_id, *seen(scope))
        .execution_options(yield_per=_HEADS_AT_ONCE)
    )
    deleted = ChangeKind.DELETED.value
    with connection.execute(query) as rows:
        return {
            one: Standing(number, kind == deleted, digest, () if kind == deleted else tuple(unsaid))
            for one, number, kind, digest, *unsaid in rows
        }, latest


def listing(
    connection: sa.Connection,
    annotation_filter: AnnotationFilter,
    after: int,
    limit: int,
    scope: Scope | None,
    spellings: Spellings,
    *,
    deleted: bool,
) -> Page:
    """See `Store.listing`."""
    latest = _latest(connection, after)
    slides = _slides(connection, annotation_filter)
    if slides == []:
        return Page((), latest, complete=True)
    current = tables.annotation.c
    number: sa.ColumnElement[int] = current.revision
    if annotation_filter.region is not None:
        # Hides the order's index: by region, the bounding boxes' index is the one to use.
        number = number + 0
    classes = _classes(connection, annotation_filter, spellings)
    conditions = [number > after, *_conditions(annotation_filter, tables.annotation, slides, classes), *seen(scope)]
    if not deleted:
        conditions.append(~current.deleted)
    query = _WHOLE.where(tables.revision.c.number == current.revision, *conditions).order_by(number)
    return _page(connection, query, latest, limit)


def changes(
    connection: sa.Connection,
    annotation_filter: AnnotationFilter,
    after: int,
    limit: int,
    scope: Scope | None,
    spellings: Spellings,
) -> Page:
    """See `Store.changes`."""
    latest = _latest(connection, after)
    slides = _slides(connection, annotation_filter)
    if slides == []:
        return Page((), latest, complete=True)
    earlier = tables.revision.alias("earlier")
    classes = _classes(connection, annotation_filter, spellings)
    now = sa.and_(sa.true(), *_conditions(annotation_filter, tables.revision, slides, classes))
    before = sa.and_(earlier.c.number.is_not(None), *_conditions(annotation_filter, earlier, slides, classes))
    query = (
        _WHOLE.outerjoin(earlier, earlier.c.number == tables.revision.c.previous)
        .where(tables.revision.c.number > after, now | before, *seen(scope))
        .order_by(tables.revision.c.number)
    )
    return _page(connection, query, latest, limit)


def history(connection: sa.Connection, annotation_id: uuid.UUID, after: int, limit: int, scope: Scope | None) -> Page:
    """See `Store.history`."""
    latest = _latest(connection, after)
    one(connection, annotation_id, None, scope)
    query = _WHOLE.where(tables.revision.c.annotation_id == annotation_id, tables.revision.c.number > after).order_by(
        tables.revision.c.number
    )
    return _page(connection, query, latest, limit)


@lru_cache(maxsize=256)  # what was stored together has one time
def to_time(microseconds: int) -> datetime:
    """Microseconds since 1970 as a time, exactly."""
    return _EPOCH + timedelta(microseconds=microseconds)


def from_time(time: datetime) -> int:
    """The inverse of `to_time`."""
    return (time - _EPOCH) // timedelta(microseconds=1)


def _latest(connection: sa.Connection, after: int) -> int:
    latest = head(connection)
    if after > latest:
        raise WsiSamServerError(Reason.REVISION_AHEAD, current=latest, given=after)
    return latest


def _slides(connection: sa.Connection, annotation_filter: AnnotationFilter) -> list[int] | None:
    """The slides' numbers; None for all."""
    if annotation_filter.slide_id is None and annotation_filter.uri is None:
        return None
    query = sa.select(tables.slide.c.number)
    if annotation_filter.slide_id is not None:
        query = query.where(tables.slide.c.slide_id == annotation_filter.slide_id)
    if annotation_filter.uri is not None:
        query = query.join(tables.slide_uri).where(
            tables.slide_uri.c.digest == slide_rows.uri_digest(annotation_filter.uri)
        )
    return list(connection.execute(query).scalars())


def _classes(
    connection: sa.Connection, annotation_filter: AnnotationFilter, spellings: Spellings
) -> Collection[str] | None:
    """The names of the class; None for all classes."""
    return None if annotation_filter.path_class is None else spellings.of(connection, annotation_filter.path_class)


def _conditions(
    annotation_filter: AnnotationFilter, table: sa.FromClause, slides: list[int] | None, classes: Collection[str] | None
) -> Iterator[Condition]:
    column = table.c
    if slides is not None:
        yield column.slide.in_(slides)
    if annotation_filter.project is not None:
        yield column.project == annotation_filter.project
    if annotation_filter.author is not None:
        yield column.author == annotation_filter.author
    if classes is not None:
        named = column.class_name.in_(classes)
        yield named if annotation_filter.path_class else named | column.class_name.is_(None)
    if annotation_filter.region is not None:
        region = annotation_filter.region
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
    rows: list[record.Columns] = []
    points = letters = 0
    with connection.execute(query.limit(limit + 1).execution_options(yield_per=_ROWS_AT_ONCE)) as found:
        names = tuple(found.keys())
        for row in found:
            if len(rows) == limit or points > VERTICES_PER_PAGE or letters > TEXT_PER_PAGE:
                return Page(_annotations(rows), rows[-1]["number"], complete=False)
            values = _checked(names, row)
            rows.append(values)
            points += vertices(values["shape"])
            letters += len(values["name"]) + len(values["measurements"]) + len(values["metadata"])
            letters += len(values["prompt"] or "")
    return Page(_annotations(rows), latest, complete=True)


def _checked(names: Sequence[str], row: Sequence[Any]) -> record.Columns:
    """A row by its columns' names, its content's columns as `record.from_row` returns them.

    Raises:
        WsiSamServerError: STORE_DAMAGED.
    """
    values = dict(zip(names, row, strict=True))
    record.check(values, values["digest"], values["number"])
    return values


def _annotations(rows: Sequence[record.Columns]) -> tuple[Annotation, ...]:
    """Rows of the select that all questions share, many at once.

    Args:
        rows: with their contents' columns as `record.from_row` returned them.
    """
    if not rows:
        return ()
    try:
        return tuple(
            Annotation(
                id=values["annotation_id"],
                revision=values["number"],
                kind=ChangeKind(values["kind"]),
                content=content,
                author=values["author"],
                creator=values["creator"],
                create_time=to_time(values["created"]),
                update_time=to_time(values["at"]),
            )
            for values, content in zip(rows, record.contents(rows), strict=True)
        )
    except (ValueError, TypeError, OverflowError) as error:
        numbers = f"{rows[0]['number']} to {rows[-1]['number']}"
        raise WsiSamServerError(Reason.STORE_DAMAGED, private=f"revisions {numbers}: {error}") from error
