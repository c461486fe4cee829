"""Slides as the store knows them, in SQL: their size, and where they were seen.

Everybody who saves an annotation adds to it, and everybody who reads one gets it. So it is bounded.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final, TypeVar

import sqlalchemy as sa

from wsisam_server.annotations.store import chain, tables
from wsisam_server.annotations.store.model import SlideRecord, SlideSummary
from wsisam_server.core.geometry import SlideSize

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence

KEPT: Final = 256
"""URIs of one slide that it can be found by. Of more, the one that was seen first and the newest stay."""

SHOWN: Final = 16
"""Of them those that a record has, chosen in the same way: every reader of an annotation gets them."""

_IN_ONE_STATEMENT: Final = 500
"""Values in one IN list: SQLite's builds differ in how many they take."""

Item = TypeVar("Item")


def slide_records(connection: sa.Connection, slide_ids: Collection[str]) -> list[SlideRecord]:
    """See `Store.slides`."""
    records = []
    for ids in chunks(sorted(set(slide_ids))):
        rows = connection.execute(sa.select(tables.slide).where(tables.slide.c.slide_id.in_(ids))).all()
        uris: dict[int, list[str]] = {row.number: [] for row in rows}
        for row in connection.execute(_uris(list(uris), SHOWN)):
            uris[row.slide].append(row.uri)
        records += [
            SlideRecord(
                row.slide_id,
                tuple(uris[row.number]),
                None if row.width is None or row.height is None else SlideSize(row.width, row.height),
            )
            for row in rows
        ]
    return records


def summaries(
    connection: sa.Connection,
    after: str,
    limit: int,
    slide_ids: Collection[str],
    conditions: Iterable[sa.ColumnElement[bool]],
) -> tuple[list[SlideSummary], bool]:
    """See `SqlStore.slide_page`.

    Args:
        connection: is asked.
        after: see there.
        limit: see there.
        slide_ids: see there.
        conditions: on the annotations as they are.
    """
    slide, annotation = tables.slide.c, tables.annotation.c
    last = sa.select(slide.number).where(slide.slide_id == after)
    start = connection.execute(last).scalar_one_or_none() or 0
    there = sa.func.sum(sa.case((annotation.deleted, 0), else_=1))
    query = (
        sa.select(slide.number, slide.slide_id, there.label("there"), sa.func.max(annotation.revision).label("newest"))
        .join(tables.annotation, annotation.slide == slide.number)
        .where(slide.number > start, *conditions)
        .group_by(slide.number, slide.slide_id)
        .order_by(slide.number)
        .limit(limit + 1)
    )
    if slide_ids:
        query = query.where(slide.slide_id.in_(sorted(set(slide_ids))))
    rows = connection.execute(query).all()
    records = {record.slide_id: record for record in slide_records(connection, [row.slide_id for row in rows[:limit]])}
    found = [SlideSummary(records[row.slide_id], int(row.there), row.newest) for row in rows[:limit]]
    return found, len(rows) <= limit


def note(connection: sa.Connection, slides: Collection[SlideRecord], used: set[str]) -> dict[str, int]:
    """Adds what is new about slides; returns the numbers of those in use."""
    known = {noted.slide_id: noted for noted in slides}
    numbers: dict[str, int] = {}
    for slide_id in sorted(used | set(known)):
        row = connection.execute(sa.select(tables.slide).where(tables.slide.c.slide_id == slide_id)).one_or_none()
        number = _added(connection, slide_id) if row is None else row.number
        noted = known.get(slide_id, SlideRecord(slide_id))
        size = None if row is None or row.width is None else SlideSize(row.width, row.height)
        fresh = _fresh(connection, number, noted.uris)
        if row is None or fresh or noted.size not in {None, size}:
            _write(connection, number, SlideRecord(slide_id, fresh, noted.size or size))
        numbers[slide_id] = number
    return numbers


def uri_digest(uri: str) -> bytes:
    """What a URI is looked for by."""
    return hashlib.sha256(uri.encode()).digest()


def chunks(items: Sequence[Item]) -> Iterator[Sequence[Item]]:
    """Items in portions that fit into one statement."""
    for start in range(0, len(items), _IN_ONE_STATEMENT):
        yield items[start : start + _IN_ONE_STATEMENT]


def _added(connection: sa.Connection, slide_id: str) -> int:
    done = connection.execute(sa.insert(tables.slide).values(slide_id=slide_id))
    assert done.inserted_primary_key is not None
    number: int = done.inserted_primary_key[0]
    return number


def _fresh(connection: sa.Connection, number: int, uris: Sequence[str]) -> tuple[str, ...]:
    """Those of some URIs that a slide is not known at; of very many the last."""
    column, fresh = tables.slide_uri.c, []
    for uri in list(dict.fromkeys(uris))[-KEPT:]:
        seen = sa.select(column.number).where(column.digest == uri_digest(uri), column.slide == number)
        if connection.execute(seen).first() is None:
            fresh.append(uri)
    return tuple(fresh)


def _write(connection: sa.Connection, number: int, noted: SlideRecord) -> None:
    """Adds URIs to a slide, forgets those that are too many, and makes its checksum anew."""
    column = tables.slide_uri.c
    if noted.uris:
        rows = [{"slide": number, "digest": uri_digest(uri), "uri": uri} for uri in noted.uris]
        connection.execute(sa.insert(tables.slide_uri), rows)
        stay = _uris([number], KEPT).with_only_columns(column.number).scalar_subquery()
        connection.execute(sa.delete(tables.slide_uri).where(column.slide == number, column.number.not_in(stay)))
    size = {} if noted.size is None else {"width": noted.size.width, "height": noted.size.height}
    uris = connection.execute(sa.select(column.uri).where(column.slide == number).order_by(column.number)).scalars()
    checksum = chain.of_slide(number, noted.slide_id, size.get("width"), size.get("height"), uris)
    connection.execute(sa.update(tables.slide).where(tables.slide.c.number == number).values(**size, checksum=checksum))


def _uris(slides: list[int], most: int) -> sa.Select[tuple[int, str]]:
    """URIs of slides, in order: of each slide the first, and the newest, so many at most."""
    column = tables.slide_uri.c
    before = sa.func.row_number().over(partition_by=column.slide, order_by=column.number)
    behind = sa.func.row_number().over(partition_by=column.slide, order_by=column.number.desc())
    ranked = (
        sa.select(column.number, before.label("before"), behind.label("behind"))
        .where(column.slide.in_(slides))
        .subquery()
    )
    return (
        sa.select(column.slide, column.uri)
        .join(ranked, ranked.c.number == column.number)
        .where((ranked.c.before == 1) | (ranked.c.behind < most))
        .order_by(column.number)
    )
