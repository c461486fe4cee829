"""The engine whose model is elsewhere."""

from __future__ import annotations

import time
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING
from weakref import WeakValueDictionary

from wsisam_server.core.answers import StageTimes
from wsisam_server.core.errors import Reason, WsiSamServerError
from wsisam_server.inference.cluster.calls import Call, Lacking
from wsisam_server.inference.scheduler import Answer, Claim, Prepared, Priority, Ticket

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeAlias

    from wsisam_model import ModelSettings
    from wsisam_server.core.geometry import FieldPair, Window
    from wsisam_server.inference.cluster.calls import Pixels, Reply
    from wsisam_server.inference.cluster.remote import RemoteDevice
    from wsisam_server.inference.scheduler import Job, ModelInfo

    Key: TypeAlias = tuple[str, str, ModelSettings, FieldPair]

ROUNDS = 4
"""How often a prompt has its field encoded that is gone when it gets there."""


class ClusterEngine:
    """Has one model's prompts answered by replicas.

    Args:
        info: the model.
        device: the replicas.
    """

    def __init__(self, info: ModelInfo, device: RemoteDevice) -> None:
        self._info = info
        self._device = device
        # A ticket lives as long as somebody waits for what it stands for.
        self._wanted: WeakValueDictionary[Key, Ticket] = WeakValueDictionary()
        self._sent: dict[Key, Priority] = {}

    @property
    def info(self) -> ModelInfo:
        """See `Engine.info`."""
        return self._info

    async def predict(self, job: Job) -> Answer:
        """See `Engine.predict`."""
        started = time.perf_counter()
        times = StageTimes()
        ticket = Ticket([_claim(job, Priority.INTERACTIVE_DECODE)])
        call = replace(self._call(job, ticket.claims[0]), mask=job.mask)
        for _ in range(ROUNDS):
            await self._prepared(job, times, Priority.INTERACTIVE_ENCODE, job.on_encode)
            reply = await self._device.predict(ticket, call)
            if isinstance(reply, Answer):
                break
            # Its replica needed the room, or was lost.
            self._device.cache.discard(self._key(job))
        else:
            problem = "the embedding was gone each time: the replicas' caches are too small for what is asked at once"
            raise WsiSamServerError(Reason.ENGINE_UNAVAILABLE, private=problem)
        times.decode = reply.times.decode
        times.read += reply.times.read  # from its disk, if it had no room for it meanwhile
        spent = (time.perf_counter() - started) * 1000
        times.queue = max(spent - times.read - times.encode - times.decode, 0.0)
        return Answer(reply.logits, reply.score, times)

    async def prefetch(self, job: Job, priority: Priority = Priority.PREFETCH) -> Prepared:
        """See `Engine.prefetch`."""
        times = StageTimes()
        prepared = await self._prepared(job, times, priority)
        return Prepared(prepared.nbytes, times)

    def lacking(self, job: Job) -> list[Window]:
        """See `Engine.lacking`."""
        return [] if self._key(job) in self._device.cache else self._info.windows(job.field)

    async def to_encode(self, job: Job) -> list[Window]:
        """See `Engine.to_encode`."""
        return await self._device.to_encode(self._call(job, _claim(job, Priority.PREFETCH)), self.lacking(job))

    async def warm_up(self) -> None:
        """See `Engine.warm_up`. Replicas do it before Ray sends them anything."""

    async def _prepared(
        self, job: Job, times: StageTimes, interactive: Priority, on_encode: Callable[[], None] | None = None
    ) -> Prepared:
        key, claim = self._key(job), _claim(job, interactive)
        ticket = self._wanted.setdefault(key, Ticket())
        self._device.claim(ticket, claim)
        if claim.priority < self._sent.get(key, claim.priority):
            self._sent[key] = claim.priority
            self._device.hurry(self._call(job, claim))

        async def compute() -> Prepared:
            call = self._call(job, claim)
            reply: Reply = Lacking()
            if not await self._device.to_encode(call, self._info.windows(job.field)):
                reply = await self._encoded(key, ticket, call, {})
            if isinstance(reply, Lacking):
                if on_encode is not None:
                    on_encode()
                reply = await self._encoded(key, ticket, call, await self._read(job, ticket, times))
            assert isinstance(reply, Prepared), "a replica that was sent all pixels lacks some"
            times.encode += reply.times.encode
            times.read += reply.times.read
            return reply

        prepared, waited = await self._device.cache.get(key, compute, passing=claim.priority.passes)
        times.encoder_runs += prepared.times.encoder_runs if waited else 0
        return prepared

    async def _encoded(self, key: Key, ticket: Ticket, call: Call, pixels: Pixels) -> Reply:
        try:
            return await self._device.encode(ticket, call, pixels, partial(self._sent.__setitem__, key))
        finally:
            self._sent.pop(key, None)

    async def _read(self, job: Job, ticket: Ticket, times: StageTimes) -> Pixels:
        pixels: Pixels = {}
        # Which prompts of a model read the LR window, only the model knows; the replica encodes what it needs.
        for window in self._info.windows(job.field):
            pixels[window], spent = await self._device.read(ticket, partial(job.read, window))
            times.read += spent
        return pixels

    def _key(self, job: Job) -> Key:
        return job.slide_id, self._info.weights_hash, self._info.settings, job.field

    def _call(self, job: Job, claim: Claim) -> Call:
        return Call(self._info, job.slide_id, job.field, job.prompt, claim.priority, claim.owner, job.is_lasting)


def _claim(job: Job, interactive: Priority) -> Claim:
    return Claim(interactive if job.interactive else Priority.BATCH, job.owner)
