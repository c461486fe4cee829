"""One replica: a pool of models on one device of one machine, as a server without Ray has it."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING

import torch

from wsisam_server.core.errors import WsiSamServerError
from wsisam_server.inference.cluster.calls import MissingEmbedding, Refused, ReplicaCall
from wsisam_server.inference.cluster.errors import ClusterError
from wsisam_server.inference.embeddings import EmbeddingStore
from wsisam_server.inference.scheduler import (
    Device,
    Job,
    LocalEngine,
    ModelInfo,
    ModelPool,
    Priority,
    QueueEntry,
    WorkItem,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    import numpy as np
    from numpy.typing import NDArray

    from wsisam_model import WsiSam
    from wsisam_server.core.geometry import Window
    from wsisam_server.inference.cluster.calls import Pixels
    from wsisam_server.inference.cluster.replica_config import ReplicaConfig
    from wsisam_server.inference.scheduler import Answer, Engine, Prepared

_log = logging.getLogger(__name__)

ROUNDS = 3
"""How often an encoding is tried again that failed for the lack of pixels which another call did not bring."""


class _NoPixelsError(Exception):
    """A window was to be read whose pixels did not come with the call."""


class Replica:
    """Answers calls. An actor of Ray Serve, but knows nothing of Ray; used from one event loop.

    All calls are accepted at once and wait in the device's own fair queue, so that nothing waits
    in Ray's, which is first come first served.

    Where a step fails and the device then computes nothing at all, the process ends: what it was asked is then lost,
    and asked of others at once. Ray's own health checks would let it fail prompts until the third of them.

    Raises:
        ClusterError: this machine's default model is not the server's, or has no folder for embeddings.
        Exception: whatever loading it raises.
    """

    # Ray Serve awaits the constructor; a type checker knows no such thing.
    async def __init__(self, config: ReplicaConfig) -> None:  # type: ignore[misc]
        engine: Callable[[WsiSam, Device], Engine] = LocalEngine
        if config.decode_batch > 1:
            from wsisam_server.inference.cluster.batching import BatchingEngine  # noqa: PLC0415 - imports Ray

            engine = partial(BatchingEngine, most=config.decode_batch)
        store = await asyncio.to_thread(_store, config)
        self._pool = ModelPool(
            Device(config.cache_bytes, config.threads, store),
            config.model_bytes,
            config.factory.source(),
            room_seconds=config.room_seconds,
            engine=engine,
        )
        await self._pool.start(partial(self._load, config))

    async def encode(self, call: ReplicaCall, pixels: Pixels) -> Prepared | MissingEmbedding | Refused:
        """Computes the embeddings of a field, unless they are here, on this disk, or on their way: that it may hurry.

        Args:
            call: whose field is meant.
            pixels: uint8 [size, size, 3] of its windows; none where they should not be needed, or to hurry only.
        """
        job = _job(call, pixels)
        try:
            for _ in range(ROUNDS):
                async with self._engine(call) as engine:
                    try:
                        return await engine.prefetch(job, call.priority)
                    except _NoPixelsError:
                        # It may have joined the computation of a call that was to hurry it and came first.
                        if any(window not in pixels for window in engine.missing_windows(job)):
                            break
            return MissingEmbedding()
        except WsiSamServerError as error:
            return Refused.of(error)

    async def predict(self, call: ReplicaCall) -> Answer | MissingEmbedding | Refused:
        """Answers a prompt on embeddings that are here, on this disk, or on their way."""
        job = _job(call, {})
        try:
            async with self._engine(call) as engine:
                if await engine.to_encode(job):
                    return MissingEmbedding()
                return await engine.predict(job)
        except _NoPixelsError:  # evicted since it was checked
            return MissingEmbedding()
        except WsiSamServerError as error:
            return Refused.of(error)

    async def to_encode(self, call: ReplicaCall) -> list[Window] | Refused:
        """See `Engine.to_encode`: what is neither here, nor on this disk, nor on its way."""
        try:
            async with self._pool.lease(call.model) as engine:
                return await engine.to_encode(_job(call, {}))
        except WsiSamServerError as error:
            return Refused.of(error)

    async def check_health(self) -> None:
        """Runs next to nothing on the device. Ray replaces a replica where that fails or takes too long.

        Raises:
            RuntimeError: the device has failed: after some CUDA errors, all that a process asks of a GPU fails.
        """
        work_item = WorkItem([QueueEntry(Priority.INTERACTIVE_DECODE, "")])
        await self._pool.device.run(work_item, lambda: torch.ones(1, device=self._runs_on).item())

    @asynccontextmanager
    async def _engine(self, call: ReplicaCall) -> AsyncIterator[Engine]:
        try:
            async with self._pool.lease(call.model) as engine:
                yield engine
        except RuntimeError as error:
            try:
                await self.check_health()
            except RuntimeError:
                _log.critical("the device has failed, and this replica ends: %s", error)
                os._exit(1)
            raise

    async def close(self) -> None:
        """Ends running work and refuses new."""
        await self._pool.close()

    def _load(self, config: ReplicaConfig) -> WsiSam:
        model = config.factory.load()
        here, there = ModelInfo.of(model), config.default
        if here != there:
            raise ClusterError(
                f"this machine has the model {_described(here)} and the server {_described(there)}. Install the same "
                "version of wsisam and the same weights on all of them"
            )
        self._runs_on = model.device
        return model


def _job(call: ReplicaCall, pixels: Pixels) -> Job:
    def read(window: Window) -> NDArray[np.uint8]:
        try:
            return pixels[window]
        except KeyError:
            raise _NoPixelsError from None

    return Job(
        slide_id=call.slide_id,
        read=read,
        field=call.field,
        prompt=call.prompt,
        mask=call.mask,
        interactive=call.priority < Priority.BATCH,
        principal=call.principal,
        is_lasting=call.is_lasting,
        candidates=call.candidates,
    )


def _store(config: ReplicaConfig) -> EmbeddingStore | None:
    folder = config.store
    if folder is None:
        return None
    try:
        # What is there may be one that can only be read.
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ClusterError(
            f"the machine {socket.gethostname()} has no folder {folder} for embeddings, and it cannot be made: "
            f"{error.strerror}. Make it there, mount the shared one, or start the server without --embedding-store"
        ) from error
    return EmbeddingStore(folder, config.store_bytes)


def _described(info: ModelInfo) -> str:
    return f"{info.name} ({info.weights_hash[:12]}, {info.settings})"
