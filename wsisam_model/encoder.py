"""What the image encoders have in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import NamedTuple

from torch import Tensor, nn


class EncoderOutput(NamedTuple):
    """What an encoder makes of B images, channels first.

    Attributes:
        embedding: [B, 256, 64, 64] image embedding.
        early: [B, C, 64, 64] early feature, which the paper's fusion module adds to the embedding.
    """

    embedding: Tensor
    early: Tensor


class ImageEncoder(nn.Module, ABC):
    """An image encoder of the SAM family."""

    @abstractmethod
    def forward(self, images: Tensor) -> EncoderOutput:
        """Encodes [B, 3, S, S] normalised RGB images, S being the variant's image size."""

    @abstractmethod
    def file_key(self, key: str) -> str:
        """The name that published checkpoints give, below "image_encoder.", to `key` of this module."""

    @abstractmethod
    def freeze(self) -> None:
        """Rewrites the module for inference only. It must be in evaluation mode; training is over for it."""
