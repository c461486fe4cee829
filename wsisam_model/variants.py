"""The encoder variants, and how the tensors of a SAM checkpoint tell which one they are."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import torch

from wsisam_model.errors import CheckpointError
from wsisam_model.tiny_vit import TinyVitEncoder
from wsisam_model.vit import VIT_B, VIT_H, VIT_L, VitEncoder, VitShape

if TYPE_CHECKING:
    from collections.abc import Callable

    from wsisam_model.checkpoint import Checkpoint
    from wsisam_model.encoder import ImageEncoder

_SAM_MEAN, _SAM_STD = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)
_VIT_KEY = "image_encoder.patch_embed.proj.weight"  # [dim, 3, 16, 16]
_TINY_KEY = "image_encoder.patch_embed.seq.0.c.weight"  # [32, 3, kernel, kernel]


@dataclass(frozen=True)
class Variant:
    """One encoder and the images it takes.

    Attributes:
        name: as the SAM family calls it.
        image_size: side in pixels of the square input.
        mean: subtracted from each RGB value in 0..255.
        std: divides the difference.
        early_channels: channels of the encoder's early feature.
        build: makes the encoder without weights.
    """

    name: str
    image_size: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    early_channels: int
    build: Callable[[], ImageEncoder]


def _vit(shape: VitShape) -> VitEncoder:
    # initialising up to 640 million numbers that the checkpoint replaces would take longer than reading it
    with torch.device("meta"):
        return VitEncoder(shape)


VARIANTS = (
    Variant("TinyViT, 1024 px", 1024, _SAM_MEAN, _SAM_STD, 160, partial(TinyVitEncoder, strided_stem=True)),
    Variant(
        "TinyViT, 256 px", 256, (0.0, 0.0, 0.0), (255.0, 255.0, 255.0), 160, partial(TinyVitEncoder, strided_stem=False)
    ),
    Variant("ViT-B", 1024, _SAM_MEAN, _SAM_STD, VIT_B.dim, partial(_vit, VIT_B)),
    Variant("ViT-L", 1024, _SAM_MEAN, _SAM_STD, VIT_L.dim, partial(_vit, VIT_L)),
    Variant("ViT-H", 1024, _SAM_MEAN, _SAM_STD, VIT_H.dim, partial(_vit, VIT_H)),
)
_TINY_BY_KERNEL = {3: VARIANTS[0], 1: VARIANTS[1]}
_VIT_BY_DIM = {variant.early_channels: variant for variant in VARIANTS[2:]}


def detect(checkpoint: Checkpoint) -> Variant:
    """The variant whose weights a SAM checkpoint holds, by the shape of its first layer.

    Raises:
        CheckpointError: the first layer is none of a known variant.
    """
    for key, axis, known in ((_TINY_KEY, -1, _TINY_BY_KERNEL), (_VIT_KEY, 0, _VIT_BY_DIM)):
        tensor = checkpoint.tensors.get(key)
        if tensor is None:
            continue
        size = tensor.shape[axis] if tensor.ndim else 0
        if size in known:
            return known[size]
        raise CheckpointError(checkpoint.path, f"no known encoder has a first layer of {list(tensor.shape)}", [key])
    raise CheckpointError(checkpoint.path, f"no SAM checkpoint: neither {_TINY_KEY} nor {_VIT_KEY}")
