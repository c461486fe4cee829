"""The store on a SQL database."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Final

from wsisam_server.annotations.store import classes, reading, schema, slide_rows, validation, writing
from wsisam_server.annotations.store.interface import Store
from wsisam_server.annotations.store.model import AnnotationFilter, ChangeKind, Draft, Patch, class_name

if TYPE_CHECKING:
    import uuid
    from collections.abc import Collection, Sequence

    from wsisam_server.annotations.store.database import Database
    from wsisam_server.annotations.store.model import (
        Annotation,
        Page,
        Saved,
        Scope,
        SlideRecord,
        SlideSummary,
        Target,
    )
    from wsisam_server.annotations.store.standing import Standing
    from wsisam_server.core.settings import Limits


_SLIDES_AT_ONCE: Final = 1000


class Checked(tuple[Draft | Patch, ...]):
    """Drafts that may be stored."""

    __slots__ = ()


class SqlStore(Store):
    """A store in a SQLite file or a PostgreSQL database of the present form; see `open_store`."""

    def __init__(self, database: Database, limits: Limits) -> None:
        self._database = database
        self._limits = limits
        self._scope: Scope | None = None
        self._spellings = classes.Spellings()
        with database.reading() as connection:
            self._identity = reading.identity(connection)
            self._schema_version = schema.version_of(connection)

    def within(self, scope: Scope) -> SqlStore:
        """The same store for somebody for whom annotations outside a scope do not exist.

        Beside the errors of `Store`, its `save` and `restore` raise WsiSamServerError: PROJECT_NOT_YOURS.
        """
        part = copy.copy(self)
        part._scope = scope  # noqa: SLF001 - a copy of this
        return part

    @property
    def identity(self) -> str:
        """See `Store`."""
        return self._identity

    @property
    def schema_version(self) -> str:
        """See `Store`."""
        return self._schema_version

    def head(self) -> int:
        """See `Store`."""
        with self._database.reading() as connection:
            return reading.head(connection)

    def save(
        self,
        drafts: Sequence[Draft | Patch],
        *,
        author: str,
        request_id: str,
        slides: Collection[SlideRecord] = (),
        validate_only: bool = False,
    ) -> list[Saved]:
        """See `Store`."""
        validation.signature(author, request_id, self._limits)
        validation.slides(slides, self._limits)
        changes = writing.saving(self.checked(drafts))
        with self._database.writing() as connection:
            return writing.apply(
                connection,
                changes,
                self._limits,
                author=author,
                request_id=request_id,
                slides=slides,
                scope=self._scope,
                validate_only=validate_only,
            )

    def checked(self, drafts: Sequence[Draft | Patch]) -> Checked:
        """Drafts that `save` will not look at again: for who has a thread on which that keeps nobody waiting.

        Raises:
            WsiSamServerError: see `Store.save`.
        """
        return drafts if isinstance(drafts, Checked) else Checked(validation.drafts(drafts, self._limits))

    def delete(
        self, targets: Sequence[Target], *, author: str, request_id: str, validate_only: bool = False
    ) -> list[Saved]:
        """See `Store`."""
        return self._targets(targets, ChangeKind.DELETED, author, request_id, validate_only=validate_only)

    def restore(
        self, targets: Sequence[Target], *, author: str, request_id: str, validate_only: bool = False
    ) -> list[Saved]:
        """See `Store`."""
        return self._targets(targets, ChangeKind.RESTORED, author, request_id, validate_only=validate_only)

    def get(self, annotation_id: uuid.UUID, revision: int | None = None) -> Annotation:
        """See `Store`."""
        with self._database.reading() as connection:
            return reading.one(connection, annotation_id, revision, self._scope)

    def listing(self, annotation_filter: AnnotationFilter, *, after: int, limit: int, deleted: bool = False) -> Page:
        """See `Store`."""
        validation.annotation_filter(annotation_filter)
        with self._database.reading() as connection:
            return reading.listing(
                connection, annotation_filter, after, limit, self._scope, self._spellings, deleted=deleted
            )

    def changes(self, annotation_filter: AnnotationFilter, *, after: int, limit: int) -> Page:
        """See `Store`."""
        validation.annotation_filter(annotation_filter)
        with self._database.reading() as connection:
            return reading.changes(connection, annotation_filter, after, limit, self._scope, self._spellings)

    def history(self, annotation_id: uuid.UUID, *, after: int, limit: int) -> Page:
        """See `Store`."""
        with self._database.reading() as connection:
            return reading.history(connection, annotation_id, after, limit, self._scope)

    def standings(self, slide_id: str) -> tuple[dict[uuid.UUID, Standing], int]:
        """See `Store`."""
        validation.annotation_filter(AnnotationFilter(slide_id=slide_id))
        with self._database.reading() as connection:
            return reading.standings(connection, slide_id, self._scope)

    def some(self, annotation_ids: Collection[uuid.UUID]) -> list[Annotation]:
        """See `Store`."""
        with self._database.reading() as connection:
            return list(reading.many(connection, annotation_ids, self._scope).values())

    def classes(self) -> list[str]:
        """See `Store`."""
        with self._database.reading() as connection:
            return sorted({class_name(one) for one in classes.names(connection, reading.seen(self._scope))})

    def slides(self, slide_ids: Collection[str]) -> list[SlideRecord]:
        """See `Store`."""
        with self._database.reading() as connection:
            return slide_rows.slide_records(connection, slide_ids)

    def slide_summaries(self) -> list[SlideSummary]:
        """See `Store`."""
        found: list[SlideSummary] = []
        complete = False
        while not complete:
            page, complete = self.slide_page(after=found[-1].slide.slide_id if found else "", limit=_SLIDES_AT_ONCE)
            found += page
        return found

    def slide_page(self, *, after: str, limit: int, slide_ids: Collection[str] = ()) -> tuple[list[SlideSummary], bool]:
        """A part of `slide_summaries`, and whether it is the last one.

        Args:
            after: the last slide of the page before; empty for the first page.
            limit: of slides in the page.
            slide_ids: only these; empty for all.
        """
        with self._database.reading() as connection:
            return slide_rows.summaries(connection, after, limit, slide_ids, reading.seen(self._scope))

    def close(self) -> None:
        """See `Store`."""
        self._database.close()

    def _targets(
        self, targets: Sequence[Target], kind: ChangeKind, author: str, request_id: str, *, validate_only: bool
    ) -> list[Saved]:
        validation.signature(author, request_id, self._limits)
        validation.targets(targets, self._limits)
        changes = [writing.Change(target, kind) for target in targets]
        with self._database.writing() as connection:
            return writing.apply(
                connection,
                changes,
                self._limits,
                author=author,
                request_id=request_id,
                scope=self._scope,
                validate_only=validate_only,
            )
