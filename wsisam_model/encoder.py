"""What the image encoders have in common."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, NamedTuple, Protocol

import numpy as np
import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor, nn

from wsisam_model.errors import EmbeddingError

if TYPE_CHECKING:
    from collections.abc import Iterable

_AXES = 4
_HASH_BYTES = 32


_LAST_STAGE = "last_stage"


class EncoderOutput(NamedTuple):
    """What an encoder makes of B images, channels first.

    Attributes:
        embedding: [B, 256, 64, 64] image embedding.
        early: [B, C, 64, 64] early feature, which the paper's fusion module adds to the embedding.
        frozen: [B, F, 64, 64], what the last stage made the embedding of; None unless a last stage was trained.
        last_stage: SHA-256 of the last stage's weights where these are not the base's; else empty.
        number_type: in which the encoder was run, where that is not the model's own; else empty.
    """

    embedding: Tensor
    early: Tensor
    frozen: Tensor | None = None
    last_stage: bytes = b""
    number_type: str = ""

    @property
    def tensors(self) -> tuple[Tensor, ...]:
        """Those that are there, in the order above."""
        return (self.embedding, self.early) if self.frozen is None else (self.embedding, self.early, self.frozen)

    @classmethod
    def of(cls, tensors: Iterable[Tensor]) -> EncoderOutput:
        """From two or three tensors, in the order of `tensors`."""
        embedding, early, *frozen = tensors
        return cls(embedding, early, frozen[0] if frozen else None)

    def to(self, device: torch.device) -> EncoderOutput:
        """The same on a device."""
        frozen = None if self.frozen is None else self.frozen.to(device)
        return self._replace(embedding=self.embedding.to(device), early=self.early.to(device), frozen=frozen)

    def to_bytes(self) -> bytes:
        """The tensors, exactly, in safetensors' format; channels last, as the encoders leave them in memory.

        The number type is not written: whoever keeps them must know it.
        """
        features = {"embedding": self.embedding, "early": self.early}
        if self.frozen is not None:
            features["frozen"] = self.frozen
        tensors = {name: tensor.permute(0, 2, 3, 1).contiguous().cpu() for name, tensor in features.items()}
        if self.frozen is not None:
            tensors[_LAST_STAGE] = torch.frombuffer(bytearray(self.last_stage or bytes(_HASH_BYTES)), dtype=torch.uint8)
        return safetensors.torch.save(tensors)

    @classmethod
    def from_bytes(cls, data: bytes) -> EncoderOutput:
        """What `to_bytes` wrote, on the CPU.

        Raises:
            EmbeddingError: the bytes are something else.
        """
        try:
            tensors = safetensors.torch.load(data)
        except (SafetensorError, ValueError) as error:
            raise EmbeddingError(f"these bytes hold no tensors: {error}") from error
        mark = tensors.pop(_LAST_STAGE, None)
        wanted = {"embedding", "early"} | ({"frozen"} if mark is not None else set())
        if set(tensors) != wanted or any(tensor.ndim != _AXES for tensor in tensors.values()):
            raise EmbeddingError(f"these tensors are no encoder's: {', '.join(sorted(tensors)) or 'there are none'}")
        last_stage = b"" if mark is None else mark.numpy().tobytes()
        features = {name: tensor.permute(0, 3, 1, 2) for name, tensor in tensors.items()}
        made = cls(features["embedding"], features["early"], features.get("frozen"))
        return made._replace(last_stage=last_stage) if any(last_stage) else made


class EncoderRunner(Protocol):
    """Runs an encoder: its module itself, or another library with the module's weights. Safe from several threads."""

    @property
    def description(self) -> str:
        """What runs now, and why; for people."""
        ...

    @property
    def number_type(self) -> str:
        """In which it runs the encoder now, where that is not the model's own; else empty."""
        ...

    @property
    def nbytes(self) -> int:
        """Bytes of weights that it holds, or may come to hold, beside the module's own."""
        ...

    def __call__(self, images: Tensor, /) -> EncoderOutput:
        """Encodes [B, 3, S, S] normalised RGB images, or smaller ones where the encoder takes parts."""
        ...


class ImageEncoder(nn.Module, ABC):
    """An image encoder of the SAM family.

    Attributes:
        takes_parts: whether it encodes smaller images, too: [B, 3, s, s] with s a multiple of S / 64.
        last_stage_channels: F of the last stage's input; 0 where `last_stage_names` is empty.
        keeps_frozen: whether the output holds that input, too.
        description: see `EncoderRunner`.
        number_type: see `EncoderRunner`: the model's own.
        nbytes: see `EncoderRunner`: nothing.
    """

    takes_parts: bool
    description = "torch"
    number_type = ""
    nbytes = 0
    last_stage_channels = 0
    keeps_frozen = False

    def last_stage_names(self) -> list[str]:
        """Names of the parameters of the last stage and the neck, which may be trained; none where they may not."""
        return []

    def stages(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """What comes before the last stage: its input [B, F, 64, 64] and the early feature [B, C, 64, 64].

        Raises:
            NotImplementedError: `last_stage_names` is empty.
        """
        raise NotImplementedError

    def finish(self, frozen: Tensor) -> Tensor:
        """The last stage and the neck: their input [B, F, 64, 64] to the embedding [B, 256, 64, 64].

        Raises:
            NotImplementedError: `last_stage_names` is empty.
        """
        raise NotImplementedError

    @abstractmethod
    def forward(self, images: Tensor) -> EncoderOutput:
        """Encodes [B, 3, S, S] normalised RGB images, S being the variant's image size."""

    @abstractmethod
    def file_key(self, key: str) -> str:
        """The name that published checkpoints give, below "image_encoder.", to `key` of this module."""

    @abstractmethod
    def freeze(self) -> None:
        """Rewrites the module for inference only. It must be in evaluation mode; training is over for it."""

    def weights_hash(self) -> str:
        """Identifies the encoder by kind and weights, as they are now: `freeze` changes them.

        Returns:
            SHA-256, in hex, over the class, `keeps_frozen`, and name, dtype, shape and bytes of every tensor, sorted by
            name.
        """
        digest = hashlib.sha256(f"{type(self).__qualname__} {self.keeps_frozen}".encode())
        for name, tensor in sorted(self.state_dict().items()):
            digest.update(f"\n{name} {tensor.dtype} {list(tensor.shape)}\n".encode())
            values = tensor.cpu().view(torch.int16) if tensor.dtype == torch.bfloat16 else tensor.cpu()
            # Copied by NumPy: torch would start a team of threads for it, on whichever thread this is.
            digest.update(np.ascontiguousarray(values.numpy()).data)
        return digest.hexdigest()
