"""The models of one device: loaded when first asked, unloaded when others need the room."""

from __future__ import annotations

import asyncio
import logging
import time
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from wsisam_server.core.errors import Reason, WsiSamServerError
from wsisam_server.inference.scheduler.device import is_out_of_memory, release_unused
from wsisam_server.inference.scheduler.local import LocalEngine
from wsisam_server.inference.scheduler.models import AvailableModel, ModelSource, ModelStatus, find_available
from wsisam_server.inference.scheduler.slots import Slot, Slots

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Collection, Mapping

    from wsisam_model import WsiSam
    from wsisam_server.inference.scheduler.device import Device
    from wsisam_server.inference.scheduler.engine import Engine, ModelInfo

_log = logging.getLogger(__name__)


class _Default(NamedTuple):
    available: AvailableModel
    load: Callable[[], WsiSam]


class ModelPool:
    """The `Models` of this machine: engines by model. Used from one event loop.

    A model is loaded once however many wait for it, and one model at a time, so that the limit is kept to; others go on
    answering meanwhile. The weights in memory never take more than the limit: the idle model that was not used for
    longest goes first, one that answers a prompt never does. Its embeddings stay in the cache, and fit it when it comes
    back.

    Args:
        device: where the models run.
        limit_bytes: what the weights of the loaded models may take together.
        source: where models beside the default one come from.
        known: names of models that exist but may have no weights here.
        room_seconds: how long a load waits for models that are in use.
        engine: makes the engine of a loaded model.
    """

    def __init__(
        self,
        device: Device,
        limit_bytes: int,
        source: ModelSource | None = None,
        *,
        known: Collection[str] = (),
        room_seconds: float = 30.0,
        engine: Callable[[WsiSam, Device], Engine] = LocalEngine,
    ) -> None:
        self.device = device
        self._make_engine = engine
        self._source = source
        self._known = known
        self._slots = Slots(limit_bytes, room_seconds)
        self._default: _Default | None = None
        self._seen: Mapping[str, AvailableModel] = {}
        self._one_load = asyncio.Lock()

    async def start(self, load: Callable[[], WsiSam]) -> None:
        """Loads the default model, and runs it once.

        Args:
            load: loads it now, and again after it had to make room. Blocks.

        Raises:
            WsiSamServerError: MODEL_TOO_LARGE.
            Exception: whatever `load` raises.
        """
        model = await self.device.load(load)
        engine = self._make_engine(model, self.device)
        self._slots.check_size(engine.info, model.nbytes)
        self._default = _Default(AvailableModel(engine.info, model.nbytes), load)
        slot = self._slots.take(engine.info)
        slot.engine, slot.nbytes = engine, model.nbytes
        await engine.warm_up()
        if self._source is not None:
            await self.device.load(partial(self._source.prepare, engine.info.name))

    @property
    def nbytes(self) -> int:
        """Bytes of weights in memory, or promised to a load."""
        return self._slots.nbytes

    def info(self, name: str) -> ModelInfo:
        """What a model is, loaded or not; an empty name means the default.

        Raises:
            WsiSamServerError: UNKNOWN_MODEL or MODEL_UNAVAILABLE.
        """
        return find_available(self._available_models(), name, self._known).info

    def listed(self) -> list[ModelStatus]:
        """All models that may be asked, the default first."""
        result = []
        for available in self._available_models().values():
            slot = self._slots.find(available.info)
            if slot is None or slot.engine is None:
                result.append(ModelStatus(available, loaded=False, nbytes=available.nbytes))
            else:
                status = ModelStatus(available, loaded=True, nbytes=slot.nbytes, encoder=slot.engine.encoder)
                result.append(status)
        return result

    def loaded(self) -> dict[str, int]:
        """Bytes of each model in memory, by name. From any thread."""
        return {slot.info.name: slot.nbytes for slot in self._slots if slot.engine is not None}

    @asynccontextmanager
    async def lease(self, info: ModelInfo, on_load: Callable[[], None] | None = None) -> AsyncIterator[Engine]:
        """The engine of a model, which stays loaded until the lease ends.

        Args:
            info: from `info`.
            on_load: called when the lease has to wait for the model to be loaded.

        Raises:
            WsiSamServerError: UNKNOWN_MODEL when it was removed since, MODEL_DAMAGED, MODEL_TOO_LARGE, MODELS_BUSY,
                OUT_OF_DEVICE_MEMORY.
        """
        slot = self._slots.take(info)
        slot.users += 1
        try:
            if slot.engine is None:
                if on_load is not None:
                    on_load()
                await asyncio.shield(self._loading(slot))
            assert slot.engine is not None
            yield slot.engine
        finally:
            slot.users -= 1
            if slot.users == 0:
                self._idle(slot)

    async def close(self) -> None:
        """Ends running work and refuses new."""
        loading = [slot.loading for slot in self._slots if slot.loading is not None]
        for task in loading:
            task.cancel()
        await asyncio.gather(*loading, return_exceptions=True)
        await self.device.close()
        for slot in self._slots:
            self._slots.drop(slot)

    def _available_models(self) -> dict[str, AvailableModel]:
        """What there is now, the default first; under one name, what the source has."""
        assert self._default is not None
        default = self._default.available
        current = self._source.available_models() if self._source is not None else {}
        if current is not self._seen:
            self._seen = current
            for slot in self._slots:
                self._drop_if_gone(slot)
        return {default.info.name: default, **current}

    def _idle(self, slot: Slot) -> None:
        """What follows when the last lease of a model has ended."""
        if slot.engine is None and not slot.begun:
            # All its leases have ended. A new one must not join a load that is about to be cancelled.
            if slot.loading is not None:
                slot.loading.cancel()
            self._slots.drop(slot)
        self._drop_if_gone(slot)
        self._slots.freed()

    def _drop_if_gone(self, slot: Slot) -> None:
        """Unloads an idle model that is no longer available."""
        own = None if self._default is None else self._default.available
        available = self._seen.get(slot.info.name, own)
        if slot.engine is not None and slot.users == 0 and (available is None or available.info != slot.info):
            _log.info("model %s: unloaded, it was removed or replaced", slot.info.name)
            self._slots.drop(slot)

    def _loading(self, slot: Slot) -> asyncio.Task[None]:
        """The task that loads a model, begun by the first who needs it."""
        if slot.loading is None:
            slot.loading = asyncio.ensure_future(self._load(slot))
            # Retrieves its error: perhaps no lease waits for it any more.
            slot.loading.add_done_callback(lambda task: task.cancelled() or task.exception())
        return slot.loading

    async def _load(self, slot: Slot) -> None:
        name = slot.info.name
        try:
            async with self._one_load:
                available = self._available_models().get(name)
                expected = 0 if available is None else available.nbytes
                await self._slots.make_room(slot, expected)
                slot.begun, slot.nbytes = True, expected
                started = time.perf_counter()
                model = await self._read(slot.info)
                await self._slots.make_room(slot, model.nbytes)
                slot.nbytes = model.nbytes
                engine = self._make_engine(model, self.device)
                if engine.info != slot.info:
                    problem = f"its files hold other weights now: {engine.info.weights_hash}"
                    raise WsiSamServerError(Reason.MODEL_DAMAGED, private=problem, model=name)
                slot.engine = engine
                _log.info("model %s: loaded in %.1f s, %d bytes", name, time.perf_counter() - started, slot.nbytes)
        finally:
            slot.loading, slot.begun = None, False
            if slot.engine is None:
                self._slots.drop(slot)

    async def _read(self, info: ModelInfo) -> WsiSam:
        """Loads a model; when memory is full, once more after letting go of all that is not in use."""
        own, source = self._default, self._source
        if own is not None and info == own.available.info:
            load = partial(_load_again, own)
        else:
            assert source is not None
            load = partial(source.load, info)
        try:
            return await self.device.load(load)
        except (MemoryError, RuntimeError) as error:
            if not is_out_of_memory(error):
                raise
        self.device.cache.clear()
        while self._slots.unload_oldest():
            pass
        await self.device.load(release_unused)
        try:
            return await self.device.load(load)
        except (MemoryError, RuntimeError) as error:
            if not is_out_of_memory(error):
                raise
            raise WsiSamServerError(Reason.OUT_OF_DEVICE_MEMORY, private=str(error)) from error


def _load_again(default: _Default) -> WsiSam:
    try:
        return default.load()
    except (MemoryError, RuntimeError):
        raise
    except Exception as error:  # it could be loaded when the server started: its files have changed
        name = default.available.info.name
        raise WsiSamServerError(Reason.MODEL_DAMAGED, private=str(error), model=name) from error
