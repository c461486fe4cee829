"""SAM's own ViT-B, L and H, on segment_anything's module (arXiv 2304.02643, appendix A)."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from segment_anything.modeling import ImageEncoderViT
from torch import nn

from wsisam_model.encoder import EncoderOutput, ImageEncoder

if TYPE_CHECKING:
    from torch import Tensor


class VitShape(NamedTuple):
    """What tells the three apart.

    Attributes:
        dim: channels of a token.
        depth: number of blocks.
        heads: attention heads of a block.
        global_blocks: indices of the blocks that attend to the whole image, the others to windows of 14.
    """

    dim: int
    depth: int
    heads: int
    global_blocks: tuple[int, ...]


VIT_B = VitShape(768, 12, 12, (2, 5, 8, 11))
VIT_L = VitShape(1024, 24, 16, (5, 11, 17, 23))
VIT_H = VitShape(1280, 32, 16, (7, 15, 23, 31))


class VitEncoder(ImageEncoder):
    """SAM's ViT for 1024 px images, with its early feature. Its positions are those of whole images."""

    takes_parts = False

    def __init__(self, shape: VitShape) -> None:
        super().__init__()
        self.early_block = shape.global_blocks[0]
        self.trunk: Any = ImageEncoderViT(
            embed_dim=shape.dim,
            depth=shape.depth,
            num_heads=shape.heads,
            global_attn_indexes=shape.global_blocks,
            window_size=14,
            use_rel_pos=True,
            norm_layer=partial(nn.LayerNorm, eps=1e-6),
        )

    def forward(self, images: Tensor) -> EncoderOutput:
        """See `ImageEncoder`; the early feature is the output of the first global-attention block."""
        x = self.trunk.patch_embed(images) + self.trunk.pos_embed
        early = x
        for index, block in enumerate(self.trunk.blocks):
            x = block(x)
            if index == self.early_block:
                early = x
        return EncoderOutput(embedding=self.trunk.neck(x.permute(0, 3, 1, 2)), early=early.permute(0, 3, 1, 2))

    def file_key(self, key: str) -> str:
        """See `ImageEncoder`."""
        return key.removeprefix("trunk.")

    def freeze(self) -> None:
        """Has nothing to rewrite."""
