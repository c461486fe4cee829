"""The engine whose model runs on replicas."""

from __future__ import annotations

import time
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING
from weakref import WeakValueDictionary

from wsisam_server.core.answers import StageTimes
from wsisam_server.core.errors import Reason, WsiSamServerError
from wsisam_server.inference.cluster.calls import MissingEmbedding, ReplicaCall
from wsisam_server.inference.scheduler import Answer, Prepared, Priority, QueueEntry, WorkItem

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import TypeAlias

    from wsisam_model import ModelSettings
    from wsisam_server.core.geometry import FieldPair, Window
    from wsisam_server.core.prompt import SlidePrompt
    from wsisam_server.inference.cluster.calls import Pixels, Reply
    from wsisam_server.inference.cluster.remote import RemoteDevice
    from wsisam_server.inference.scheduler import Features, Job, ModelInfo

    Key: TypeAlias = tuple[str, str, ModelSettings, FieldPair]

ROUNDS = 4
"""How often a prompt has its field encoded that is gone when it gets there."""

_NOT_HERE = (
    "this server's models run on other machines, and there it cannot search by exemplars; give sizes instead "
    "(filter.min_size, filter.max_size)"
)


class ClusterEngine:
    """Has one model's prompts answered by replicas.

    Args:
        info: the model.
        device: the replicas.
    """

    def __init__(self, info: ModelInfo, device: RemoteDevice) -> None:
        self._info = info
        self._device = device
        # A work item lives as long as a call waits for it.
        self._wanted: WeakValueDictionary[Key, WorkItem] = WeakValueDictionary()
        self._sent: dict[Key, Priority] = {}

    @property
    def info(self) -> ModelInfo:
        """See `Engine.info`."""
        return self._info

    @property
    def encoder(self) -> str:
        """See `Engine.encoder`: each replica has its own, and writes it to its log."""
        return ""

    async def predict(self, job: Job) -> Answer:
        """See `Engine.predict`."""
        started = time.perf_counter()
        times = StageTimes()
        work_item = WorkItem([_queue_entry(job, Priority.INTERACTIVE_DECODE)], finishes=not job.interactive)
        call = replace(self._call(job, work_item.entries[0]), mask=job.mask, candidates=job.candidates)
        for _ in range(ROUNDS):
            await self._prepared(job, times, Priority.INTERACTIVE_ENCODE, job.on_encode)
            reply = await self._device.predict(work_item, call)
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
        return replace(reply, times=times)

    async def prefetch(self, job: Job, priority: Priority = Priority.PREFETCH) -> Prepared:
        """See `Engine.prefetch`."""
        times = StageTimes()
        prepared = await self._prepared(job, times, priority)
        return Prepared(prepared.nbytes, times)

    async def features(self, job: Job) -> Features:  # noqa: ARG002 - the interface's
        """See `Engine.features`: replicas do not send what they encode."""
        raise WsiSamServerError(Reason.INVALID_FIELD, field="exemplars", problem=_NOT_HERE)

    async def predict_many(self, job: Job, prompts: Sequence[SlidePrompt]) -> list[Answer]:  # noqa: ARG002
        """See `Engine.predict_many`."""
        raise WsiSamServerError(Reason.INVALID_FIELD, field="exemplars", problem=_NOT_HERE)

    def missing_windows(self, job: Job) -> list[Window]:
        """See `Engine.missing_windows`."""
        return [] if self._key(job) in self._device.cache else self._info.windows(job.field)

    async def to_encode(self, job: Job) -> list[Window]:
        """See `Engine.to_encode`."""
        return await self._device.to_encode(
            self._call(job, _queue_entry(job, Priority.PREFETCH)), self.missing_windows(job)
        )

    async def warm_up(self) -> None:
        """See `Engine.warm_up`. Replicas do it before Ray sends them anything."""

    async def _prepared(
        self, job: Job, times: StageTimes, interactive: Priority, on_encode: Callable[[], None] | None = None
    ) -> Prepared:
        key, entry = self._key(job), _queue_entry(job, interactive)
        work_item = self._wanted.setdefault(key, WorkItem())
        self._device.entry(work_item, entry)
        if entry.priority < self._sent.get(key, entry.priority):
            self._sent[key] = entry.priority
            self._device.escalate(self._call(job, entry))

        async def compute() -> Prepared:
            call = self._call(job, entry)
            reply: Reply = MissingEmbedding()
            if not await self._device.to_encode(call, self._info.windows(job.field)):
                reply = await self._encoded(key, work_item, call, {})
            if isinstance(reply, MissingEmbedding):
                if on_encode is not None:
                    on_encode()
                reply = await self._encoded(key, work_item, call, await self._read(job, work_item, times))
            assert isinstance(reply, Prepared), "a replica that was sent all pixels lacks some"
            times.encode += reply.times.encode
            times.read += reply.times.read
            return reply

        prepared, waited = await self._device.cache.get(key, compute, background=entry.priority.is_background)
        times.encoder_runs += prepared.times.encoder_runs if waited else 0
        return prepared

    async def _encoded(self, key: Key, work_item: WorkItem, call: ReplicaCall, pixels: Pixels) -> Reply:
        try:
            return await self._device.encode(work_item, call, pixels, partial(self._sent.__setitem__, key))
        finally:
            self._sent.pop(key, None)

    async def _read(self, job: Job, work_item: WorkItem, times: StageTimes) -> Pixels:
        pixels: Pixels = {}
        # Which prompts of a model read the LR window, only the model knows; the replica encodes what it needs.
        for window in self._info.windows(job.field):
            pixels[window], spent = await self._device.read(work_item, partial(job.read, window))
            times.read += spent
        return pixels

    def _key(self, job: Job) -> Key:
        return job.slide_id, self._info.weights_hash, self._info.settings, job.field

    def _call(self, job: Job, entry: QueueEntry) -> ReplicaCall:
        return ReplicaCall(
            self._info, job.slide_id, job.field, job.prompt, entry.priority, entry.principal, job.is_lasting
        )


def _queue_entry(job: Job, interactive: Priority) -> QueueEntry:
    return QueueEntry(interactive if job.interactive else Priority.BATCH, job.principal)
