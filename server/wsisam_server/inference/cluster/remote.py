"""The replicas as one device: a queue, and a record of the embeddings that they hold."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Protocol, TypeVar

from wsisam_server.core.errors import Reason, WsiSamServerError
from wsisam_server.inference.cluster.call_queue import CallQueue
from wsisam_server.inference.cluster.calls import Refused
from wsisam_server.inference.cluster.errors import ReplicaLostError
from wsisam_server.inference.embeddings import EmbeddingCache
from wsisam_server.inference.scheduler import Prepared, Readers, timed

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from wsisam_server.core.geometry import Window
    from wsisam_server.inference.cluster.calls import Pixels, ReplicaCall, Reply
    from wsisam_server.inference.scheduler import Priority, QueueEntry, WorkItem

_log = logging.getLogger(__name__)

PAUSE_SECONDS = 0.5
"""Before a lost call is repeated: a router that has just met a dead replica needs a moment to leave it out."""

QUERY_SECONDS = 5.0
"""Timeout of a replica's lookup on its disk. After it, pixels are sent as if nothing was stored."""

Result = TypeVar("Result")


class Replicas(Protocol):
    """What carries calls to the replicas. Used from one event loop."""

    @property
    def count(self) -> int:
        """Replicas that run, as far as is known."""
        ...

    async def encode(self, call: ReplicaCall, pixels: Pixels) -> Reply:
        """See `Replica.encode`.

        Raises:
            ReplicaLostError: it was not answered.
        """
        ...

    async def predict(self, call: ReplicaCall) -> Reply:
        """See `Replica.predict`.

        Raises:
            ReplicaLostError: it was not answered.
        """
        ...

    async def to_encode(self, call: ReplicaCall) -> list[Window] | Refused:
        """See `Replica.to_encode`.

        Raises:
            ReplicaLostError: it was not answered.
        """
        ...


class RemoteDevice:
    """What all engines of this server share: the counterpart of `Device`.

    Args:
        replicas: who answers.
        per_replica: calls that may be at one of them at once, on the average.
        cache_bytes: what all their embedding caches hold together, at most.
        has_store: whether they keep encodings on disks.

    Attributes:
        cache: which fields' embeddings the replicas probably hold, and their sizes. A replica may have lost one, or
            evicted it. Then it says so, and the entry is removed.
        has_store: the argument.
        store: None, as it is the replicas'.
        write_behind: None, as there is no store here.
    """

    def __init__(self, replicas: Replicas, per_replica: int, cache_bytes: int, *, has_store: bool = False) -> None:
        self.cache: EmbeddingCache[Prepared] = EmbeddingCache(cache_bytes)
        self.has_store = has_store
        self.store = None
        self.write_behind = None
        self._replicas = replicas
        self._per_replica = per_replica
        self._call_queue = CallQueue(per_replica)
        self._readers = Readers()
        self._escalations: set[asyncio.Task[None]] = set()

    async def read(self, work_item: WorkItem, call: Callable[[], Result]) -> tuple[Result, float]:
        """Queues what blocks on a slide's file, and runs it. Returns its result and its milliseconds.

        Raises:
            WsiSamServerError: SHUTTING_DOWN.
            Exception: whatever `call` raises.
        """
        return await self._readers.run(work_item, partial(timed, call))

    async def encode(
        self, work_item: WorkItem, call: ReplicaCall, pixels: Pixels, sent: Callable[[Priority], None]
    ) -> Reply:
        """Has a field encoded when its work item is served.

        Args:
            work_item: what waits in the queues.
            call: its priority and principal become those of the entry that was served.
            pixels: of its windows.
            sent: called with that priority as the call leaves.

        Raises:
            WsiSamServerError: as the replica says, ENGINE_UNAVAILABLE, or SHUTTING_DOWN.
        """

        async def send(entry: QueueEntry) -> Reply:
            sent(entry.priority)
            return await self._replicas.encode(
                replace(call, priority=entry.priority, principal=entry.principal), pixels
            )

        return await self._ask(work_item, send)

    async def predict(self, work_item: WorkItem, call: ReplicaCall) -> Reply:
        """Has a prompt answered when its work item is served.

        Raises:
            WsiSamServerError: as the replica says, ENGINE_UNAVAILABLE, or SHUTTING_DOWN.
        """
        return await self._ask(work_item, lambda _: self._replicas.predict(call))

    async def to_encode(self, call: ReplicaCall, windows: list[Window]) -> list[Window]:
        """Which windows of a field a replica would have to encode. Asked where this server knows of no embedding.

        It is cheap there and does not queue. Where there is no answer, all of them are returned.
        """
        if not (self.has_store and call.is_lasting):
            return windows
        try:
            needed = await asyncio.wait_for(self._replicas.to_encode(call), QUERY_SECONDS)
        except (ReplicaLostError, asyncio.TimeoutError) as error:
            _log.info("could not ask what lies on a replica's disk: %r", error)
            return windows
        # What it refuses now, it refuses again when it is asked for the embedding.
        return windows if isinstance(needed, Refused) else needed

    def entry(self, work_item: WorkItem, entry: QueueEntry) -> None:
        """Adds a queue entry to a work item. Its work is sent when the first of its entries is served."""
        if entry not in work_item.entries:
            work_item.entries.append(entry)
            self._readers.join(work_item, entry)
            self._call_queue.join(work_item, entry)

    def escalate(self, call: ReplicaCall) -> None:
        """Raises the priority of an encoding that a replica was sent."""

        async def tell() -> None:
            try:
                await self._replicas.encode(call, {})
            except ReplicaLostError as error:
                _log.info("could not raise the priority of an encoding: %s", error)

        task = asyncio.ensure_future(tell())
        self._escalations.add(task)
        task.add_done_callback(self._escalations.discard)

    def resize(self) -> None:
        """Takes note of how many replicas there are now."""
        self._call_queue.set_limit(self._per_replica * max(self._replicas.count, 1))

    def waiting(self) -> dict[Priority, int]:
        """How many reads and calls wait, by priority. From any thread."""
        reads, calls = self._readers.waiting(), self._call_queue.waiting()
        return {priority: reads[priority] + calls[priority] for priority in calls}

    async def close(self) -> None:
        """Refuses new work and what waits."""
        self._call_queue.close()
        for task in self._escalations:
            task.cancel()
        await asyncio.gather(*self._escalations, return_exceptions=True)
        await self._readers.close()
        self.cache.clear()

    async def _ask(self, work_item: WorkItem, send: Callable[[QueueEntry], Awaitable[Reply]]) -> Reply:
        async with self._call_queue.slot(work_item) as entry:
            try:
                reply = await send(entry)
            except ReplicaLostError as error:
                _log.warning("asking once more: %s", error)
                await asyncio.sleep(PAUSE_SECONDS)
                try:
                    reply = await send(entry)
                except ReplicaLostError as again:
                    raise WsiSamServerError(Reason.ENGINE_UNAVAILABLE, private=str(again)) from again
        if isinstance(reply, Refused):
            raise reply.error()
        return reply
