"""One device: what all the models that run on it share."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, TypeVar

import torch

from wsisam_server.core.errors import Reason, WsiSamServerError
from wsisam_server.inference.embeddings import Behind, EmbeddingCache
from wsisam_server.inference.scheduler.memory import is_out_of_memory, release_unused
from wsisam_server.inference.scheduler.readers import Readers
from wsisam_server.inference.scheduler.worker import Worker, timed

if TYPE_CHECKING:
    from collections.abc import Callable

    from wsisam_model import Embedding
    from wsisam_server.inference.embeddings import EmbeddingStore
    from wsisam_server.inference.scheduler.engine import Priority
    from wsisam_server.inference.scheduler.fair_queue import Claim, Ticket

Result = TypeVar("Result")


class Device:
    """The thread that runs the models, the threads that read slides and weights for them, and the embedding cache.

    Torch keeps a team of CPU threads for each thread that it was ever called from, and a second team makes every step
    about a third slower: idle teams of more threads than cores do not wait in readiness. So all models run on one
    thread, and weights are loaded on another one that works without a team: no prompt waits while a model is loaded.

    Args:
        cache_bytes: limit of the embedding cache, for all models together.
        threads: CPU threads of a model's step; None for torch's own choice.
        store: where encodings are kept beyond the cache; None for nowhere.

    Whose turn it is, of the device and of the threads that read, is decided by a `FairQueue` each.

    Attributes:
        cache: the embeddings.
        store: the argument.
        behind: writes to it.
    """

    def __init__(self, cache_bytes: int, threads: int | None = None, store: EmbeddingStore | None = None) -> None:
        self.cache: EmbeddingCache[Embedding] = EmbeddingCache(cache_bytes)
        self.store = store
        self.behind = Behind(partial(torch.set_num_threads, 1))
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
        """See `Workplace.has_store`."""
        return self.store is not None

    async def read(self, ticket: Ticket, call: Callable[[], Result]) -> tuple[Result, float]:
        """Runs what blocks on a slide's file when its turn comes.

        Returns:
            Its result, and the milliseconds that it took.

        Raises:
            WsiSamServerError: SHUTTING_DOWN.
            Exception: whatever `call` raises.
        """
        return await self._readers.run(ticket, partial(timed, call))

    async def run(self, ticket: Ticket, call: Callable[[], Result]) -> tuple[Result, float]:
        """Runs a step of a model when its turn comes; if memory is full, once more with an empty embedding cache.

        Returns:
            Its result, and the milliseconds that it took.

        Raises:
            WsiSamServerError: OUT_OF_DEVICE_MEMORY; SHUTTING_DOWN.
        """

        def again() -> tuple[Result, float]:
            release_unused()
            return timed(call)

        try:
            return await self._worker.run(ticket, partial(timed, call))
        except (MemoryError, RuntimeError) as error:
            if not is_out_of_memory(error):
                raise
        self.cache.clear()
        try:
            return await self._worker.run(ticket, again)
        except (MemoryError, RuntimeError) as error:
            if not is_out_of_memory(error):
                raise
            raise WsiSamServerError(Reason.OUT_OF_DEVICE_MEMORY, private=str(error)) from error

    def claim(self, ticket: Ticket, claim: Claim) -> None:
        """Gives a ticket one more claim: its work runs when the first of its owners' turns comes."""
        if claim not in ticket.claims:
            ticket.claims.append(claim)
            self._readers.join(ticket, claim)
            self._worker.join(ticket, claim)

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
        await asyncio.to_thread(self.behind.close)
        self.cache.clear()
