"""Doubles of what runs models: they answer at once, by what is dark, without torch, queues or a device's threads.

`FakeEngine` is held to the contract of engines (tests/inference/scheduler/test_fake_engine.py).
"""

import asyncio
import time
from collections import Counter, deque
from contextlib import asynccontextmanager
from types import SimpleNamespace

from support.dark_parts import DarkParts
from wsisam_model import Prompt
from wsisam_server.core.answers import StageTimes
from wsisam_server.core.errors import Reason, WsiSamServerError
from wsisam_server.inference.scheduler import (
    Answer,
    AvailableModel,
    ModelInfo,
    ModelStatus,
    Prepared,
    Priority,
    ScoredMask,
)


class FakeEngine:
    """An engine that finds what is dark.

    Attributes:
        asked: the jobs that `predict` got, in order.
        fetched: the jobs that `prefetch` got, each with its priority.
        errors: what the next calls of `predict` raise, first come first; an empty deque for none.
        counters: `computed`, how many windows were encoded.
    """

    def __init__(self):
        self._model = DarkParts()
        self.info = ModelInfo.of(self._model)
        self.encoder = self._model.encoder_runner.description
        self.asked, self.fetched, self.errors = [], [], deque()
        self.counters = SimpleNamespace(computed=0, hits=0)
        self._kept, self._locks = {}, {}

    async def predict(self, job):
        self.asked.append(job)
        if self.errors:
            raise self.errors.popleft()
        if job.on_encode is not None and self.missing_windows(job):
            job.on_encode()
        times = StageTimes()
        embedding = await self._embedding(job, times)
        started = time.perf_counter()
        points, labels, box = job.prompt.to_model(job.field.high)
        prompt = Prompt(points=points, labels=labels, box=box, mask=job.mask)
        made = self._model.decode(embedding, None, prompt, want_candidates=job.candidates)
        times.decode = (time.perf_counter() - started) * 1000
        candidates = tuple(ScoredMask(one.logits, one.iou) for one in made.candidates)
        return Answer(made.logits, made.iou, times, candidates)

    async def prefetch(self, job, priority=Priority.PREFETCH):
        self.fetched.append((job, priority))
        times = StageTimes()
        return Prepared((await self._embedding(job, times)).nbytes, times)

    def missing_windows(self, job):
        return [] if (job.slide_id, job.field.high) in self._kept else [job.field.high]

    async def to_encode(self, job):
        return self.missing_windows(job)

    async def warm_up(self):
        pass

    def forget(self):
        """Evicts all that it keeps."""
        self._kept.clear()

    def discard_where(self, belongs):
        self._kept = {key: value for key, value in self._kept.items() if not belongs(key)}

    async def _embedding(self, job, times):
        key = job.slide_id, job.field.high
        async with self._locks.setdefault(key, asyncio.Lock()):
            if key in self._kept:
                self.counters.hits += 1
                return self._kept[key]
            pixels = await asyncio.to_thread(job.read, job.field.high)
            started = time.perf_counter()
            self._kept[key] = self._model.encode(pixels)
            times.encode += (time.perf_counter() - started) * 1000
            times.encoder_runs += 1
            self.counters.computed += 1
            return self._kept[key]


class FakePlace:
    """A workplace without queues."""

    has_store, store, write_behind = False, None, None

    def __init__(self, engine):
        self.cache = engine

    async def read(self, work_item, call):
        started = time.perf_counter()
        result = await asyncio.to_thread(call)
        return result, (time.perf_counter() - started) * 1000

    def waiting(self):
        return dict.fromkeys(Priority, 0)


class FakeModels:
    """One loaded model, on a fake engine.

    Attributes:
        leased: how many leases were taken, and are held now.
    """

    def __init__(self):
        self.engine = FakeEngine()
        self.device = FakePlace(self.engine)
        self.leased = Counter()

    async def start(self, load):
        pass

    def info(self, name):
        if name not in {"", self.engine.info.name}:
            raise WsiSamServerError(Reason.UNKNOWN_MODEL, model=name, available=self.engine.info.name)
        return self.engine.info

    def listed(self):
        return [ModelStatus(AvailableModel(self.engine.info, 0), loaded=True, nbytes=0)]

    def loaded(self):
        return {self.engine.info.name: 0}

    @asynccontextmanager
    async def lease(self, info, on_load=None):
        self.leased.update(taken=1, held=1)
        try:
            yield self.engine
        finally:
            self.leased.update(held=-1)

    async def close(self):
        pass
