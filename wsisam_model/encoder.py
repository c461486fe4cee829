"""What the image encoders have in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import NamedTuple

import safetensors.torch
from safetensors import SafetensorError
from torch import Tensor, nn

from wsisam_model.errors import EmbeddingError

_AXES = 4


class EncoderOutput(NamedTuple):
    """What an encoder makes of B images, channels first.

    Attributes:
        embedding: [B, 256, 64, 64] image embedding.
        early: [B, C, 64, 64] early feature, which the paper's fusion module adds to the embedding.
    """

    embedding: Tensor
    early: Tensor

    def to_bytes(self) -> bytes:
        """The tensors, exactly, in safetensors' format; channels last, as the encoders leave them in memory."""
        return safetensors.torch.save(
            {name: tensor.permute(0, 2, 3, 1).contiguous().cpu() for name, tensor in self._asdict().items()}
        )

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
        if set(tensors) != set(cls._fields) or any(tensor.ndim != _AXES for tensor in tensors.values()):
            raise EmbeddingError(f"these tensors are no encoder's: {', '.join(sorted(tensors)) or 'there are none'}")
        return cls(**{name: tensor.permute(0, 3, 1, 2) for name, tensor in tensors.items()})


class ImageEncoder(nn.Module, ABC):
    """An image encoder of the SAM family.

    Attributes:
        takes_parts: whether it encodes smaller images, too: [B, 3, s, s] with s a multiple of S / 64.
    """

    takes_parts: bool

    @abstractmethod
    def forward(self, images: Tensor) -> EncoderOutput:
        """Encodes [B, 3, S, S] normalised RGB images, S being the variant's image size."""

    @abstractmethod
    def file_key(self, key: str) -> str:
        """The name that published checkpoints give, below "image_encoder.", to `key` of this module."""

    @abstractmethod
    def freeze(self) -> None:
        """Rewrites the module for inference only. It must be in evaluation mode; training is over for it."""
