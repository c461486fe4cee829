"""The classes that a store has had, and under which names."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

import sqlalchemy as sa

from wsisam_server.annotations.store import tables
from wsisam_server.annotations.store.model import class_name

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable


def names(connection: sa.Connection, conditions: Iterable[sa.ColumnElement[bool]] = ()) -> set[str]:
    """The names of all classes in the history, as they were stored; "" where there was none.

    Args:
        connection: is asked.
        conditions: on the annotations as they are.
    """
    revision, annotation = tables.revision, tables.annotation
    query = sa.select(revision.c.class_name).distinct()
    if wanted := list(conditions):
        query = query.join(annotation, annotation.c.id == revision.c.annotation_id).where(*wanted)
    return {name or "" for name in connection.execute(query).scalars()}


class Spellings:
    """All names under which a store has a class.

    Names were stored as they came before they had one form, and history is never altered. No more are added, so they
    are looked for once, when somebody first asks for a class.
    """

    def __init__(self) -> None:
        self._others: dict[str, list[str]] | None = None

    def of(self, connection: sa.Connection, name: str) -> Collection[str]:
        """The names of the class whose name is this one, in its one form; "" for what is no class."""
        if self._others is None:
            others = defaultdict(list)
            for stored in sorted(names(connection)):
                if stored != class_name(stored):
                    others[class_name(stored)].append(stored)
            self._others = dict(others)
        return [name, *self._others.get(name, ())]
