"""What the image encoders have in common."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from typing import NamedTuple, Protocol

import numpy as np
import safetensors.torch
import torch
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


class EncoderRunner(Protocol):
    """Runs an encoder: its module itself, or another library with the module's weights. Safe from several threads."""

    @property
    def description(self) -> str:
        """What runs now, and why; for people."""
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
        description: see `EncoderRunner`.
        nbytes: see `EncoderRunner`: nothing.
    """

    takes_parts: bool
    description = "torch"
    nbytes = 0

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
            SHA-256, in hex, over the class, and over name, dtype, shape and bytes of every tensor, sorted by name.
        """
        digest = hashlib.sha256(type(self).__qualname__.encode())
        for name, tensor in sorted(self.state_dict().items()):
            digest.update(f"\n{name} {tensor.dtype} {list(tensor.shape)}\n".encode())
            values = tensor.cpu().view(torch.int16) if tensor.dtype == torch.bfloat16 else tensor.cpu()
            # Copied by NumPy: torch would start a team of threads for it, on whichever thread this is.
            digest.update(np.ascontiguousarray(values.numpy()).data)
        return digest.hexdigest()
