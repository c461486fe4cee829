"""The store for a server that must not block: its calls on threads, and waiting for changes.

Threads, not a database driver for asyncio: SQLite has none (those that say so run a thread for each connection), so
that the two kinds of store would need two implementations, of which only one were proved on both. The calls are short,
and all writers wait for one lock anyway: one thread that writes and a few that read are what the store can use.
"""

from __future__ import annotations

import asyncio
import contextlib
import copy
import logging
from functools import partial
from typing import TYPE_CHECKING, Any, Final, ParamSpec, TypeVar

from wsisam_server.annotations.store import checks
from wsisam_server.annotations.store.contract import Store
from wsisam_server.annotations.store.threads import Threads
from wsisam_server.core.errors import Reason, WsiSamServerError

if TYPE_CHECKING:
    import uuid
    from collections.abc import Callable, Collection, Coroutine, Sequence

    from wsisam_server.annotations.store.model import Annotation, Draft, Page, Saved, Scope, SlideRecord, Target, Wanted
    from wsisam_server.annotations.store.sql_store import SqlStore

_log = logging.getLogger(__name__)

READERS: Final = 4

CLOSING_SECONDS: Final = 1.0
"""How long a server that ends waits for what the store still does; it has drained its calls before."""

GOODBYE_SECONDS: Final = 0.5
"""How long it waits then until connections are closed."""

WORKERS: Final = 2
"""Threads for long work, such as the sync of an image."""

CHECKERS: Final = 2
"""Threads on which large areas are looked at."""

POLL_SECONDS: Final = 1.0
"""How soon a change by another process is noticed. One of this process is noticed at once."""

Given = ParamSpec("Given")
Result = TypeVar("Result")


class _Turns:
    """Whose turn it is, and who waits for what: shared by all views of one store."""

    def __init__(self) -> None:
        self.writer = Threads(1, "wsisam-store-writer")
        self.readers = Threads(READERS, "wsisam-store-reader")
        self.checkers = Threads(CHECKERS, "wsisam-store-checker")
        self.workers = Threads(WORKERS, "wsisam-store-worker")
        self.writes = 0
        self.changed = asyncio.Event()
        self.stamp = 0

    def wake(self) -> None:
        self.stamp += 1
        self.changed.set()
        self.changed = asyncio.Event()

    def written(self, write: asyncio.Future[Any]) -> None:
        self.writes -= 1
        if not write.cancelled():
            # Asked for here too: whoever made the change may be gone, and asyncio would log its refusal as a bug.
            write.exception()
        self.wake()


class _InTurn(Store):
    """A store for a thread beside the event loop: it reads by itself, and its changes wait with all others."""

    def __init__(self, waiting: AsyncStore, store: SqlStore, loop: asyncio.AbstractEventLoop) -> None:
        self._waiting = waiting
        self._store = store
        self._loop = loop

    @property
    def identity(self) -> str:
        return self._store.identity

    def head(self) -> int:
        return self._store.head()

    def save(
        self, drafts: Sequence[Draft], *, author: str, request_id: str, slides: Collection[SlideRecord] = ()
    ) -> list[Saved]:
        return self._changed(self._waiting.save(drafts, author=author, request_id=request_id, slides=slides))

    def delete(self, targets: Sequence[Target], *, author: str, request_id: str) -> list[Saved]:
        return self._changed(self._waiting.delete(targets, author=author, request_id=request_id))

    def restore(self, targets: Sequence[Target], *, author: str, request_id: str) -> list[Saved]:
        return self._changed(self._waiting.restore(targets, author=author, request_id=request_id))

    def get(self, annotation_id: uuid.UUID, revision: int | None = None) -> Annotation:
        return self._store.get(annotation_id, revision)

    def listing(self, wanted: Wanted, *, after: int, limit: int, deleted: bool = False) -> Page:
        return self._store.listing(wanted, after=after, limit=limit, deleted=deleted)

    def changes(self, wanted: Wanted, *, after: int, limit: int) -> Page:
        return self._store.changes(wanted, after=after, limit=limit)

    def history(self, annotation_id: uuid.UUID, *, after: int, limit: int) -> Page:
        return self._store.history(annotation_id, after=after, limit=limit)

    def classes(self) -> list[str]:
        return self._store.classes()

    def slides(self, slide_ids: Collection[str]) -> list[SlideRecord]:
        return self._store.slides(slide_ids)

    def close(self) -> None:
        """It is not this one's to close."""

    def _changed(self, change: Coroutine[Any, Any, list[Saved]]) -> list[Saved]:
        return asyncio.run_coroutine_threadsafe(change, self._loop).result()


