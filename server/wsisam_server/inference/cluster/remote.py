"""The replicas as the engines here see them: one device, with its queue, and a record of what it keeps."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Protocol, TypeVar

from wsisam_server.core.errors import Reason, WsiSamServerError
from wsisam_server.inference.cluster.calls import Refused
from wsisam_server.inference.cluster.errors import ReplicaLostError
from wsisam_server.inference.cluster.turns import Turns
from wsisam_server.inference.embeddings import EmbeddingCache
from wsisam_server.inference.scheduler import Prepared, Readers, timed

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from wsisam_server.core.geometry import Window
    from wsisam_server.inference.cluster.calls import Call, Pixels, Reply
    from wsisam_server.inference.scheduler import Claim, Priority, Ticket

_log = logging.getLogger(__name__)

PAUSE_SECONDS = 0.5
"""Before a lost call is repeated: a router that has just met a dead replica needs a moment to leave it out."""

LOOK_SECONDS = 5.0
"""That a replica may take to look at its disk; then the pixels are sent as if nothing lay there."""

Result = TypeVar("Result")


class Replicas(Protocol):
    """What carries calls to the replicas. Used from one event loop."""

    @property
    def count(self) -> int:
        """Replicas that run, as far as is known."""
        ...

    async def encode(self, call: Call, pixels: Pixels) -> Reply:
        """See `Replica.encode`.

        Raises:
            ReplicaLostError: it was not answered.
        """
        ...

    async def predict(self, call: Call) -> Reply:
        """See `Replica.predict`.

        Raises:
            ReplicaLostError: it was not answered.
        """
        ...

    async def to_encode(self, call: Call) -> list[Window] | Refused:
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
        cache: which fields' embeddings are believed to be kept there, and what each takes. They may be gone: a replica
            was lost, or needed the room. Then it says so, and the entry goes.
        has_store: the argument.
        store: none that this process could count: it is the replicas'.
        behind: none, therefore.
    """

    def __init__(self, replicas: Replicas, per_replica: int, cache_bytes: int, *, has_store: bool = False) -> None:
        self.cache: EmbeddingCache[Prepared] = EmbeddingCache(cache_bytes)
        self.has_store = has_store
        self.store = None
        self.behind = None
        self._replicas = replicas
        self._per_replica = per_replica
        self._turns = Turns(per_replica)
        self._readers = Readers()
        self._hurrying: set[asyncio.Task[None]] = set()

    async def read(self, ticket: Ticket, call: Callable[[], Result]) -> tuple[Result, float]:
        """Runs what blocks on a slide's file when its turn comes. Returns its result and its milliseconds.

        Raises:
            WsiSamServerError: SHUTTING_DOWN.
            Exception: whatever `call` raises.
        """
        return await self._readers.run(ticket, partial(timed, call))

    async def encode(self, ticket: Ticket, call: Call, pixels: Pixels, sent: Callable[[Priority], None]) -> Reply:
        """Has a field encoded when its turn comes.

        Args:
            ticket: what it waits with.
            call: its priority and owner become those with which its turn came.
            pixels: of its windows.
            sent: told that priority, as the call leaves.

        Raises:
            WsiSamServerError: as the replica says, ENGINE_UNAVAILABLE, or SHUTTING_DOWN.
        """

        async def send(claim: Claim) -> Reply:
            sent(claim.priority)
            return await self._replicas.encode(replace(call, priority=claim.priority, owner=claim.owner), pixels)

        return await self._ask(ticket, send)

    async def predict(self, ticket: Ticket, call: Call) -> Reply:
        """Has a prompt answered when its turn comes.

        Raises:
            WsiSamServerError: as the replica says, ENGINE_UNAVAILABLE, or SHUTTING_DOWN.
        """
        return await self._ask(ticket, lambda _: self._replicas.predict(call))

    async def to_encode(self, call: Call, windows: list[Window]) -> list[Window]:
        """Which windows of a field, that nobody here knows to be kept, a replica would have to encode.

        It costs next to nothing there and waits for no turn. Where there is no answer, they are all of them.
        """
        if not (self.has_store and call.is_lasting):
            return windows
        try:
            needed = await asyncio.wait_for(self._replicas.to_encode(call), LOOK_SECONDS)
        except (ReplicaLostError, asyncio.TimeoutError) as error:
            _log.info("could not ask what lies on a replica's disk: %r", error)
            return windows
        # What it refuses now, it refuses again when it is asked for the embedding.
        return windows if isinstance(needed, Refused) else needed

    def claim(self, ticket: Ticket, claim: Claim) -> None:
        """Gives a ticket one more claim: its work is sent when the first of its owners' turns comes."""
        if claim not in ticket.claims:
            ticket.claims.append(claim)
            self._readers.join(ticket, claim)
            self._turns.join(ticket, claim)

    def hurry(self, call: Call) -> None:
        """Tells a replica that an encoding which it was sent is wanted more urgently."""

        async def tell() -> None:
            try:
                await self._replicas.encode(call, {})
            except ReplicaLostError as error:
                _log.info("could not hurry an encoding: %s", error)

        task = asyncio.ensure_future(tell())
        self._hurrying.add(task)
        task.add_done_callback(self._hurrying.discard)

    def resize(self) -> None:
        """Takes note of how many replicas there are now."""
        self._turns.allow(self._per_replica * max(self._replicas.count, 1))

    def waiting(self) -> dict[Priority, int]:
        """How many reads and calls wait, by priority. From any thread."""
        reads, calls = self._readers.waiting(), self._turns.waiting()
        return {priority: reads[priority] + calls[priority] for priority in calls}

    async def close(self) -> None:
        """Refuses new work and what waits."""
        self._turns.close()
        for task in self._hurrying:
            task.cancel()
        await asyncio.gather(*self._hurrying, return_exceptions=True)
        await self._readers.close()
        self.cache.clear()

    async def _ask(self, ticket: Ticket, send: Callable[[Claim], Awaitable[Reply]]) -> Reply:
        async with self._turns.turn(ticket) as claim:
            try:
                reply = await send(claim)
            except ReplicaLostError as error:
                _log.warning("asking once more: %s", error)
                await asyncio.sleep(PAUSE_SECONDS)
                try:
                    reply = await send(claim)
                except ReplicaLostError as again:
                    raise WsiSamServerError(Reason.ENGINE_UNAVAILABLE, private=str(again)) from again
        if isinstance(reply, Refused):
            raise reply.error()
        return reply
