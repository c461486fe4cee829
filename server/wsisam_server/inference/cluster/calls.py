"""What travels between this server and a replica, beside pixels."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

from wsisam_server.core.errors import Reason, WsiSamServerError
from wsisam_server.inference.scheduler import Answer, Prepared

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from wsisam_server.core.geometry import FieldPair, Window
    from wsisam_server.core.prompt import SlidePrompt
    from wsisam_server.inference.scheduler import ModelInfo, Priority

    Pixels: TypeAlias = dict[Window, NDArray[np.uint8]]


@dataclass(frozen=True, slots=True)
class ReplicaCall:
    """One prompt in one field, or the field alone.

    Attributes:
        model: which must be the same there.
        slide_id: identity of the slide's content; part of the embedding's key.
        field: the two windows.
        prompt: in slide coordinates.
        priority: how urgent it is among what the replica has to do.
        principal: whose share of the replica's queue it uses.
        is_lasting: whether what is computed may be kept on the replica's disk; see `Job`.
        mask: logits [256, 256] that are fed back; or None.
        candidates: see `Job`.
    """

    model: ModelInfo
    slide_id: str
    field: FieldPair
    prompt: SlidePrompt
    priority: Priority
    principal: str
    is_lasting: bool
    mask: NDArray[np.float32] | None = None
    candidates: bool = False

    @property
    def ring_key(self) -> str:
        """The key on the router's hash ring: slide and window.

        Not the slide alone, whose windows would then all be one replica's: a batch over one slide, or a course on
        one, would leave the others idle. An embedding is of one window, so nothing is lost by it.
        """
        high = self.field.high
        return f"{self.slide_id} {high.x} {high.y} {high.downsample} {high.size}"


@dataclass(frozen=True, slots=True)
class MissingEmbedding:
    """The answer of a replica that has neither an embedding of the field nor pixels to make one."""


@dataclass(frozen=True, slots=True)
class Refused:
    """An error of the catalogue, in parts: the exception itself does not survive pickling."""

    reason: str
    private: str
    path: str
    details: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, error: WsiSamServerError) -> Refused:
        """The error as it travels."""
        return cls(error.reason.name, error.private, error.path, error.details)

    def error(self) -> WsiSamServerError:
        """The error as it was raised there."""
        return WsiSamServerError(Reason[self.reason], private=self.private, path=self.path).at(**self.details)


Reply: TypeAlias = Answer | Prepared | MissingEmbedding | Refused
