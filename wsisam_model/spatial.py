"""The decoder's work on feature maps, channels last in memory: the layout in which its small kernels run fastest."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F  # noqa: N812 - the name everybody reads
from segment_anything.modeling.common import LayerNorm2d
from torch import nn

if TYPE_CHECKING:
    from torch import Tensor


def as_map(tokens: Tensor) -> Tensor:
    """Image tokens [B, S * S, C] as a map [B, C, S, S] on the same memory."""
    side = round(tokens.shape[1] ** 0.5)
    return tokens.transpose(1, 2).view(tokens.shape[0], tokens.shape[2], side, side)


def as_tokens(feature_map: Tensor) -> Tensor:
    """A map [B, C, S, S] as contiguous image tokens [B, S * S, C]."""
    return feature_map.flatten(2).transpose(1, 2).contiguous()


def run(layers: nn.Sequential, feature_map: Tensor) -> Tensor:
    """Runs layers on a map [B, C, H, W], normalising over channels with the fused kernel.

    SAM's LayerNorm2d computes mean, variance and scale in five passes over the map; with channels last it is
    torch's layer_norm, which takes one.
    """
    for layer in layers:
        if isinstance(layer, LayerNorm2d):
            feature_map = _layer_norm(layer, feature_map)
        elif torch.is_grad_enabled() and isinstance(layer, nn.ConvTranspose2d):
            feature_map = _double(layer, feature_map)
        elif torch.is_grad_enabled() and isinstance(layer, nn.Conv2d):
            # on a CPU the gradient of a 3 x 3 convolution takes three times as long with channels last
            feature_map = layer(feature_map.contiguous())
        elif isinstance(layer, nn.GELU) and feature_map.is_contiguous(memory_format=torch.channels_last):
            # seen in the order of its memory, it takes a CPU half the time
            feature_map = layer(feature_map.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
        else:
            feature_map = layer(feature_map)
    return feature_map


def weigh_convolution(convolution: nn.Conv2d, feature_map: Tensor, weights: Tensor) -> Tensor:
    """The dot product over output channels of a 3 x 3 convolution with one vector a prompt.

    Both are linear, so the vector is applied to the kernel first: with 32 output channels that leaves a thirty-second
    of the multiplications. The kernel's nine taps are then one matrix product, and `fold` adds them up displaced.

    Args:
        convolution: [C, D, 3, 3] kernel with bias, stride 1, padding 1.
        feature_map: [P, D, H, W].
        weights: [P, C].

    Returns:
        [P, H, W]: sum over c of weights[p, c] * convolution(feature_map)[p, c].
    """
    kernel = torch.einsum("pc,cdij->pdij", weights, convolution.weight)
    # a kernel is applied as a correlation and fold displaces the other way, hence the flip
    taps = kernel.flip(2, 3).flatten(2).transpose(1, 2) @ feature_map.flatten(2)
    summed = F.fold(taps, feature_map.shape[2:], kernel_size=3, padding=1)[:, 0]
    assert convolution.bias is not None
    return summed + (weights @ convolution.bias)[:, None, None]


def weigh(feature_map: Tensor, weights: Tensor) -> Tensor:
    """The dot product over channels of a map [P or 1, C, H, W] with weights [P, C]: [P, H, W]."""
    return (weights[:, None, :] @ feature_map.flatten(2)).view(-1, *feature_map.shape[2:])


def doubled(layer: nn.ConvTranspose2d, pixels: Tensor) -> Tensor:
    """A transposed convolution of kernel and stride 2 of pixels [N, C]: [4 N, C'], each pixel's four one by one."""
    kernel = layer.weight.permute(0, 2, 3, 1).reshape(pixels.shape[1], -1)
    assert layer.bias is not None
    return torch.addmm(layer.bias.repeat(4), pixels, kernel).view(-1, layer.out_channels)


def _layer_norm(layer: Any, feature_map: Tensor) -> Tensor:
    channels_last = feature_map.permute(0, 2, 3, 1)
    return F.layer_norm(channels_last, layer.weight.shape, layer.weight, layer.bias, layer.eps).permute(0, 3, 1, 2)


def _double(layer: nn.ConvTranspose2d, feature_map: Tensor) -> Tensor:
    """A transposed convolution of kernel and stride 2, which no two outputs share: one matrix product.

    Its gradient takes half the time of the convolution's on a CPU; its result, twice, so inference does without it.
    """
    size, channels, height, width = feature_map.shape
    made = layer.out_channels
    pixels = feature_map.permute(0, 2, 3, 1).reshape(-1, channels)
    quads = doubled(layer, pixels).view(size, height, width, 2, 2, made)
    return quads.transpose(2, 3).reshape(size, 2 * height, 2 * width, made).permute(0, 3, 1, 2)
