"""TinyViT as MobileSAM and LiteMedSAM use it (arXiv 2306.14289), on timm's modules.

Both differ from timm's tiny_vit_5m in that the last stage keeps the resolution and a neck of SAM follows. timm counts
a downsampling to the stage after it, the published checkpoints to the stage before it.
"""

from __future__ import annotations

import re
from typing import Any

from segment_anything.modeling.common import LayerNorm2d
from timm.models.tiny_vit import Attention, ConvNorm, MBConv, NormMlp, PatchMerging, TinyVit
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from wsisam_model.bands import BottleneckInBands, MlpInBands
from wsisam_model.encoder import EncoderOutput, ImageEncoder

_EMBED_DIMS = (64, 128, 160, 320)
_EMBEDDING_DIM = 256
_EARLY_STAGE = 2  # the early feature is this stage's input once downsampled


class TinyVitEncoder(ImageEncoder):
    """TinyViT-5M with SAM's neck.

    Args:
        strided_stem: True for MobileSAM, whose stem of two 3 x 3 convolutions takes 1024 px to 256; False for
            LiteMedSAM, whose stem of two 1 x 1 convolutions keeps 256 px.
    """

    takes_parts = True
    last_stage_channels = _EMBED_DIMS[_EARLY_STAGE]

    def __init__(self, *, strided_stem: bool) -> None:
        super().__init__()
        trunk: Any = TinyVit(
            num_classes=0,
            embed_dims=_EMBED_DIMS,
            depths=(2, 2, 6, 2),
            num_heads=(2, 4, 5, 10),
            window_sizes=(7, 7, 14, 7),
            drop_path_rate=0.0,
        )
        del trunk.head
        trunk.stages[-1].downsample.conv2.conv.stride = (1, 1)
        if not strided_stem:
            trunk.patch_embed.conv1 = ConvNorm(3, _EMBED_DIMS[0] // 2)
            trunk.patch_embed.conv2 = ConvNorm(_EMBED_DIMS[0] // 2, _EMBED_DIMS[0])
        self.trunk = trunk
        self.neck = nn.Sequential(
            nn.Conv2d(_EMBED_DIMS[-1], _EMBEDDING_DIM, kernel_size=1, bias=False),
            LayerNorm2d(_EMBEDDING_DIM),
            nn.Conv2d(_EMBEDDING_DIM, _EMBEDDING_DIM, kernel_size=3, padding=1, bias=False),
            LayerNorm2d(_EMBEDDING_DIM),
        )

    def forward(self, images: Tensor) -> EncoderOutput:
        """See `ImageEncoder`; the early feature has 160 channels."""
        frozen, early = self.stages(images)
        return EncoderOutput(self.finish(frozen), early, frozen if self.keeps_frozen else None)

    def stages(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """See `ImageEncoder`; the last stage's input has 160 channels, too."""
        x = self.trunk.patch_embed(images)
        for stage in self.trunk.stages[:_EARLY_STAGE]:
            x = stage(x)
        # timm runs the downsampling and the blocks of a stage in one call, and the feature lies between them
        stage = self.trunk.stages[_EARLY_STAGE]
        early = stage.downsample(x)
        return stage.blocks(early.permute(0, 2, 3, 1)).permute(0, 3, 1, 2), early

    def finish(self, frozen: Tensor) -> Tensor:
        """See `ImageEncoder`."""
        x = frozen
        for stage in self.trunk.stages[_EARLY_STAGE + 1 :]:
            x = stage(x)
        embedding: Tensor = self.neck(x)
        return embedding

    def last_stage_names(self) -> list[str]:
        """See `ImageEncoder`; the statistics of batch norms are no parameters, and stay the base's."""
        prefixes = (*(f"trunk.stages.{index}." for index in range(_EARLY_STAGE + 1, len(self.trunk.stages))), "neck.")
        return [name for name, _ in self.named_parameters() if name.startswith(prefixes)]

    def file_key(self, key: str) -> str:
        """See `ImageEncoder`."""
        key = key.removeprefix("trunk.")
        key = re.sub(r"^patch_embed\.conv([12])", lambda match: f"patch_embed.seq.{2 * int(match[1]) - 2}", key)
        key = re.sub(r"^stages\.(\d)\.downsample", lambda match: f"layers.{int(match[1]) - 1}.downsample", key)
        key = re.sub(r"^stages\.", "layers.", key)
        return re.sub(r"\.conv\.(weight)$", r".c.\1", key)

    def freeze(self) -> None:
        """Folds every batch norm into the convolution before it, lets attention run fused, and wide layers in bands."""
        _fold_batch_norms(self.trunk)
        for module in self.trunk.modules():
            if isinstance(module, Attention):
                _give_biases_a_batch_axis(module)
        _run_in_bands(self.trunk)


def _give_biases_a_batch_axis(attention: Attention) -> None:
    # torch's fused attention on a CPU takes a mask of two or of four dimensions; timm's bias has three
    biases = attention.get_attention_biases
    attention.get_attention_biases = lambda device: biases(device)[None]  # type: ignore[method-assign]


def _fold_batch_norms(module: nn.Module) -> None:
    for name, child in module.named_children():
        if isinstance(child, ConvNorm):
            setattr(module, name, fuse_conv_bn_eval(child.conv, child.bn))
        else:
            _fold_batch_norms(child)


def _run_in_bands(module: nn.Module) -> None:
    for name, child in module.named_children():
        layers: Any = child
        if isinstance(child, (MBConv, PatchMerging)):
            residual = isinstance(child, MBConv)
            setattr(module, name, BottleneckInBands(layers.conv1, layers.conv2, layers.conv3, residual=residual))
        elif isinstance(child, NormMlp):
            setattr(module, name, MlpInBands(layers.norm, layers.fc1, layers.fc2))
        else:
            _run_in_bands(child)
