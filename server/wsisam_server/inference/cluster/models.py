"""The models of a server whose engine is a cluster: the counterpart of `ModelPool`."""

from __future__ import annotations

import asyncio
import logging
import signal
import threading
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from wsisam_server.core.errors import Reason, WsiSamServerError
from wsisam_server.core.settings import MIB
from wsisam_server.inference.cluster.engine import ClusterEngine
from wsisam_server.inference.cluster.errors import ClusterError
from wsisam_server.inference.cluster.head_check import check_head
from wsisam_server.inference.cluster.remote import RemoteDevice
from wsisam_server.inference.cluster.replica_config import ModelFactory, ReplicaConfig
from wsisam_server.inference.scheduler import AvailableModel, ModelInfo, ModelStatus, find_available

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Collection, Mapping
    from pathlib import Path

    from wsisam_model import WsiSam
    from wsisam_server.core.settings import Limits, Ray
    from wsisam_server.inference.cluster.deploy import RayReplicas
    from wsisam_server.inference.scheduler import Engine, ModelSource

_log = logging.getLogger(__name__)

POLL_SECONDS = 1.0
"""How often this server polls the number of replicas."""


class ClusterModels:
    """The `Models` of a server on Ray. Used from one event loop.

    Each replica holds a pool of models of its own, within the limit, and loads one when it is first asked for it. This
    side knows which there are, and holds none.

    Args:
        factory: how models are made there.
        source: the same models beside the default, as they are known here.
        settings: where the replicas run, and how many.
        limits: cache, weights and the folder of `store`, for each replica.
        threads: CPU threads of a model's step; as many as a replica has cores if not given.
        known: names of models that exist but may have no weights here.
        store: folder of each node, its own or a shared one, where replicas keep encodings; None for nowhere.

    Raises:
        ClusterError: Ray is not installed, or there is no cluster at the address.
    """

    def __init__(
        self,
        factory: ModelFactory,
        source: ModelSource,
        settings: Ray,
        limits: Limits,
        *,
        threads: int | None = None,
        known: Collection[str] = (),
        store: Path | None = None,
    ) -> None:
        # Before anything that takes time: importing Ray, loading the model.
        if settings.address is not None:
            check_head(settings.address)
        self._replicas = _replicas(settings)
        cache_bytes = max(settings.replicas, settings.max_replicas or 0) * limits.embedding_cache_bytes
        self.device = RemoteDevice(self._replicas, settings.calls_per_replica, cache_bytes, has_store=store is not None)
        # As it is understood here: replicas have other working directories.
        self._store = None if store is None else store.absolute()
        self._factory = factory
        self._limits = limits
        self._threads = threads or max(int(settings.cpus), 1)
        self._decode_batch = settings.decode_batch
        self._source = source
        self._known = known
        self._default: AvailableModel | None = None
        self._engines: dict[ModelInfo, ClusterEngine] = {}
        self._watching: asyncio.Task[None] | None = None

    async def start(self, load: Callable[[], WsiSam]) -> None:
        """Starts the replicas, and waits until all of them run the default model.

        Args:
            load: loads it here, for a moment: what the replicas load must be the same.

        Raises:
            ClusterError: there is no cluster, no room on it, or its machines lack what is needed.
            WsiSamServerError: MODEL_TOO_LARGE.
            Exception: whatever `load` raises.
        """

        def look() -> AvailableModel:
            model = load()
            return AvailableModel(ModelInfo.of(model), model.nbytes)

        default = await asyncio.to_thread(look)
        if default.nbytes > self._limits.model_bytes:
            raise WsiSamServerError(
                Reason.MODEL_TOO_LARGE,
                model=default.info.name,
                needed_mib=-(-default.nbytes // MIB),
                limit_mib=self._limits.model_bytes // MIB,
            )
        config = ReplicaConfig(
            factory=self._factory,
            default=default.info,
            cache_bytes=self._limits.embedding_cache_bytes,
            model_bytes=self._limits.model_bytes,
            room_seconds=self._limits.model_room_seconds,
            threads=self._threads,
            decode_batch=self._decode_batch,
            store=self._store,
            store_bytes=self._limits.embedding_store_bytes,
        )
        await asyncio.to_thread(self._replicas.connect)
        _keep_sigterm()
        await asyncio.to_thread(self._replicas.start, config)
        await asyncio.to_thread(self._source.prepare, default.info.name)
        self._default = default
        self._engine(default.info)
        self.device.resize()
        self._watching = asyncio.ensure_future(self._watch())

    def info(self, name: str) -> ModelInfo:
        """See `Models.info`."""
        return find_available(self._available_models(), name, self._known).info

    def listed(self) -> list[ModelStatus]:
        """See `Models.listed`. What counts as loaded was asked for once; a replica may have let it go since."""
        return [
            ModelStatus(available, available.info in self._engines, available.nbytes)
            for available in self._available_models().values()
        ]

    def loaded(self) -> dict[str, int]:
        """See `Models.loaded`; the bytes are those in one replica."""
        return {listed.available.info.name: listed.nbytes for listed in self.listed() if listed.loaded}

    @asynccontextmanager
    async def lease(self, info: ModelInfo, on_load: Callable[[], None] | None = None) -> AsyncIterator[Engine]:
        """See `Models.lease`. A model that has to be loaded, a replica loads with its first call."""
        if info not in self._engines and on_load is not None:
            on_load()
        yield self._engine(info)

    async def close(self) -> None:
        """See `Models.close`. Ends the replicas."""
        if self._watching is not None:
            self._watching.cancel()
            await asyncio.gather(self._watching, return_exceptions=True)
        await self.device.close()
        await asyncio.to_thread(self._replicas.close)

    def _engine(self, info: ModelInfo) -> ClusterEngine:
        return self._engines.setdefault(info, ClusterEngine(info, self.device))

    def _available_models(self) -> Mapping[str, AvailableModel]:
        assert self._default is not None
        return {self._default.info.name: self._default, **self._source.available_models()}

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(POLL_SECONDS)
            before = self._replicas.count
            await asyncio.to_thread(self._replicas.look)
            if self._replicas.count != before:
                _log.info("%d replicas run, before it were %d", self._replicas.count, before)
                self.device.resize()


def _keep_sigterm() -> None:
    """Restores this process's handler of SIGTERM. Only its main thread may do so; elsewhere this has no effect."""
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, signal.getsignal(signal.SIGTERM) or signal.SIG_DFL)


def _replicas(settings: Ray) -> RayReplicas:
    try:
        # Imported here, so that servers without Ray need no Ray.
        from wsisam_server.inference.cluster.deploy import RayReplicas  # noqa: PLC0415
    except ImportError as error:
        raise ClusterError(
            f"--engine ray needs Ray Serve, which is not installed here ({error}). Install the extra: "
            'pip install ".[ray]", on this machine and on all nodes of the cluster'
        ) from error
    return RayReplicas(settings)
