"""Wide layers, run band by band so that what lies between two of them stays in the processor's caches.

At 256 x 256 positions a layer of 256 channels makes 67 MB of float32, which have to be written to memory and read
again before the next layer, on pages that the operating system must clear first: on a CPU that takes several times as
long as the arithmetic. Rows of an image and tokens do not need each other (a 3 x 3 convolution needs
one more row on each side), so that a chain of layers can be run on a few of them at a time. The result is the same
up to float32's rounding. On an accelerator a band is the whole image.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F  # noqa: N812 - the name everybody reads
from torch import Tensor, nn

from wsisam_model import spatial

if TYPE_CHECKING:
    from collections.abc import Iterator

_BAND_BYTES = 4 * 2**20
"""Of the widest layer's output: the second-level cache and a share of the third's."""


class BottleneckInBands(nn.Module):
    """A 1 x 1 convolution, a depthwise 3 x 3 one and a 1 x 1 one, with GELU between them.

    Args:
        expand: the first one.
        depthwise: the second one, of any stride.
        project: the third one.
        residual: whether the image itself is added in the end, with one more GELU behind.
    """

    def __init__(self, expand: nn.Conv2d, depthwise: nn.Conv2d, project: nn.Conv2d, *, residual: bool) -> None:
        super().__init__()
        self.expand = expand
        self.depthwise = depthwise
        self.project = project
        self.residual = residual

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, H, W] to [B, C', H / stride, W / stride], channels last in memory."""
        images = x.permute(0, 2, 3, 1)
        stride = self.depthwise.stride[0]
        count, height, width, _ = images.shape
        made = x.new_empty(count, -(-height // stride), -(-width // stride), self.project.out_channels)
        for image, result in zip(images, made, strict=True):
            for rows in _bands(result.shape[0], stride * width * self.expand.out_channels, x):
                self._band(image, rows, stride, result[rows])
        return made.permute(0, 3, 1, 2)

    def _band(self, image: Tensor, rows: slice, stride: int, result: Tensor) -> None:
        # The input rows that these output rows see; those beyond the image are zeros after the first layer.
        first, last = stride * rows.start - 1, stride * (rows.stop - 1) + 2
        seen = slice(max(first, 0), min(last, len(image)))
        wide = _gelu(_pointwise(self.expand, image[seen])).permute(2, 0, 1)[None]
        above, below = seen.start - first, last - seen.stop
        if above or below:
            wide = F.pad(wide, (0, 0, above, below))
        wide = F.conv2d(wide, self.depthwise.weight, self.depthwise.bias, stride, (0, 1), groups=self.depthwise.groups)
        band = _pointwise(self.project, _gelu(wide.permute(0, 2, 3, 1))[0])
        if self.residual:
            _gelu(torch.add(band, image[rows], out=result))
        else:
            result.copy_(band)


class MlpInBands(nn.Module):
    """A transformer's norm and two-layer perceptron with GELU, for some tokens at a time.

    Args:
        norm: over channels.
        widen: the first layer.
        narrow: the second one.
    """

    def __init__(self, norm: nn.LayerNorm, widen: nn.Linear, narrow: nn.Linear) -> None:
        super().__init__()
        self.norm = norm
        self.widen = widen
        self.narrow = narrow

    def forward(self, x: Tensor) -> Tensor:
        """[..., N, C] to [..., N, C]."""
        tokens = x.reshape(-1, x.shape[-1])
        made = torch.empty_like(tokens)
        for some in _bands(tokens.shape[0], self.widen.out_features, tokens):
            made[some] = self.narrow(_gelu(self.widen(self.norm(tokens[some]))))
        return made.view(x.shape)


def add_quadrupled(layers: nn.Sequential, feature_map: Tensor, result: Tensor) -> None:
    """Adds what four layers make of a map: two transposed convolutions of kernel and stride 2, a norm and GELU between.

    No two outputs of such a convolution share an input, so each is one matrix product.

    Args:
        layers: they, in order; the norm is over channels.
        feature_map: [B, C, H, W].
        result: [B, 4 H, 4 W, C'], contiguous.
    """
    stages: list[Any] = list(layers)
    first, norm, _, second = stages
    for pixels, image in zip(feature_map.permute(0, 2, 3, 1), result, strict=True):
        width, made = pixels.shape[1], second.out_channels
        for rows in _bands(len(pixels), 4 * width * first.out_channels, feature_map):
            wide = spatial.doubled(first, pixels[rows].reshape(-1, pixels.shape[2]))
            wide = _gelu(F.layer_norm(wide, norm.weight.shape, norm.weight, norm.bias, norm.eps))
            # row, column, place in the first doubling, place in the second
            quads = spatial.doubled(second, wide).view(-1, width, 2, 2, 2, 2, made).permute(0, 2, 4, 1, 3, 5, 6)
            image[4 * rows.start : 4 * rows.stop].view(quads.shape).add_(quads)


def _bands(length: int, width: int, like: Tensor) -> Iterator[slice]:
    """Slices of 0 to length, of `_BAND_BYTES` where each step has `width` values of a tensor's type."""
    step = length
    if like.device.type == "cpu":
        step = max(1, _BAND_BYTES // (width * like.element_size()))
    return (slice(start, min(start + step, length)) for start in range(0, length, step))


def _pointwise(convolution: nn.Conv2d, pixels: Tensor) -> Tensor:
    """A 1 x 1 convolution of pixels [H, W, C]: one matrix product."""
    return F.linear(pixels, convolution.weight.flatten(1), convolution.bias)


def _gelu(x: Tensor) -> Tensor:
    """In place, of a contiguous x: with its axes in any other order, a CPU takes 2.3 times as long."""
    made: Tensor = torch.ops.aten.gelu_(x)
    return made
