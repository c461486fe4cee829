"""What can be loaded, and from where: the pool's view of the models on disk."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from wsisam_server.core.errors import Reason, WsiSamServerError

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from wsisam_model import WsiSam
    from wsisam_server.inference.scheduler.engine import ModelInfo


@dataclass(frozen=True, slots=True)
class Offer:
    """A model that may be asked, loaded or not.

    Attributes:
        info: what it will be once it is loaded.
        nbytes: of its weights in memory, as expected.
        licence: of the weights; empty if unknown.
    """

    info: ModelInfo
    nbytes: int
    licence: str = ""


@dataclass(frozen=True, slots=True)
class Listed:
    """An offer, and where it stands.

    Attributes:
        loaded: whether it is in memory.
        nbytes: of its weights in memory; expected unless loaded.
    """

    offer: Offer
    loaded: bool
    nbytes: int


class ModelSource(Protocol):
    """Where models come from."""

    def prepare(self, default: str) -> None:
        """Finds out what takes time to find out. Called once, before `offers`, where it may block.

        Args:
            default: the model that the server was started with, which needs no offer.
        """
        ...

    def offers(self) -> Mapping[str, Offer]:
        """The models that there are now, by name; the same object while nothing has changed.

        Called with each prompt, on the event loop: it must not read more than it must.
        """
        ...

    def load(self, info: ModelInfo) -> WsiSam:
        """Loads a model that was offered. Blocks.

        Raises:
            WsiSamServerError: UNKNOWN_MODEL when it was removed or replaced since, MODEL_DAMAGED.
        """
        ...


def find_offer(offers: Mapping[str, Offer], name: str, known: Collection[str]) -> Offer:
    """The offer of a name; an empty name means the first.

    Args:
        offers: what there is now, the default first.
        name: of a model.
        known: names of models that exist but may have no weights here.

    Raises:
        WsiSamServerError: UNKNOWN_MODEL or MODEL_UNAVAILABLE.
    """
    offer = offers.get(name or next(iter(offers)))
    if offer is None:
        reason = Reason.MODEL_UNAVAILABLE if name in known else Reason.UNKNOWN_MODEL
        raise WsiSamServerError(reason, model=name, available=", ".join(offers))
    return offer
