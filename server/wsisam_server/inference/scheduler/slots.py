"""Which models are in memory, for which leases, and which one is unloaded when another needs its memory."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from wsisam_server.core.errors import Reason, WsiSamServerError
from wsisam_server.core.settings import MIB

if TYPE_CHECKING:
    from collections.abc import Iterator

    from wsisam_server.inference.scheduler.engine import Engine, ModelInfo

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class Slot:
    """A model that is in memory, or that a lease waits for.

    Attributes:
        users: leases, those that wait for it to be loaded included.
        nbytes: what its weights take of the limit, or will.
        loading: loads it; None before and after.
        begun: whether its load is past the point where it is worth dropping.
    """

    info: ModelInfo
    engine: Engine | None = None
    users: int = 0
    nbytes: int = 0
    loading: asyncio.Task[None] | None = None
    begun: bool = False


class Slots:
    """The slots, within a limit on the bytes of weights. Used from one event loop.

    Args:
        limit_bytes: what the weights of all models may take together.
        room_seconds: how long `make_room` waits for models that are in use.
    """

    def __init__(self, limit_bytes: int, room_seconds: float) -> None:
        self._limit = limit_bytes
        self._room_seconds = room_seconds
        self._slots: OrderedDict[ModelInfo, Slot] = OrderedDict()  # the one used last is last
        self._freed = asyncio.Event()

    def __iter__(self) -> Iterator[Slot]:
        """The slots of now; they may be dropped meanwhile."""
        return iter(list(self._slots.values()))

    @property
    def nbytes(self) -> int:
        """Bytes of weights in memory, or promised to a load."""
        return sum(slot.nbytes for slot in self._slots.values())

    def find(self, info: ModelInfo) -> Slot | None:
        """A model's slot, if it has one."""
        return self._slots.get(info)

    def take(self, info: ModelInfo) -> Slot:
        """A model's slot, now the one used last; a new one if it has none."""
        slot = self._slots.setdefault(info, Slot(info))
        self._slots.move_to_end(info)
        return slot

    def drop(self, slot: Slot) -> None:
        """Lets go of a slot, and of its model."""
        if self._slots.get(slot.info) is slot:
            del self._slots[slot.info]
        self.freed()

    def freed(self) -> None:
        """Notifies those who wait for memory: a model became idle, or was dropped."""
        self._freed.set()

    def unload_oldest(self) -> bool:
        """Drops the idle model that was not used for longest; returns whether there was one."""
        for slot in self:
            if slot.engine is not None and slot.users == 0:
                _log.info("model %s: unloaded, others need its memory", slot.info.name)
                self.drop(slot)
                return True
        return False

    async def make_room(self, slot: Slot, needed: int) -> None:
        """Drops idle models until another one fits; waits for those in use.

        Args:
            slot: of the model that shall fit.
            needed: bytes of its weights.

        Raises:
            WsiSamServerError: MODEL_TOO_LARGE, or MODELS_BUSY when the wait was in vain.
        """
        self.check_size(slot.info, needed)
        deadline = time.monotonic() + self._room_seconds
        while self.nbytes - slot.nbytes + needed > self._limit:
            if self.unload_oldest():
                continue
            self._freed.clear()
            try:
                await asyncio.wait_for(self._freed.wait(), max(deadline - time.monotonic(), 0))
            except asyncio.TimeoutError as error:
                raise WsiSamServerError(Reason.MODELS_BUSY, model=slot.info.name) from error

    def check_size(self, info: ModelInfo, nbytes: int) -> None:
        """Passes a model that fits the limit by itself.

        Raises:
            WsiSamServerError: MODEL_TOO_LARGE.
        """
        if nbytes > self._limit:
            raise WsiSamServerError(
                Reason.MODEL_TOO_LARGE,
                model=info.name,
                needed_mib=-(-nbytes // MIB),
                limit_mib=self._limit // MIB,
            )
