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

from wsisam_server.annotations.store import validation
from wsisam_server.annotations.store.errors import StoreError
from wsisam_server.annotations.store.executors import BlockingStore, Executors, seen
from wsisam_server.annotations.store.location import plain_name
from wsisam_server.annotations.store.opening import open_store
from wsisam_server.annotations.store.threads import Threads
from wsisam_server.core.errors import Reason, WsiSamServerError
from wsisam_server.core.settings import Limits
from wsisam_server.core.thread_priority import lower_priority

if TYPE_CHECKING:
    import uuid
    from collections.abc import Callable, Collection, Sequence
    from concurrent.futures import Future

    from wsisam_server.annotations.store.interface import Store
    from wsisam_server.annotations.store.model import (
        Annotation,
        AnnotationFilter,
        Draft,
        Page,
        Patch,
        Saved,
        Scope,
        SlideRecord,
        SlideSummary,
        Target,
    )
    from wsisam_server.annotations.store.sql_store import SqlStore

_log = logging.getLogger(__name__)

CLOSING_SECONDS: Final = 1.0
"""How long a server that ends waits for what the store still does; it has drained its calls before."""

GOODBYE_SECONDS: Final = 0.5
"""How long it waits then until connections are closed."""

LONGEST: Final = 4
"""How many times as long as the store may take to answer one call may take while others are answered."""

POLL_SECONDS: Final = 1.0
"""How soon a change by another process is noticed. One of this process is noticed at once."""

Given = ParamSpec("Given")
Result = TypeVar("Result")


