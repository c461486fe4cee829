"""An encoded image, with what decoding it needs again and again."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeVar

from wsisam_model import spatial
from wsisam_model.errors import EmbeddingError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    import torch
    from torch import Tensor

    from wsisam_model.encoder import EncoderOutput

Tensors = TypeVar("Tensors", bound="tuple[Tensor, ...]")


@dataclass(frozen=True)
class DerivedFeature(Generic[Tensors]):
    """Something that follows from an image, and that prompts on it need.

    Attributes:
        name: the same name must always come with the same computation.
        values: how many it has for each of the image's N positions.
        make: computes it from the image embedding [1, N, 256] and the early feature [1, C, 64, 64].
    """

    name: str
    values: int
    make: Callable[[Tensor, Tensor | None], Tensors]


class EmbeddingOrigin(NamedTuple):
    """What an embedding's numbers depend on beside the image: only a model of the same origin can decode it."""

    weights_hash: str
    dtype: torch.dtype
    device: torch.device


class Embedding:
    """One encoded image. Made by `WsiSam.encode`; safe to decode from several threads.

    Attributes:
        origin: the model that made it.
        image: [1, N, 256] image embedding as tokens, N = 64 * 64 in row-major order.
    """

    def __init__(self, origin: EmbeddingOrigin, features: EncoderOutput) -> None:
        self.origin = origin
        self.image = spatial.as_tokens(features.embedding)
        self._early: Tensor | None = features.early
        self._parts: dict[str, tuple[Tensor, ...]] = {}
        self._later: set[str] | None = None
        self._nbytes: int | None = None
        self._lock = threading.Lock()

    @property
    def nbytes(self) -> int:
        """Bytes of all tensors held now, memory that several of them share once; once sealed, the most it will hold."""
        with self._lock:
            return self._held() if self._nbytes is None else self._nbytes

    def _held(self) -> int:
        tensors = [self.image, *(tensor for part in self._parts.values() for tensor in part)]
        if self._early is not None:
            tensors.append(self._early)
        storages = {storage.data_ptr(): storage.nbytes() for storage in (t.untyped_storage() for t in tensors)}
        return sum(storages.values())

    def part(self, part: DerivedFeature[Tensors]) -> Tensors:
        """A part of this image, computed for the first caller only.

        Raises:
            EmbeddingError: the image was encoded for roles that do not need this part.
        """
        with self._lock:
            if part.name not in self._parts:
                if self._later is not None and part.name not in self._later:
                    raise EmbeddingError(f"the image was encoded for roles that do not need {part.name}")
                self._parts[part.name] = part.make(self.image, self._early)
                if self._later is not None:
                    self._leave(self._later - {part.name})
            return self._parts[part.name]  # type: ignore[return-value]

    def seal(self, later: Iterable[DerivedFeature[Any]]) -> None:
        """Ends the making of parts but these; `nbytes` is final. Once all are made, what only that needed is let go."""
        with self._lock:
            missing = {part.name: part.values for part in later if part.name not in self._parts}
            self._leave(set(missing))
            self._nbytes = self._held() + sum(missing.values()) * self.image.shape[1] * self.image.itemsize

    def _leave(self, later: set[str]) -> None:
        self._later = later
        if not later:
            self._early = None
