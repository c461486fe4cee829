"""The engine on this machine's device: embeddings are cached here, where they were made."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Final
from weakref import WeakValueDictionary

import numpy as np

from wsisam_model import Embedding, ModelSettings, Prediction, Prompt, Role, WsiSam
from wsisam_server.core.answers import StageTimes
from wsisam_server.inference.scheduler.engine import Answer, Features, Job, ModelInfo, Prepared, Priority, ScoredMask
from wsisam_server.inference.scheduler.fair_queue import QueueEntry, WorkItem
from wsisam_server.inference.scheduler.kept import KeptFeatures, kept_key
from wsisam_server.inference.scheduler.stored import StoredFeatures

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import TypeAlias

    from numpy.typing import NDArray

    from wsisam_model import EncoderOutput
    from wsisam_server.core.geometry import FieldPair, Window
    from wsisam_server.core.prompt import SlidePrompt
    from wsisam_server.inference.scheduler.device import Device

    Key: TypeAlias = tuple[str, str, ModelSettings, Window, str, str]

PROMPTS_AT_ONCE: Final = 4
"""Of `predict_many` in one step of the device: a click of somebody else waits no longer than for so many."""


class LocalEngine:
    """Runs one model on one device of this machine.

    Args:
        model: loaded, on its device.
        device: what it shares with the other models there.
    """

    def __init__(self, model: WsiSam, device: Device) -> None:
        self._model = model
        self._device = device
        self._stored = None if device.store is None else StoredFeatures(model, device.store)
        # Embeddings that took no encoder run; whoever joins in waiting for one must know it, too.
        self._loaded: WeakValueDictionary[int, Embedding | KeptFeatures] = WeakValueDictionary()
        # A work item lives as long as a call waits for it.
        self._wanted: WeakValueDictionary[Key, WorkItem] = WeakValueDictionary()
        self._info = ModelInfo.of(model)

    @property
    def info(self) -> ModelInfo:
        """See `Engine.info`."""
        return self._info

    @property
    def encoder(self) -> str:
        """See `Engine.encoder`."""
        return self._model.encoder_runner.description

    async def predict(self, job: Job) -> Answer:
        """See `Engine.predict`."""
        started = time.perf_counter()
        times = StageTimes()
        prompt = _prompt(job)
        parts = self._parts(job.field, prompt)
        if job.on_encode is not None and await self._to_encode(job, parts):
            job.on_encode()
        high, low = await self._field(job, parts, times, Priority.INTERACTIVE_ENCODE, prompt)
        entry = _queue_entry(job, Priority.INTERACTIVE_DECODE)
        prediction, times.decode = await self._decode(high, low, prompt, entry, candidates=job.candidates)
        spent = (time.perf_counter() - started) * 1000
        times.queue = max(spent - times.read - times.encode - times.decode, 0.0)
        candidates = tuple(ScoredMask(one.logits, one.score) for one in prediction.candidates)
        return Answer(prediction.logits, prediction.score, times, candidates, ranked=self._model.ranks_candidates)

    async def prefetch(self, job: Job, priority: Priority = Priority.PREFETCH) -> Prepared:
        """See `Engine.prefetch`."""
        times = StageTimes()
        prompt = _prompt(job)
        # Before any prompt, its kind is not known.
        first = None if priority is Priority.PREFETCH else prompt
        high, low = await self._field(job, self._parts(job.field, prompt), times, priority, first)
        return Prepared(high.nbytes + (low.nbytes if low is not None else 0), times)

    async def features(self, job: Job) -> Features:
        """See `Engine.features`."""
        times = StageTimes()
        kept = await self._kept(job, times)
        return Features(kept.values, kept.groups, times)

    async def predict_many(self, job: Job, prompts: Sequence[SlidePrompt]) -> list[Answer]:
        """See `Engine.predict_many`."""
        if not prompts:
            return []
        times, entry = StageTimes(), _queue_entry(job, Priority.INTERACTIVE_DECODE)
        kept = await self._kept(job, times)
        asked = [_prompt(replace(job, prompt=one, mask=None)) for one in prompts]

        def prepared() -> Embedding:
            features = kept.features(self._model.dtype, self._model.device)
            roles: tuple[Role, ...] = ("high",)
            return self._model.prepare(features, roles=roles, prompt=asked[0])

        embedding, _ = await self._device.run(WorkItem([entry]), prepared)
        answers: list[Answer] = []
        for begin in range(0, len(asked), PROMPTS_AT_ONCE):
            some = asked[begin : begin + PROMPTS_AT_ONCE]
            predictions, spent = await self._device.run(
                WorkItem([entry]), partial(self._model.decode_many, embedding, None, some)
            )
            answers += [Answer(one.logits, one.score, StageTimes(decode=spent / len(some))) for one in predictions]
        answers[0] = replace(answers[0], times=answers[0].times + times)
        return answers

    def missing_windows(self, job: Job) -> list[Window]:
        """See `Engine.missing_windows`."""
        return [window for window, _ in self._missing_windows(job.slide_id, self._parts(job.field, _prompt(job)))]

    async def to_encode(self, job: Job) -> list[Window]:
        """See `Engine.to_encode`."""
        return await self._to_encode(job, self._parts(job.field, _prompt(job)))

    async def warm_up(self) -> None:
        """See `Engine.warm_up`."""
        size = self._model.image_size

        def run() -> None:
            embedding = self._model.encode(np.full((size, size, 3), 255, np.uint8))
            low = embedding if self._model.wants_low else None
            self._model.decode(embedding, low, Prompt(box=(0.25 * size, 0.25 * size, 0.75 * size, 0.75 * size)))

        await self._device.run(WorkItem([QueueEntry(Priority.INTERACTIVE_ENCODE, "")]), run)

    async def _decode(
        self, high: Embedding, low: Embedding | None, prompt: Prompt, entry: QueueEntry, *, candidates: bool
    ) -> tuple[Prediction, float]:
        return await self._device.run(
            WorkItem([entry], finishes=entry.priority.is_background),
            lambda: self._model.decode(high, low, prompt, want_candidates=candidates),
        )

    async def _field(
        self,
        job: Job,
        parts: list[tuple[Window, Role]],
        times: StageTimes,
        interactive: Priority,
        prompt: Prompt | None,
    ) -> tuple[Embedding, Embedding | None]:
        entry = _queue_entry(job, interactive)
        tasks = [asyncio.ensure_future(self._embedding(job, *part, times, entry, prompt)) for part in parts]
        try:
            embeddings = await asyncio.gather(*tasks)
        finally:
            # When one fails, or the caller is cancelled, the other must not go on unattended.
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        return embeddings[0], embeddings[1] if len(embeddings) > 1 else None

    async def _embedding(
        self, job: Job, window: Window, role: Role, times: StageTimes, entry: QueueEntry, prompt: Prompt | None
    ) -> Embedding:
        key = self._key(job.slide_id, window, role)
        # Whoever joins in waiting has an entry of their own: the first to ask may have been a batch.
        work_item = self._wanted.setdefault(key, WorkItem())
        self._device.entry(work_item, entry)

        async def compute() -> Embedding:
            stored = self._stored if job.is_lasting else None
            if stored is not None:
                features, spent = await self._device.read(work_item, partial(stored.load, job.slide_id, window, role))
                times.read += spent
                if features is not None:
                    (embedding, own), spent = await self._device.run(
                        work_item, lambda: self._prepared(features, role, prompt)
                    )
                    times.read += spent
                    if own is not features:
                        self._device.write_behind.put(partial(stored.save, job.slide_id, window, role, own))
                    self._loaded[id(embedding)] = embedding
                    return embedding
            pixels, spent = await self._device.read(work_item, lambda: job.read(window))
            times.read += spent
            (embedding, raw), spent = await self._device.run(
                work_item, lambda: self._encode(pixels, role, prompt, stored)
            )
            times.encode += spent
            if stored is not None and raw is not None:
                self._device.write_behind.put(partial(stored.save, job.slide_id, window, role, raw))
            return embedding

        embedding: Embedding
        embedding, waited = await self._device.cache.get(key, compute, background=entry.priority.is_background)
        times.encoder_runs += int(waited and id(embedding) not in self._loaded)
        return embedding

    async def _kept(self, job: Job, times: StageTimes) -> KeptFeatures:
        """The features of a job's HR window: of the cache, the disk, or the encoder."""
        window, stored = job.field.high, self._stored if job.is_lasting else None
        key = kept_key(job.slide_id, self._info, window, self._model.encoder_runner.number_type)
        work_item = self._wanted.setdefault(key, WorkItem())
        entry = _queue_entry(job, Priority.INTERACTIVE_ENCODE)
        self._device.entry(work_item, entry)

        async def compute() -> KeptFeatures:
            if stored is not None:
                known, spent = await self._device.read(work_item, partial(stored.load, job.slide_id, window, "high"))
                times.read += spent
                if known is not None:
                    own, spent = await self._device.run(work_item, partial(self._model.with_own_last_stage, known))
                    times.read += spent
                    kept = KeptFeatures.of(own)
                    self._loaded[id(kept)] = kept
                    return kept
            pixels, spent = await self._device.read(work_item, lambda: job.read(window))
            times.read += spent
            made, spent = await self._device.run(work_item, lambda: self._model.features(pixels))
            times.encode += spent
            if stored is not None:
                self._device.write_behind.put(partial(stored.save, job.slide_id, window, "high", made))
            return KeptFeatures.of(made)

        kept: KeptFeatures
        kept, waited = await self._device.cache.get(key, compute, background=entry.priority.is_background)
        times.encoder_runs += int(waited and id(kept) not in self._loaded)
        return kept

    def _prepared(self, features: EncoderOutput, role: Role, prompt: Prompt | None) -> tuple[Embedding, EncoderOutput]:
        """An embedding of stored features, and these with this model's own last stage."""
        own = self._model.with_own_last_stage(features)
        return self._model.prepare(own, roles=(role,), prompt=prompt), own

    def _encode(
        self, pixels: NDArray[np.uint8], role: Role, prompt: Prompt | None, stored: StoredFeatures | None
    ) -> tuple[Embedding, EncoderOutput | None]:
        """An embedding, and what of it is to be stored if anything is."""
        if stored is None:
            return self._model.encode(pixels, roles=(role,), prompt=prompt), None
        features = self._model.features(pixels, middle=self._model.encodes_middle(role))
        return self._model.prepare(features, roles=(role,), prompt=prompt), features

    def _parts(self, windows: FieldPair, prompt: Prompt) -> list[tuple[Window, Role]]:
        parts: list[tuple[Window, Role]] = [(windows.high, "high")]
        if self._model.reads_low(prompt):
            parts.append((self._info.low_window(windows), "low"))
        return parts

    def _missing_windows(self, slide_id: str, parts: list[tuple[Window, Role]]) -> list[tuple[Window, Role]]:
        return [part for part in parts if self._key(slide_id, *part) not in self._device.cache]

    async def _to_encode(self, job: Job, parts: list[tuple[Window, Role]]) -> list[Window]:
        missing_windows, stored = self._missing_windows(job.slide_id, parts), self._stored
        if stored is None or not job.is_lasting or not missing_windows:
            return [window for window, _ in missing_windows]
        there = await asyncio.to_thread(lambda: [stored.has(job.slide_id, *part) for part in missing_windows])
        return [window for (window, _), is_there in zip(missing_windows, there, strict=True) if not is_there]

    def _key(self, slide_id: str, window: Window, role: str) -> Key:
        # The settings too: what is prepared of an embedding follows from them.
        number_type = self._model.encoder_runner.number_type
        return slide_id, self._info.weights_hash, self._info.settings, window, role, number_type


def _queue_entry(job: Job, interactive: Priority) -> QueueEntry:
    return QueueEntry(interactive if job.interactive else Priority.BATCH, job.principal)


def _prompt(job: Job) -> Prompt:
    points, labels, box = job.prompt.to_model(job.field.high)
    return Prompt(points=points, labels=labels, box=box, mask=job.mask)