class AsyncStore:
    """A store whose methods are coroutines; see `Store` for what they do. Used from one event loop.

    A change whose caller is cancelled is made nevertheless.

    Args:
        store: closed with this.
        waiting_writes: how many changes may wait for their turn; more fail with STORE_BUSY.
    """

    def __init__(self, store: SqlStore, waiting_writes: int) -> None:
        self._store = store
        self._waiting_writes = waiting_writes
        self._turns = _Turns()

    def within(self, scope: Scope) -> AsyncStore:
        """The same store as `SqlStore.within` has it. Not to be closed: that is for the one that it was made of."""
        part = copy.copy(self)
        part._store = self._store.within(scope)  # noqa: SLF001 - a copy of this
        return part

    @property
    def stamp(self) -> int:
        """Counts the changes made here; for `stir`."""
        return self._turns.stamp

    @property
    def identity(self) -> str:
        """The store's own id."""
        return self._store.identity

    async def save(
        self, drafts: Sequence[Draft], *, author: str, request_id: str, slides: Collection[SlideRecord] = ()
    ) -> list[Saved]:
        """See `Store`."""
        if checks.heavy(drafts):
            # Seconds, perhaps: not in a turn that others wait for.
            loop = asyncio.get_running_loop()
            drafts = await loop.run_in_executor(self._turns.checkers, self._store.checked, drafts)
        return await self._write(self._store.save, drafts, author=author, request_id=request_id, slides=slides)

    async def delete(self, targets: Sequence[Target], *, author: str, request_id: str) -> list[Saved]:
        """See `Store`."""
        return await self._write(self._store.delete, targets, author=author, request_id=request_id)

    async def restore(self, targets: Sequence[Target], *, author: str, request_id: str) -> list[Saved]:
        """See `Store`."""
        return await self._write(self._store.restore, targets, author=author, request_id=request_id)

    async def get(self, annotation_id: uuid.UUID, revision: int | None = None) -> Annotation:
        """See `Store`."""
        return await self._read(self._store.get, annotation_id, revision)

    async def listing(self, wanted: Wanted, *, after: int, limit: int, deleted: bool = False) -> Page:
        """See `Store`."""
        return await self._read(self._store.listing, wanted, after=after, limit=limit, deleted=deleted)

    async def changes(self, wanted: Wanted, *, after: int, limit: int) -> Page:
        """See `Store`."""
        return await self._read(self._store.changes, wanted, after=after, limit=limit)

    async def history(self, annotation_id: uuid.UUID, *, after: int, limit: int) -> Page:
        """See `Store`."""
        return await self._read(self._store.history, annotation_id, after=after, limit=limit)

    async def classes(self) -> list[str]:
        """See `Store`."""
        return await self._read(self._store.classes)

    async def slides(self, slide_ids: Collection[str]) -> list[SlideRecord]:
        """See `Store`."""
        return await self._read(self._store.slides, slide_ids)

    async def work(self, call: Callable[[Store], Result]) -> Result:
        """Runs what both reads and changes the store. Each of its changes waits for its turn, as those of others do.

        Args:
            call: gets a store that blocks; it runs on a thread of its own kind, so that it keeps no reader waiting.
        """
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._turns.workers, call, _InTurn(self, self._store, loop))

    async def stir(self, stamp: int) -> None:
        """Waits until there may be something new: at once after a change here, else for a moment.

        Args:
            stamp: as it was before the caller last looked.
        """
        if stamp == self._turns.stamp:
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._turns.changed.wait(), POLL_SECONDS)

    def wake(self) -> None:
        """Ends all waiting in `stir`."""
        self._turns.wake()

    async def close(self, seconds: float = CLOSING_SECONDS) -> None:
        """Lets running calls end, and closes the store. What a database that hangs keeps for longer is left behind.

        Args:
            seconds: for all calls together.
        """
        turns, closer = self._turns, Threads(1, "wsisam-store-closer")
        closed = await asyncio.gather(
            *(one.close(seconds) for one in (turns.checkers, turns.workers, turns.writer, turns.readers))
        )
        if not all(closed):
            _log.warning("the store does not answer: what was asked of it last was left, and may be stored or not")
        closer.submit(self._store.close)
        await closer.close(GOODBYE_SECONDS)

    async def _write(self, call: Callable[Given, Result], *args: Given.args, **kwargs: Given.kwargs) -> Result:
        turns = self._turns
        if turns.writes >= self._waiting_writes:
            raise WsiSamServerError(Reason.STORE_BUSY, private=f"{turns.writes} changes wait")
        loop = asyncio.get_running_loop()
        running = loop.run_in_executor(turns.writer, partial(call, *args, **kwargs))
        turns.writes += 1  # not before: without a thread for it, it would count for ever
        running.add_done_callback(turns.written)
        return await asyncio.shield(running)

    async def _read(self, call: Callable[Given, Result], *args: Given.args, **kwargs: Given.kwargs) -> Result:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._turns.readers, partial(call, *args, **kwargs))
