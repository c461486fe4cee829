"""The store for a server that must not block: its calls on threads, and waiting for changes.

Threads, not a database driver for asyncio: SQLite has none (those that say so run a thread for each connection), so
that the two kinds of store would need two implementations, of which only one were proved on both. The calls are short,
and all writers wait for one lock anyway: one thread that writes and a few that read are what the store can use.
"""

from __future__ import annotations

import asyncio
import contextlib
import copy
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Any, Final, ParamSpec, TypeVar

from wsisam_server.errors import Reason, WsiSamServerError

if TYPE_CHECKING:
    import uuid
    from collections.abc import Callable, Collection, Sequence

    from wsisam_server.store.model import Annotation, Draft, Page, Saved, Scope, SlideRecord, Target, Wanted
    from wsisam_server.store.sql_store import SqlStore

READERS: Final = 4

POLL_SECONDS: Final = 1.0
"""How soon a change by another process is noticed. One of this process is noticed at once."""

Given = ParamSpec("Given")
Result = TypeVar("Result")


class _Turns:
    """Whose turn it is, and who waits for what: shared by all views of one store."""

    def __init__(self) -> None:
        self.writer = ThreadPoolExecutor(max_workers=1, thread_name_prefix="wsisam-store-writer")
        self.readers = ThreadPoolExecutor(max_workers=READERS, thread_name_prefix="wsisam-store-reader")
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

    async def slides(self, slide_ids: Collection[str]) -> list[SlideRecord]:
        """See `Store`."""
        return await self._read(self._store.slides, slide_ids)

    async def work(self, call: Callable[[SqlStore], Result]) -> Result:
        """Runs what both reads and changes the store, between other changes."""
        return await self._write(call, self._store)

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

    async def close(self) -> None:
        """Lets running calls end, and closes the store."""
        await asyncio.to_thread(self._turns.writer.shutdown)
        await asyncio.to_thread(self._turns.readers.shutdown)
        await asyncio.to_thread(self._store.close)

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
