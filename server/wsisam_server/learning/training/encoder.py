"""The frozen encoder as training uses it: pixels in, half-precision features out, each window once."""

from __future__ import annotations

import copy
import functools
import importlib.util
import warnings
from typing import TYPE_CHECKING, Protocol, TypeAlias

import numpy as np
import torch
from torch import Tensor, nn

from wsisam_server.learning.training.cache import Features

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from wsisam_model.encoder import ImageEncoder
    from wsisam_model.loading import Modules


Runner: TypeAlias = "Callable[[NDArray[np.float32]], tuple[Tensor, Tensor]]"
"""Normalised pixels [1, 3, S, S] -> embedding [1, 256, 64, 64] and early feature [1, C, 64, 64], on the CPU."""


class Encode(Protocol):
    """Encodes one image uint8 [S, S, 3]."""

    def __call__(self, image: NDArray[np.uint8], /) -> Features:
        """See the class."""
        ...


def frozen_encoder(modules: Modules, device: torch.device, *, last_stage: bool = True) -> Encode:
    """The fastest encoder that this machine has, made ready at its first use: a run whose windows are cached has none.

    OpenVINO, if it is installed, runs it on a CPU, at a difference of 1e-6 of the largest number, which half precision
    then rounds away. Measured: from half of torch's time to a sixth more, by the processor.

    Args:
        modules: the model; its encoder is rewritten for inference, unless its last stage is left out.
        device: where torch would run it.
        last_stage: run it, too; without, the features' embedding is what it takes.
    """
    mean, std = (np.asarray(values, np.float32) for values in (modules.variant.mean, modules.variant.std))

    @functools.cache
    def ready() -> Runner:
        # The last stage of the one that was given is still to be trained.
        encoder = modules.encoder.eval() if last_stage else copy.deepcopy(modules.encoder).eval()
        encoder.requires_grad_(requires_grad=False)
        if _has_openvino(device):  # it takes the layers as they are, not those that write in place
            return _openvino(encoder if last_stage else _Stages(encoder), modules.variant.image_size)
        encoder.freeze()
        return _torch(encoder if last_stage else _Stages(encoder), device)

    def encode(image: NDArray[np.uint8], /) -> Features:
        pixels = ((image - mean) / std).transpose(2, 0, 1)[None]
        embedding, early = ready()(np.ascontiguousarray(pixels, np.float32))
        return Features(embedding[0].half().contiguous(), early[0].half().contiguous())

    return encode


class _Stages(nn.Module):
    """An encoder without its last stage."""

    def __init__(self, encoder: ImageEncoder) -> None:
        super().__init__()
        self.encoder = encoder

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        return self.encoder.stages(images)


def _has_openvino(device: torch.device) -> bool:
    return device.type == "cpu" and importlib.util.find_spec("openvino") is not None


def _torch(encoder: nn.Module, device: torch.device) -> Runner:
    encoder.to(device).to(memory_format=torch.channels_last)

    @torch.inference_mode()
    def run(pixels: NDArray[np.float32]) -> tuple[Tensor, Tensor]:
        batch = torch.from_numpy(pixels).to(device, memory_format=torch.channels_last)
        embedding, early = encoder(batch)
        return embedding.cpu(), early.cpu()

    return run


def _openvino(encoder: nn.Module, side: int) -> Runner:
    import openvino  # noqa: PLC0415 - optional

    shape = (1, 3, side, side)
    with warnings.catch_warnings():
        # what depends on the image's size is fixed by tracing, as it should be, and each such place warns
        warnings.simplefilter("ignore")
        traced = openvino.convert_model(encoder, example_input=torch.zeros(shape), input=list(shape))
    settings = {"INFERENCE_NUM_THREADS": torch.get_num_threads(), "INFERENCE_PRECISION_HINT": "f32"}
    compiled = openvino.Core().compile_model(traced, "CPU", settings)

    def run(pixels: NDArray[np.float32]) -> tuple[Tensor, Tensor]:
        outputs = compiled([pixels])
        return torch.from_numpy(outputs[0].copy()), torch.from_numpy(outputs[1].copy())

    return run