class AsyncStore:
    """A store whose methods are coroutines; see `Store` for what they do. Used from one event loop.

    A change whose caller is cancelled is made nevertheless. A database that hangs ends no call by itself. So calls end
    with STORE_UNAVAILABLE once it has answered nothing for too long, and at once when no thread is left. A change that
    then waits for its turn is not made. One that has begun may be: asking for it again with its request id is safe.

    Args:
        store: closed with this.
        waiting_writes: how many changes may wait for their turn; more fail with STORE_BUSY.
        seconds: that the store may take to answer.
    """

    def __init__(self, store: SqlStore, waiting_writes: int, seconds: float = Limits().store_seconds) -> None:
        self._store = store
        self._waiting_writes = waiting_writes
        self._seconds = seconds
        self._executors = Executors()

    @classmethod
    async def opened(cls, where: str, limits: Limits) -> AsyncStore:
        """Opens a store. One that hangs keeps a thread, which ends with the program, and nobody else.

        Raises:
            StoreError: see `open_store`; also when it does not answer in time.
        """
        opener, seconds = Threads(1, "wsisam-store-opener"), limits.store_seconds
        try:
            opening = asyncio.wrap_future(opener.submit(open_store, where, limits))
            store = await asyncio.wait_for(opening, seconds)
        except asyncio.TimeoutError as error:
            raise StoreError(
                f"{plain_name(where)} did not answer within {seconds:g} s. Check the drive that it lies on, or the "
                "database server, and start again"
            ) from error
        finally:
            await opener.close(0)
        return cls(store, limits.waiting_writes, seconds)

    def within(self, scope: Scope) -> AsyncStore:
        """The same store as `SqlStore.within` has it. Not to be closed: that is for the one that it was made of."""
        part = copy.copy(self)
        part._store = self._store.within(scope)  # noqa: SLF001 - a copy of this
        return part

    @property
    def version(self) -> int:
        """Counts the changes made here; for `wait_for_change`."""
        return self._executors.version

    @property
    def identity(self) -> str:
        """The store's own id."""
        return self._store.identity

    @property
    def schema_version(self) -> str:
        """The version of its form in the database."""
        return self._store.schema_version

    async def save(
        self,
        drafts: Sequence[Draft | Patch],
        *,
        author: str,
        request_id: str,
        slides: Collection[SlideRecord] = (),
        validate_only: bool = False,
    ) -> list[Saved]:
        """See `Store`."""
        if validation.heavy(drafts):
            # Seconds, perhaps: not in a turn that others wait for.
            loop = asyncio.get_running_loop()
            drafts = await loop.run_in_executor(self._executors.checkers, self._checked, drafts)
        return await self._write(
            self._store.save,
            drafts,
            author=author,
            request_id=request_id,
            slides=slides,
            validate_only=validate_only,
        )

    async def delete(
        self, targets: Sequence[Target], *, author: str, request_id: str, validate_only: bool = False
    ) -> list[Saved]:
        """See `Store`."""
        return await self._write(
            self._store.delete, targets, author=author, request_id=request_id, validate_only=validate_only
        )

    async def restore(
        self, targets: Sequence[Target], *, author: str, request_id: str, validate_only: bool = False
    ) -> list[Saved]:
        """See `Store`."""
        return await self._write(
            self._store.restore, targets, author=author, request_id=request_id, validate_only=validate_only
        )

    async def get(self, annotation_id: uuid.UUID, revision: int | None = None) -> Annotation:
        """See `Store`."""
        return await self._read(self._store.get, annotation_id, revision)

    async def listing(
        self, annotation_filter: AnnotationFilter, *, after: int, limit: int, deleted: bool = False
    ) -> Page:
        """See `Store`."""
        return await self._read(self._store.listing, annotation_filter, after=after, limit=limit, deleted=deleted)

    async def changes(self, annotation_filter: AnnotationFilter, *, after: int, limit: int) -> Page:
        """See `Store`."""
        return await self._read(self._store.changes, annotation_filter, after=after, limit=limit)

    async def history(self, annotation_id: uuid.UUID, *, after: int, limit: int) -> Page:
        """See `Store`."""
        return await self._read(self._store.history, annotation_id, after=after, limit=limit)

    async def classes(self) -> list[str]:
        """See `Store`."""
        return await self._read(self._store.classes)

    async def slides(self, slide_ids: Collection[str]) -> list[SlideRecord]:
        """See `Store`."""
        return await self._read(self._store.slides, slide_ids)

    async def slide_page(
        self, *, after: str, limit: int, slide_ids: Collection[str] = ()
    ) -> tuple[list[SlideSummary], bool]:
        """See `SqlStore`."""
        return await self._read(self._store.slide_page, after=after, limit=limit, slide_ids=slide_ids)

    async def head(self) -> int:
        """See `Store`."""
        return await self._read(self._store.head)

    async def work(self, call: Callable[[Store], Result]) -> Result:
        """Runs what both reads and changes the store. Each of its changes waits for its turn, as those of others do.

        Args:
            call: gets a store that blocks; it runs on a thread of its own kind, so that it keeps no reader waiting.
        """
        executors, mine = self._executors, BlockingStore(self, self._store, asyncio.get_running_loop())

        def hangs() -> bool:
            if mine in executors.working:
                return mine.asking_seconds > self._seconds
            return executors.are_workers_stuck(self._seconds)

        def run() -> Result:
            executors.working.add(mine)
            try:
                return call(mine)
            finally:
                executors.working.discard(mine)

        if hangs():
            raise _silent()
        return await self._answer(executors.workers.submit(run), hangs)

    async def wait_for_change(self, version: int) -> None:
        """Waits until there may be something new: at once after a change here, else for a moment.

        Args:
            version: as it was before the caller last looked.
        """
        if version == self._executors.version:
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._executors.changed.wait(), POLL_SECONDS)

    def notify(self) -> None:
        """Ends all waiting in `wait_for_change`."""
        self._executors.notify()

    async def close(self, seconds: float = CLOSING_SECONDS) -> None:
        """Lets running calls end, and closes the store. What a database that hangs keeps for longer is left behind.

        Args:
            seconds: for all calls together.
        """
        executors, closer = self._executors, Threads(1, "wsisam-store-closer")
        closed = await asyncio.gather(
            *(
                one.close(seconds)
                for one in (executors.checkers, executors.workers, executors.writer, executors.readers)
            )
        )
        if not all(closed):
            _log.warning("the store does not answer: what was asked of it last was left, and may be stored or not")
        closer.submit(self._store.close)
        await closer.close(GOODBYE_SECONDS)

    def _checked(self, drafts: Sequence[Draft | Patch]) -> Sequence[Draft | Patch]:
        lower_priority()  # the threads on which this is done do nothing else
        return self._store.checked(drafts)

    async def _write(self, call: Callable[Given, Result], *args: Given.args, **kwargs: Given.kwargs) -> Result:
        executors = self._executors
        if executors.writes >= self._waiting_writes:
            raise WsiSamServerError(Reason.STORE_BUSY, private=f"{executors.writes} changes wait")
        if executors.writer.is_stuck(self._seconds):
            raise _silent()
        running = executors.writer.submit(call, *args, **kwargs)
        executors.writes += 1  # not before: without a thread for it, it would count for ever
        asyncio.wrap_future(running).add_done_callback(executors.written)
        return await self._answer(running, partial(self._hangs, executors.writer, running), keep=True)

    async def _read(self, call: Callable[Given, Result], *args: Given.args, **kwargs: Given.kwargs) -> Result:
        readers = self._executors.readers
        if readers.is_stuck(self._seconds):
            raise _silent()
        running = readers.submit(call, *args, **kwargs)
        return await self._answer(running, partial(self._hangs, readers, running))

    def _hangs(self, threads: Threads, running: Future[Any]) -> bool:
        late = threads.run_seconds(running) > LONGEST * self._seconds
        return late or threads.silent_seconds() > self._seconds

    async def _answer(self, running: Future[Result], hangs: Callable[[], bool], *, keep: bool = False) -> Result:
        """The result of a call of a thread, or its error; STORE_UNAVAILABLE once it hangs.

        Args:
            running: the call; it is dropped where it has not begun.
            hangs: whether it does.
            keep: whether it is made also where the caller is cancelled.
        """
        answer = asyncio.wrap_future(running)
        answer.add_done_callback(seen)
        try:
            while not (await asyncio.wait({answer}, timeout=self._seconds / 4))[0]:
                if hangs():
                    running.cancel()
                    raise _silent()
        except asyncio.CancelledError:
            if not keep:
                running.cancel()
            raise
        return answer.result()


def _silent() -> WsiSamServerError:
    return WsiSamServerError(Reason.STORE_UNAVAILABLE, private="it does not answer")
