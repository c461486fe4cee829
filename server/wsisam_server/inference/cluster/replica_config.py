"""What a replica needs to make its models from what is on its own machine."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from wsisam_model import WsiSam
    from wsisam_server.inference.scheduler import ModelInfo, ModelSource


@dataclass(frozen=True, slots=True)
class ModelFactory:
    """Loads the models. It travels to every replica, so its functions must be ones that can be imported there.

    Attributes:
        load: loads the default model, on the device of the machine on which it is called. Blocks.
        source: the models beside it.
    """

    load: Callable[[], WsiSam]
    source: Callable[[], ModelSource]


@dataclass(frozen=True, slots=True)
class ReplicaConfig:
    """The configuration of one replica.

    Attributes:
        factory: loads its models.
        default: the default model of this server, which the replica's must equal.
        cache_bytes: limit of its embedding cache.
        model_bytes: limit of the weights of its models together.
        room_seconds: how long a model waits for the memory of others.
        threads: CPU threads of a model's step.
        decode_batch: most prompts in one field that are decoded in one step.
        store: folder of its node where encodings are kept; None for nowhere.
        store_bytes: limit of that folder, for all who write there.
    """

    factory: ModelFactory
    default: ModelInfo
    cache_bytes: int
    model_bytes: int
    room_seconds: float
    threads: int
    decode_batch: int
    store: Path | None
    store_bytes: int
