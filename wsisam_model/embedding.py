"""An encoded image, with what decoding it needs again and again."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from wsisam_model import spatial
from wsisam_model.errors import EmbeddingError

if TYPE_CHECKING:
    from collections.abc import Callable

    import torch
    from torch import Tensor

    from wsisam_model.encoder import EncoderOutput

Tensors = TypeVar("Tensors", bound="tuple[Tensor, ...]")


class Origin(NamedTuple):
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

    def __init__(self, origin: Origin, features: EncoderOutput) -> None:
        self.origin = origin
        self.image = spatial.as_tokens(features.embedding)
        self._early: Tensor | None = features.early
        self._parts: dict[str, tuple[Tensor, ...]] = {}
        self._sealed = False
        self._lock = threading.Lock()

    @property
    def nbytes(self) -> int:
        """Bytes of all tensors held now; memory that several of them share counts once."""
        with self._lock:
            tensors = [self.image, *(tensor for part in self._parts.values() for tensor in part)]
            if self._early is not None:
                tensors.append(self._early)
        storages = {storage.data_ptr(): storage.nbytes() for storage in (t.untyped_storage() for t in tensors)}
        return sum(storages.values())

    def part(self, name: str, make: Callable[[Tensor, Tensor | None], Tensors]) -> Tensors:
        """What `make` computes from this image, computed by the first caller only.

        Args:
            name: names the part; the same name must always come with the same computation.
            make: takes the image embedding [1, N, 256] and the early feature [1, C, 64, 64].

        Raises:
            EmbeddingError: the image was encoded for roles that do not need this part.
        """
        with self._lock:
            if name not in self._parts:
                if self._sealed:
                    raise EmbeddingError(f"the image was encoded for roles that do not need {name}")
                self._parts[name] = make(self.image, self._early)
            return self._parts[name]  # type: ignore[return-value]

    def seal(self) -> None:
        """Ends the making of parts and lets go of what only that needed; `nbytes` is final."""
        with self._lock:
            self._sealed = True
            self._early = None
