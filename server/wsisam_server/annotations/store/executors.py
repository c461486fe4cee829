"""The threads of a store that must not block the event loop, and the store as work on such a thread sees it."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any, Final, ParamSpec, TypeVar

from wsisam_server.annotations.store.interface import Store
from wsisam_server.annotations.store.threads import Threads

if TYPE_CHECKING:
    import uuid
    from collections.abc import Callable, Collection, Coroutine, Sequence

    from wsisam_server.annotations.store.async_store import AsyncStore
    from wsisam_server.annotations.store.model import (
        Annotation,
        AnnotationFilter,
        Draft,
        Page,
        Patch,
        Saved,
        SlideRecord,
        SlideSummary,
        Target,
    )
    from wsisam_server.annotations.store.sql_store import SqlStore
    from wsisam_server.annotations.store.standing import Standing

Given = ParamSpec("Given")
Result = TypeVar("Result")

READERS: Final = 4

WORKERS: Final = 2
"""Threads for long work, such as the sync of an image."""

CHECKERS: Final = 2
"""Threads on which large areas are looked at."""


class Executors:
    """The threads that call one store, and who waits for what: shared by all views of the store.

    Attributes:
        writer: makes all changes, one after the other.
        readers: answer questions.
        checkers: look at large areas before the writer gets them.
        workers: run what takes long, such as the sync of an image.
        writes: changes that wait or are being made.
        working: the stores that long work is using.
        changed: set by the next change.
        version: counts the changes made here.
    """

    def __init__(self) -> None:
        self.writer = Threads(1, "wsisam-store-writer")
        self.readers = Threads(READERS, "wsisam-store-reader")
        self.checkers = Threads(CHECKERS, "wsisam-store-checker")
        self.workers = Threads(WORKERS, "wsisam-store-worker")
        self.writes = 0
        self.working: set[BlockingStore] = set()
        self.changed = asyncio.Event()
        self.version = 0

    def notify(self) -> None:
        """Ends all waiting for a change."""
        self.version += 1
        self.changed.set()
        self.changed = asyncio.Event()

    def written(self, write: asyncio.Future[Any]) -> None:
        """A change has ended, whether it was made or not."""
        self.writes -= 1
        seen(write)
        self.notify()

    def are_workers_stuck(self, seconds: float) -> bool:
        """Whether all long work has been waiting for the store for so many seconds."""
        working = tuple(self.working)
        return len(working) >= WORKERS and all(one.asking_seconds > seconds for one in working)


class BlockingStore(Store):
    """A store for a thread beside the event loop: it reads by itself, and its changes wait with all others."""

    def __init__(self, waiting: AsyncStore, store: SqlStore, loop: asyncio.AbstractEventLoop) -> None:
        self._waiting = waiting
        self._store = store
        self._loop = loop
        self._asked: float | None = None

    @property
    def asking_seconds(self) -> float:
        """For how long it has been waiting for the store; 0 while it does not."""
        asked = self._asked
        return 0.0 if asked is None else time.monotonic() - asked

    @property
    def identity(self) -> str:
        """See `Store`."""
        return self._store.identity

    @property
    def schema_version(self) -> str:
        """See `Store`."""
        return self._store.schema_version

    def head(self) -> int:
        """See `Store`."""
        return self._read(self._store.head)

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
        return self._changed(
            self._waiting.save(drafts, author=author, request_id=request_id, slides=slides, validate_only=validate_only)
        )

    def delete(
        self, targets: Sequence[Target], *, author: str, request_id: str, validate_only: bool = False
    ) -> list[Saved]:
        """See `Store`."""
        return self._changed(
            self._waiting.delete(targets, author=author, request_id=request_id, validate_only=validate_only)
        )

    def restore(
        self, targets: Sequence[Target], *, author: str, request_id: str, validate_only: bool = False
    ) -> list[Saved]:
        """See `Store`."""
        return self._changed(
            self._waiting.restore(targets, author=author, request_id=request_id, validate_only=validate_only)
        )

    def get(self, annotation_id: uuid.UUID, revision: int | None = None) -> Annotation:
        """See `Store`."""
        return self._read(self._store.get, annotation_id, revision)

    def listing(self, annotation_filter: AnnotationFilter, *, after: int, limit: int, deleted: bool = False) -> Page:
        """See `Store`."""
        return self._read(self._store.listing, annotation_filter, after=after, limit=limit, deleted=deleted)

    def changes(self, annotation_filter: AnnotationFilter, *, after: int, limit: int) -> Page:
        """See `Store`."""
        return self._read(self._store.changes, annotation_filter, after=after, limit=limit)

    def history(self, annotation_id: uuid.UUID, *, after: int, limit: int) -> Page:
        """See `Store`."""
        return self._read(self._store.history, annotation_id, after=after, limit=limit)

    def standings(self, slide_id: str) -> tuple[dict[uuid.UUID, Standing], int]:
        """See `Store`."""
        return self._read(self._store.standings, slide_id)

    def some(self, annotation_ids: Collection[uuid.UUID]) -> list[Annotation]:
        """See `Store`."""
        return self._read(self._store.some, annotation_ids)

    def classes(self) -> list[str]:
        """See `Store`."""
        return self._read(self._store.classes)

    def slides(self, slide_ids: Collection[str]) -> list[SlideRecord]:
        """See `Store`."""
        return self._read(self._store.slides, slide_ids)

    def slide_summaries(self) -> list[SlideSummary]:
        """See `Store`."""
        return self._read(self._store.slide_summaries)

    def close(self) -> None:
        """It is not this one's to close."""

    def _read(self, call: Callable[Given, Result], *args: Given.args, **kwargs: Given.kwargs) -> Result:
        self._asked = time.monotonic()
        try:
            return call(*args, **kwargs)
        finally:
            self._asked = None

    def _changed(self, change: Coroutine[Any, Any, list[Saved]]) -> list[Saved]:
        return asyncio.run_coroutine_threadsafe(change, self._loop).result()


def seen(answer: asyncio.Future[Any]) -> None:
    """Nobody may be left to take an error: asyncio would log it as a bug."""
    if not answer.cancelled():
        answer.exception()
