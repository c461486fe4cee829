"""The interface of whatever holds the models: this machine's pool, or replicas on other machines."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractAsyncContextManager

    from wsisam_model import WsiSam
    from wsisam_server.inference.embeddings import Behind, EmbeddingCache, EmbeddingStore
    from wsisam_server.inference.scheduler.engine import Engine, ModelInfo, Priority
    from wsisam_server.inference.scheduler.fair_queue import Ticket
    from wsisam_server.inference.scheduler.offers import Listed

Result = TypeVar("Result")


class Workplace(Protocol):
    """Where models run, as far as it is counted, and where slides are read for them."""

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
    def behind(self) -> Behind | None:
        """Writes to the store; None where there can be none."""
        ...

    async def read(self, ticket: Ticket, call: Callable[[], Result]) -> tuple[Result, float]:
        """Runs what blocks on a slide's file when its turn comes. Returns its result and its milliseconds.

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
    def device(self) -> Workplace:
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

    def listed(self) -> list[Listed]:
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
