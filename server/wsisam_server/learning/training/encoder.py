"""The frozen encoder as training uses it: pixels in, half-precision features out, each window once."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Protocol

import numpy as np
import torch

from wsisam_server.learning.training.cache import Features

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from wsisam_model.encoder import EncoderRunner
    from wsisam_model.loading import Modules
    from wsisam_server.inference.encoders import EncoderChoice


class Encode(Protocol):
    """Encodes one image uint8 [S, S, 3]."""

    def __call__(self, image: NDArray[np.uint8], /) -> Features:
        """See the class."""
        ...


def frozen_encoder(modules: Modules, device: torch.device, choice: EncoderChoice | None = None) -> Encode:
    """The encoder, made ready at its first use: a run whose windows are cached has none.

    Args:
        modules: the model; its encoder is rewritten for inference.
        device: where torch would run it.
        choice: how it is run; None for torch. Ways differ by 1e-6 of the largest number, which half precision rounds
            away.
    """
    mean, std = (np.asarray(values, np.float32) for values in (modules.variant.mean, modules.variant.std))

    @functools.cache
    def ready() -> EncoderRunner:
        encoder = modules.encoder.eval()
        encoder.requires_grad_(requires_grad=False)
        encoder.freeze()
        encoder.to(device).to(memory_format=torch.channels_last)
        if choice is None:
            return encoder
        return choice.runner(encoder, "the frozen encoder", modules.paths, device, torch.float32)

    @torch.inference_mode()
    def encode(image: NDArray[np.uint8], /) -> Features:
        pixels = ((image - mean) / std).transpose(2, 0, 1)[None]
        batch = torch.from_numpy(np.ascontiguousarray(pixels, np.float32))
        made = ready()(batch.to(device, memory_format=torch.channels_last))
        embedding, early = (tensor[0].cpu().half().contiguous() for tensor in made)
        return Features(embedding, early)

    return encode
