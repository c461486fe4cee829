"""The frozen encoder as training uses it: pixels in, half-precision features out, each window once."""

from __future__ import annotations

import copy
import functools
from typing import TYPE_CHECKING, Protocol

import numpy as np
import torch

from wsisam_server.learning.training.cache import Features

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray
    from torch import Tensor

    from wsisam_model.encoder import EncoderRunner
    from wsisam_model.loading import Modules
    from wsisam_server.inference.encoders import EncoderChoice


class Encode(Protocol):
    """Encodes one image uint8 [S, S, 3]."""

    def __call__(self, image: NDArray[np.uint8], /) -> Features:
        """See the class."""
        ...


def frozen_encoder(
    modules: Modules, device: torch.device, choice: EncoderChoice | None = None, *, last_stage: bool = True
) -> Encode:
    """The encoder, made ready at its first use: a run whose windows are cached has none.

    Args:
        modules: the model; its encoder is rewritten for inference, unless its last stage is left out.
        device: where torch would run it.
        choice: how it is run; None for torch. Ways differ by 1e-6 of the largest number, which half precision rounds
            away.
        last_stage: run it, too; without, torch runs the stages before it, and the features' embedding is what it takes.
    """
    mean, std = (np.asarray(values, np.float32) for values in (modules.variant.mean, modules.variant.std))

    @functools.cache
    def ready() -> Callable[[Tensor], tuple[Tensor, Tensor]]:
        # The last stage of the one that was given is still to be trained.
        encoder = modules.encoder.eval() if last_stage else copy.deepcopy(modules.encoder).eval()
        encoder.requires_grad_(requires_grad=False)
        encoder.freeze()
        encoder.to(device).to(memory_format=torch.channels_last)
        if not last_stage:
            return encoder.stages
        runner: EncoderRunner = encoder
        if choice is not None:
            runner = choice.runner(encoder, "the frozen encoder", modules.paths, device, torch.float32)

        def run(images: Tensor) -> tuple[Tensor, Tensor]:
            made = runner(images)
            return made.embedding, made.early

        return run

    @torch.inference_mode()
    def encode(image: NDArray[np.uint8], /) -> Features:
        pixels = ((image - mean) / std).transpose(2, 0, 1)[None]
        batch = torch.from_numpy(np.ascontiguousarray(pixels, np.float32))
        made = ready()(batch.to(device, memory_format=torch.channels_last))
        embedding, early = (tensor[0].cpu().half().contiguous() for tensor in made)
        return Features(embedding, early)

    return encode
