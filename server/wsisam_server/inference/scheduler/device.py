"""One device: what all the models that run on it share."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

import torch

from wsisam_server.core.errors import Reason, WsiSamServerError
from wsisam_server.inference.embeddings import EmbeddingCache, WriteBehindQueue
from wsisam_server.inference.scheduler.worker import Readers, Worker, timed

if TYPE_CHECKING:
    from collections.abc import Callable

    from wsisam_server.inference.embeddings import EmbeddingStore
    from wsisam_server.inference.scheduler.engine import Priority
    from wsisam_server.inference.scheduler.fair_queue import QueueEntry, WorkItem

Result = TypeVar("Result")


class Device:
    """The thread that runs the models, the threads that read slides and weights for them, and the embedding cache.

    Torch keeps an OpenMP team of threads for each thread that it was called from. A second team makes every step about
    a third slower, as idle teams of more threads than cores do not spin. So all models run on one thread. Weights are
    loaded on another thread without a team, so that no prompt waits while a model is loaded.

    Args:
        cache_bytes: limit of the embedding cache, for all models together.
        threads: CPU threads of a model's step; None for torch's own choice.
        store: where encodings are kept beyond the cache; None for nowhere.

    The device and the threads that read have a `FairQueue` each.

    Attributes:
        cache: the embeddings, and the features of windows that are searched.
        store: the argument.
        write_behind: queue of writes to it.
    """

    def __init__(self, cache_bytes: int, threads: int | None = None, store: EmbeddingStore | None = None) -> None:
        self.cache: EmbeddingCache[Any] = EmbeddingCache(cache_bytes)
        self.store = store
        self.write_behind = WriteBehindQueue(partial(torch.set_num_threads, 1))
        self._readers = Readers()
        # The number counts for the thread that sets it, and for threads that torch meets later: set by the worker last.
        self._loader = ThreadPoolExecutor(
            max_workers=1,
            thread_name_prefix="wsisam-loader",
            initializer=partial(torch.set_num_threads, 1),
        )
        prepare = partial(torch.set_num_threads, threads or torch.get_num_threads())
        self._worker = Worker("wsisam-device", prepare=prepare)

    @property
    def has_store(self) -> bool:
        """See `ModelDevice.has_store`."""
        return self.store is not None

    async def read(self, work_item: WorkItem, call: Callable[[], Result]) -> tuple[Result, float]:
        """Queues what blocks on a slide's file, and runs it.

        Returns:
            Its result, and the milliseconds that it took.

        Raises:
            WsiSamServerError: SHUTTING_DOWN.
            Exception: whatever `call` raises.
        """
        return await self._readers.run(work_item, partial(timed, call))

    async def run(self, work_item: WorkItem, call: Callable[[], Result]) -> tuple[Result, float]:
        """Queues and runs a step of a model; if memory is full, once more with an empty embedding cache.

        Returns:
            Its result, and the milliseconds that it took.

        Raises:
            WsiSamServerError: OUT_OF_DEVICE_MEMORY; SHUTTING_DOWN.
        """

        def again() -> tuple[Result, float]:
            release_unused()
            return timed(call)

        try:
            return await self._worker.run(work_item, partial(timed, call))
        except (MemoryError, RuntimeError) as error:
            if not is_out_of_memory(error):
                raise
        self.cache.clear()
        try:
            return await self._worker.run(work_item, again)
        except (MemoryError, RuntimeError) as error:
            if not is_out_of_memory(error):
                raise
            raise WsiSamServerError(Reason.OUT_OF_DEVICE_MEMORY, private=str(error)) from error

    def entry(self, work_item: WorkItem, entry: QueueEntry) -> None:
        """Adds a queue entry to a work item. Its work runs when the first of its entries is served."""
        if entry not in work_item.entries:
            work_item.entries.append(entry)
            self._readers.join(work_item, entry)
            self._worker.join(work_item, entry)

    def waiting(self) -> dict[Priority, int]:
        """How many reads and steps of a model wait, by priority. From any thread."""
        reads, steps = self._readers.waiting(), self._worker.waiting()
        return {priority: reads[priority] + steps[priority] for priority in steps}

    async def load(self, call: Callable[[], Result]) -> Result:
        """Runs what loads weights, beside the steps of other models. One at a time.

        Raises:
            Exception: whatever `call` raises.
        """
        return await asyncio.get_running_loop().run_in_executor(self._loader, call)

    async def close(self) -> None:
        """Lets the running step end, refuses new ones, writes what is to be kept, and drops the embeddings."""
        await self._worker.close()
        await self._readers.close()
        # A load that has begun cannot be interrupted; it must not outlive the device.
        await asyncio.to_thread(self._loader.shutdown, wait=True, cancel_futures=True)
        await asyncio.to_thread(self.write_behind.close)
        self.cache.clear()


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error of a model's step means that the device's memory is full."""
    # On the CPU torch has no class of its own for it: a RuntimeError from the allocator.
    return isinstance(error, (MemoryError, torch.cuda.OutOfMemoryError)) or "DefaultCPUAllocator" in str(error)


def release_unused() -> None:
    """Gives back what torch keeps of the device's memory without using it."""
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
