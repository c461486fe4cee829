"""Models: which there are, and the interface of what holds them, a pool here or replicas on other machines."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from wsisam_server.core.errors import Reason, WsiSamServerError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping
    from contextlib import AbstractAsyncContextManager

    from wsisam_model import WsiSam
    from wsisam_server.inference.embeddings import EmbeddingCache, EmbeddingStore, WriteBehindQueue
    from wsisam_server.inference.scheduler.engine import Engine, ModelInfo, Priority
    from wsisam_server.inference.scheduler.fair_queue import WorkItem

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class AvailableModel:
    """A model that can be used, loaded or not.

    Attributes:
        info: what it will be once it is loaded.
        nbytes: of its weights in memory, as expected.
        licence: of the weights; empty if unknown.
    """

    info: ModelInfo
    nbytes: int
    licence: str = ""


@dataclass(frozen=True, slots=True)
class ModelStatus:
    """An available model and its state.

    Attributes:
        loaded: whether it is in memory.
        nbytes: of its weights in memory; expected unless loaded.
        encoder: see `Engine.encoder`; empty unless loaded.
    """

    available: AvailableModel
    loaded: bool
    nbytes: int
    encoder: str = ""


class ModelSource(Protocol):
    """Where models come from."""

    def prepare(self, default: str) -> None:
        """Does slow preparation. Called once before `available_models`, where it may block.

        Args:
            default: the model that the server was started with, which this source need not know.
        """
        ...

    def available_models(self) -> Mapping[str, AvailableModel]:
        """The models that there are now, by name; the same object while nothing has changed.

        Called with each prompt, on the event loop: it must be quick.
        """
        ...

    def load(self, info: ModelInfo) -> WsiSam:
        """Loads an available model. Blocks.

        Raises:
            WsiSamServerError: UNKNOWN_MODEL when it was removed or replaced since, MODEL_DAMAGED.
        """
        ...


def find_available(available_models: Mapping[str, AvailableModel], name: str, known: Collection[str]) -> AvailableModel:
    """The available model of a name; an empty name means the first.

    Args:
        available_models: by name, the default first.
        name: of a model.
        known: names of models that exist but may have no weights here.

    Raises:
        WsiSamServerError: UNKNOWN_MODEL or MODEL_UNAVAILABLE.
    """
    available = available_models.get(name or next(iter(available_models)))
    if available is None:
        reason = Reason.MODEL_UNAVAILABLE if name in known else Reason.UNKNOWN_MODEL
        raise WsiSamServerError(reason, model=name, available=", ".join(available_models))
    return available


class ModelDevice(Protocol):
    """What the rooms above see of a `Device` or of the replicas: counters, and threads that read slides."""

    @property
    def cache(self) -> EmbeddingCache[Any]:
        """The embeddings that are kept there."""
        ...

    @property
    def has_store(self) -> bool:
        """Whether encodings are kept beyond the cache, here or on other machines."""
        ...

    @property
    def store(self) -> EmbeddingStore | None:
        """Where this process keeps them; None for nowhere."""
        ...

    @property
    def write_behind(self) -> WriteBehindQueue | None:
        """The queue of writes to the store; None where there is no store."""
        ...

    async def read(self, work_item: WorkItem, call: Callable[[], Result]) -> tuple[Result, float]:
        """Queues what blocks on a slide's file, and runs it. Returns its result and its milliseconds.

        Raises:
            WsiSamServerError: SHUTTING_DOWN.
            Exception: whatever `call` raises.
        """
        ...

    def waiting(self) -> dict[Priority, int]:
        """How many reads and steps of a model wait here, by priority. From any thread."""
        ...


class Models(Protocol):
    """Engines by model. Used from one event loop."""

    @property
    def device(self) -> ModelDevice:
        """Where the models run."""
        ...

    async def start(self, load: Callable[[], WsiSam]) -> None:
        """Makes the default model ready.

        Args:
            load: loads it. Blocks.

        Raises:
            WsiSamServerError: MODEL_TOO_LARGE.
            Exception: whatever `load` raises.
        """
        ...

    def info(self, name: str) -> ModelInfo:
        """What a model is, loaded or not; an empty name means the default.

        Raises:
            WsiSamServerError: UNKNOWN_MODEL or MODEL_UNAVAILABLE.
        """
        ...

    def listed(self) -> list[ModelStatus]:
        """All models that may be asked, the default first."""
        ...

    def loaded(self) -> dict[str, int]:
        """Bytes of each model in memory, by name. From any thread."""
        ...

    def lease(self, info: ModelInfo, on_load: Callable[[], None] | None = None) -> AbstractAsyncContextManager[Engine]:
        """The engine of a model, which stays loaded until the lease ends.

        Args:
            info: from `info`.
            on_load: called when the lease has to wait for the model to be loaded.

        Raises:
            WsiSamServerError: UNKNOWN_MODEL when it was removed since, MODEL_DAMAGED, MODEL_TOO_LARGE, MODELS_BUSY,
                OUT_OF_DEVICE_MEMORY.
        """
        ...

    async def close(self) -> None:
        """Ends running work and refuses new."""
        ...
