"""The engine on this machine's device: embeddings are cached here, where they were made."""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar

import numpy as np
import torch

from wsisam_model import Embedding, Prompt, Role, WsiSam
from wsisam_server.embeddings import EmbeddingCache
from wsisam_server.errors import Reason, WsiSamServerError
from wsisam_server.scheduler.engine import Answer, Job, ModelInfo, Priority, StageTimes
from wsisam_server.scheduler.worker import DeviceWorker

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from wsisam_server.geometry import FieldPair, Window

READERS = 4
"""Threads that read slides. Reading is decompression and I/O outside Python's lock; four keep one device fed."""

Result = TypeVar("Result")


class LocalEngine:
    """Runs one model on one device of this machine.

    Args:
        model: loaded, on its device.
        cache_bytes: limit of the embedding cache.
        worker: the device's thread; a new one if not given.
    """

    def __init__(self, model: WsiSam, cache_bytes: int, worker: DeviceWorker | None = None) -> None:
        self._model = model
        self._worker = worker or DeviceWorker()
        self._readers = ThreadPoolExecutor(max_workers=READERS, thread_name_prefix="wsisam-reader")
        self.cache: EmbeddingCache[Embedding] = EmbeddingCache(cache_bytes)
        self._info = ModelInfo(
            name=model.name,
            description=model.description,
            image_size=model.image_size,
            weights_hash=model.weights_hash,
            uses_low=model.uses_low,
            mask_feedback=model.settings.mask_feedback,
        )

    @classmethod
    async def load(cls, load_model: Callable[[], WsiSam], cache_bytes: int) -> LocalEngine:
        """Loads the model on the thread that will run it.

        Torch keeps a team of CPU threads for each thread that it was ever called from. A second team makes every step
        about a third slower, because idle teams of more threads than cores do not wait in readiness; and the number
        of threads that the loading sets counts only for the thread that sets it.

        Raises:
            Exception: whatever `load_model` raises.
        """
        worker = DeviceWorker()
        try:
            model = await worker.run(Priority.INTERACTIVE_ENCODE, load_model)
        except BaseException:
            await worker.close()
            raise
        return cls(model, cache_bytes, worker)

    @property
    def info(self) -> ModelInfo:
        """See `Engine.info`."""
        return self._info

    async def predict(self, job: Job) -> Answer:
        """See `Engine.predict`."""
        started = time.perf_counter()
        times = StageTimes()
        prompt = _prompt(job)
        parts = self._parts(job.field, prompt)
        if job.on_encode is not None and self._lacking(job.slide_id, parts):
            job.on_encode()
        high, low = await self._field(job, parts, times)
        priority = Priority.INTERACTIVE_DECODE if job.interactive else Priority.BATCH
        prediction, times.decode = await self._on_device(priority, lambda: self._model.decode(high, low, prompt))
        spent = (time.perf_counter() - started) * 1000
        times.queue = max(spent - times.read - times.encode - times.decode, 0.0)
        return Answer(prediction.logits, prediction.iou, times)

    def lacking(self, job: Job) -> list[Window]:
        """See `Engine.lacking`."""
        return self._lacking(job.slide_id, self._parts(job.field, _prompt(job)))

    async def warm_up(self) -> None:
        """See `Engine.warm_up`."""
        size = self._model.image_size

        def run() -> None:
            embedding = self._model.encode(np.full((size, size, 3), 255, np.uint8))
            low = embedding if self._model.uses_low else None
            self._model.decode(embedding, low, Prompt(box=(0.25 * size, 0.25 * size, 0.75 * size, 0.75 * size)))

        await self._on_device(Priority.INTERACTIVE_ENCODE, run)

    async def close(self) -> None:
        """See `Engine.close`."""
        await self._worker.close()
        self._readers.shutdown(wait=True, cancel_futures=True)
        self.cache.clear()

    async def _field(
        self, job: Job, parts: list[tuple[Window, Role]], times: StageTimes
    ) -> tuple[Embedding, Embedding | None]:
        tasks = [asyncio.ensure_future(self._embedding(job, window, role, times)) for window, role in parts]
        try:
            embeddings = await asyncio.gather(*tasks)
        finally:
            # When one fails, or the caller is cancelled, the other must not go on unattended.
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        return embeddings[0], embeddings[1] if len(embeddings) > 1 else None

    async def _embedding(self, job: Job, window: Window, role: Role, times: StageTimes) -> Embedding:
        priority = Priority.INTERACTIVE_ENCODE if job.interactive else Priority.BATCH

        async def compute() -> Embedding:
            started = time.perf_counter()
            pixels = await asyncio.get_running_loop().run_in_executor(self._readers, job.read, window)
            times.read += (time.perf_counter() - started) * 1000
            embedding, spent = await self._on_device(priority, lambda: self._encode(pixels, role))
            times.encode += spent
            return embedding

        embedding, waited = await self.cache.get(self._key(job.slide_id, window, role), compute)
        times.encoder_runs += int(waited)
        return embedding

    def _encode(self, pixels: NDArray[np.uint8], role: Role) -> Embedding:
        return self._model.encode(pixels, roles=(role,))

    def _parts(self, windows: FieldPair, prompt: Prompt) -> list[tuple[Window, Role]]:
        parts: list[tuple[Window, Role]] = [(windows.high, "high")]
        if self._model.reads_low(prompt):
            parts.append((windows.low, "low"))
        return parts

    def _lacking(self, slide_id: str, parts: list[tuple[Window, Role]]) -> list[Window]:
        return [window for window, role in parts if self._key(slide_id, window, role) not in self.cache]

    def _key(self, slide_id: str, window: Window, role: Role) -> tuple[str, str, Window, Role]:
        return slide_id, self._info.weights_hash, window, role

    async def _on_device(self, priority: Priority, call: Callable[[], Result]) -> tuple[Result, float]:
        """Runs a call on the device; when its memory is full, once more with an empty cache."""

        def timed() -> tuple[Result, float]:
            started = time.perf_counter()
            result = call()
            return result, (time.perf_counter() - started) * 1000

        try:
            return await self._worker.run(priority, timed)
        except (MemoryError, RuntimeError) as error:
            if not _out_of_memory(error):
                raise
        self.cache.clear()
        try:
            return await self._worker.run(priority, lambda: _after_release(timed))
        except (MemoryError, RuntimeError) as error:
            if not _out_of_memory(error):
                raise
            raise WsiSamServerError(Reason.OUT_OF_DEVICE_MEMORY, private=str(error)) from error


def _prompt(job: Job) -> Prompt:
    points, labels, box = job.prompt.to_model(job.field.high)
    return Prompt(points=points, labels=labels, box=box, mask=job.mask)


def _after_release(call: Callable[[], Result]) -> Result:
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    return call()


def _out_of_memory(error: BaseException) -> bool:
    # On the CPU torch has no class of its own for it: a RuntimeError from the allocator.
    return isinstance(error, (MemoryError, torch.cuda.OutOfMemoryError)) or "DefaultCPUAllocator" in str(error)
