"""Models on a device: the shipped one in each number type, and the large encoders with weights by chance."""

from __future__ import annotations

import gc
import threading
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeAlias

import torch

from wsisam_model import ModelSettings, WsiSam, sam_parts
from wsisam_model.branch import Branch
from wsisam_model.dual import DualMaskDecoder
from wsisam_model.loading import Modules
from wsisam_model.routes import Route
from wsisam_model.variants import VARIANTS
from wsisam_model.vit import VIT_B, VIT_H, VIT_L, VitEncoder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from torch import nn
    from typing_extensions import Self

    from wsisam_model.model import Dtype
    from wsisam_model.variants import Variant

MIB = 1024 * 1024

Build: TypeAlias = "Callable[[str, Dtype], WsiSam]"
"""Makes a model on a device, in a number type."""


@dataclass(frozen=True)
class NumberType:
    """How numbers are kept and multiplied.

    Attributes:
        name: for people.
        dtype: of the model.
        tf32: whether a GPU may round what it multiplies to TF32. torch does so for convolutions unless told not to.
    """

    name: str
    dtype: Dtype
    tf32: bool = False

    @contextmanager
    def within(self) -> Iterator[None]:
        """Sets torch for the calls inside."""
        matmul, convolutions = torch.backends.cuda.matmul, torch.backends.cudnn
        before = matmul.allow_tf32, convolutions.allow_tf32
        matmul.allow_tf32 = convolutions.allow_tf32 = self.tf32
        try:
            yield
        finally:
            matmul.allow_tf32, convolutions.allow_tf32 = before

    def check(self, device: str) -> None:
        """Refuses what the device only imitates.

        Raises:
            NotImplementedError: it does.
        """
        on_gpu = device.startswith("cuda")
        if self.tf32 and not (on_gpu and torch.cuda.get_device_capability(device) >= (8, 0)):
            raise NotImplementedError("this device has no TF32")
        if self.dtype == "bfloat16" and on_gpu and not torch.cuda.is_bf16_supported(including_emulation=False):
            raise NotImplementedError("this device has no bfloat16")


FLOAT32, FLOAT16 = NumberType("float32", "float32"), NumberType("float16", "float16")
TYPES = (FLOAT32, FLOAT16, NumberType("TF32", "float32", tf32=True), NumberType("bfloat16", "bfloat16"))
"""The most telling first: what comes last may be cut."""


def shipped(device: str, dtype: Dtype, settings: ModelSettings | None = None) -> WsiSam:
    """The default model."""
    return WsiSam.from_name(device=device, dtype=dtype, settings=settings)


def encoders(*, small: bool) -> dict[str, Build]:
    """The encoders by name, the smallest first. Small ones stand for the ViTs where a CPU tries the script."""
    found: dict[str, Build] = {"shipped (TinyViT, 256 px)": shipped}
    shapes = dict(zip(("ViT-B", "ViT-L", "ViT-H"), (VIT_B, VIT_L, VIT_H), strict=True))
    for variant in VARIANTS:
        shape = shapes.get(variant.name)
        if shape is None:
            if variant.image_size == 1024:
                found[variant.name] = _seeded(variant)
        elif small:
            cut = shape._replace(dim=shape.dim // 8, depth=2, heads=shape.heads // 4, global_blocks=(1,))
            build = lambda cut=cut: VitEncoder(cut)  # noqa: E731
            found[f"{variant.name}, cut down"] = _seeded(replace(variant, early_channels=cut.dim, build=build))
        else:
            found[variant.name] = _seeded(variant)
    return found


def _seeded(variant: Variant) -> Build:
    """Plain SAM of this variant. Time and memory do not depend on what the weights are."""

    def build(device: str, dtype: Dtype) -> WsiSam:
        torch.manual_seed(0)
        encoder = variant.build()
        if any(tensor.is_meta for tensor in encoder.parameters()):
            _fill(encoder.to_empty(device=device))
        route = Route(DualMaskDecoder(Branch(sam_parts.mask_decoder())), sam_parts.prompt_encoder(variant.image_size))
        modules = Modules(
            variant=variant,
            encoder=encoder,
            prompt_encoder=route.prompt_encoder,
            plain=route.decoder,
            clicks=route,
            boxes=route,
            weights_hash="seeded",
            settings=ModelSettings(),
        )
        return WsiSam(
            modules,
            name=variant.name,
            description="weights by chance",
            settings=modules.settings,
            device=torch.device(device),
            dtype=getattr(torch, dtype),
        )

    return build


@torch.no_grad()
def _fill(encoder: nn.Module) -> None:
    """Weights by chance, small enough that half precision holds what they make."""
    for name, tensor in encoder.named_parameters():
        if tensor.ndim > 1:
            tensor.normal_(0, 0.02)
        else:
            tensor.fill_(0.0 if name.endswith("bias") else 1.0)


def fresh(device: str) -> None:
    """Gives the device's memory back, and counts its peak anew."""
    gc.collect()
    if device.startswith("cuda"):
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)


def peak_mib(device: str) -> float | None:
    """The most that this process had allocated on the device since `fresh`; None on a CPU."""
    return torch.cuda.max_memory_allocated(device) / MIB if device.startswith("cuda") else None


class DeviceMemory:
    """Watches what other processes take of a device: a server's memory, context and all.

    Args:
        device: a torch device string.
    """

    def __init__(self, device: str) -> None:
        self._device = device if device.startswith("cuda") else None
        self._before = self._most = self._used()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def peak_mib(self) -> float | None:
        """The most beyond what was taken at first, since it was asked last; None on a CPU."""
        most, self._most = self._most, 0
        return None if self._device is None else max(most - self._before, 0) / MIB

    def _used(self) -> int:
        if self._device is None:
            return 0
        free, total = torch.cuda.mem_get_info(self._device)
        return total - free

    def _watch(self) -> None:
        while self._device is not None and not self._ended.wait(0.02):
            self._most = max(self._most, self._used())
