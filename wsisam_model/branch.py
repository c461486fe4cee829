"""One branch of WSI-SAM's dual mask decoder: SAM's decoder, with or without the paper's trained additions.

Shapes as in `two_way`: B images, P prompts, N = 64 * 64 image positions; B is 1 or P.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import torch
from segment_anything.modeling.common import LayerNorm2d
from segment_anything.modeling.mask_decoder import MLP
from torch import Tensor, nn

from wsisam_model import bands, spatial, two_way

if TYPE_CHECKING:
    from segment_anything.modeling import MaskDecoder

    from wsisam_model.prompt_batch import PromptTokens

_DIM = 256
_MAP_DIM = 32
_MASK_TOKENS = slice(1, 5)
_HF_TOKEN = 5


class BranchInput(NamedTuple):
    """What a branch decodes.

    Attributes:
        image: [B, N, 256] image embedding.
        prompt: the prompts, in the frame of that image.
        projections: `Branch.project` of the image, or None to compute it; must be None for prompts with a mask.
        fused: `WsiParts.fuse` of the image, [B, 32, 256, 256]; None where no WSI mask is wanted from this branch.
    """

    image: Tensor
    prompt: PromptTokens
    projections: two_way.ImageProjections | None = None
    fused: Tensor | None = None


class Decoded(NamedTuple):
    """Tokens and image after the transformer.

    Attributes:
        tokens: [P, T, 256] in the order IoU, 4 mask tokens, HR or LR token if any, prompt tokens.
        image: [P, N, 256].
    """

    tokens: Tensor
    image: Tensor


class Candidates(NamedTuple):
    """Masks of SAM's tokens 1 to 3: logits [P, 3, 256, 256] and qualities [P, 3], float32."""

    logits: Tensor
    iou: Tensor


class WsiParts(nn.Module):
    """What the paper adds to one SAM decoder: a token, its MLP, and the fusion module (arXiv 2403.09257).

    Submodules are named as in the published checkpoints.

    Args:
        early_channels: C of the encoder's early feature: 160, 768, 1024 or 1280.
    """

    def __init__(self, early_channels: int) -> None:
        super().__init__()
        self.hf_token = nn.Embedding(1, _DIM)
        self.hf_mlp = MLP(_DIM, _DIM, _MAP_DIM, 3)
        self.compress_vit_feat = nn.Sequential(
            nn.ConvTranspose2d(early_channels, _DIM, kernel_size=2, stride=2),
            LayerNorm2d(_DIM),
            nn.GELU(),
            nn.ConvTranspose2d(_DIM, _MAP_DIM, kernel_size=2, stride=2),
        )
        self.embedding_encoder = nn.Sequential(
            nn.ConvTranspose2d(_DIM, _DIM // 4, kernel_size=2, stride=2),
            LayerNorm2d(_DIM // 4),
            nn.GELU(),
            nn.ConvTranspose2d(_DIM // 4, _MAP_DIM, kernel_size=2, stride=2),
        )
        self.embedding_maskfeature = nn.Sequential(
            nn.Conv2d(_MAP_DIM, _DIM // 4, kernel_size=3, padding=1),
            LayerNorm2d(_DIM // 4),
            nn.GELU(),
            nn.Conv2d(_DIM // 4, _MAP_DIM, kernel_size=3, padding=1),
        )

    def fuse(self, image: Tensor, early: Tensor) -> Tensor:
        """The part of the fused features that no prompt changes.

        Args:
            image: [B, N, 256] image embedding.
            early: [B, C, 64, 64] early feature of the encoder.

        Returns:
            [B, 32, 256, 256].
        """
        sources = ((self.embedding_encoder, spatial.as_map(image)), (self.compress_vit_feat, early))
        if torch.is_grad_enabled():
            image_side, early_side = (spatial.run(layers, source) for layers, source in sources)
            return image_side + early_side
        side = 4 * early.shape[2]
        fused = early.new_zeros(len(early), side, side, _MAP_DIM)
        for layers, source in sources:
            bands.add_quadrupled(layers, source, fused)
        return fused.permute(0, 3, 1, 2)

    def mask(self, upscaled: Tensor, fused: Tensor, token: Tensor) -> Tensor:
        """Applies a token to the fused features, which are embedding_maskfeature(upscaled) + fused.

        Args:
            upscaled: [P, 32, 256, 256], SAM's upscaled image features.
            fused: [B, 32, 256, 256], what `fuse` returned.
            token: [P, 32], the sum of the branches' tokens after their MLPs.

        Returns:
            [P, 256, 256] float32 logits.
        """
        hidden = spatial.run(self.embedding_maskfeature[:-1], upscaled)
        last = self.embedding_maskfeature[-1]
        assert isinstance(last, nn.Conv2d)
        return spatial.weigh_convolution(last, hidden, token).float() + spatial.weigh(fused, token).float()


class Branch(nn.Module):
    """A SAM mask decoder and, for the HR and LR branch, the paper's additions.

    Args:
        decoder: SAM's decoder. Branches of equal weights hold the same one, and may then share projections.
        parts: the additions; None for plain SAM.
    """

    def __init__(self, decoder: MaskDecoder, parts: WsiParts | None = None) -> None:
        super().__init__()
        self.decoder = decoder
        self.parts = parts

    def project(self, image: Tensor, no_mask: Tensor, image_pe: Tensor) -> two_way.ImageProjections:
        """The first layer's image side for prompts without a mask.

        Args:
            image: [B, N, 256] image embedding.
            no_mask: [1, 1, 256] dense prompt embedding of "no mask", the same at every position.
            image_pe: [1, N, 256] positional encoding of the image.
        """
        return two_way.project_first_layer(self.decoder.transformer, image + no_mask, image_pe)

    def decode(self, given: BranchInput, image_pe: Tensor) -> Decoded:
        """Runs the transformer on the branch's tokens, the prompts' and the image.

        Args:
            given: the image and the prompts.
            image_pe: [1, N, 256] positional encoding of the image.
        """
        own = [self.decoder.iou_token.weight, self.decoder.mask_tokens.weight]
        if self.parts is not None:
            own.append(self.parts.hf_token.weight)
        sparse = given.prompt.sparse
        tokens = torch.cat([torch.cat(own).expand(sparse.shape[0], -1, -1), sparse], dim=1)
        image = given.image + given.prompt.dense
        return Decoded(*two_way.attend(self.decoder.transformer, tokens, image, image_pe, given.projections))

    def upscale(self, decoded: Decoded) -> Tensor:
        """SAM's upscaled image features, [P, 32, 256, 256]."""
        return spatial.run(self.decoder.output_upscaling, spatial.as_map(decoded.image))

    def wsi_token(self, decoded: Decoded) -> Tensor:
        """The HR or LR token after its MLP, [P, 32]. Only for a branch with parts."""
        assert self.parts is not None
        token: Tensor = self.parts.hf_mlp(decoded.tokens[:, _HF_TOKEN])
        return token

    def sam_mask(self, decoded: Decoded, upscaled: Tensor, *, multimask: bool) -> tuple[Tensor, Tensor]:
        """SAM's own mask and its predicted quality.

        Args:
            decoded: the result of `decode`.
            upscaled: the result of `upscale`.
            multimask: choose the best of mask tokens 1 to 3, each prompt its own, instead of token 0.

        Returns:
            [P, 256, 256] float32 logits and [P] float32 qualities.
        """
        quality: Tensor = self.decoder.iou_prediction_head(decoded.tokens[:, 0])
        if multimask:
            chosen = 1 + quality[:, 1:].argmax(dim=1)
            rows = torch.arange(len(chosen), device=chosen.device)
            weights, quality = self._mask_weights(decoded)[rows, chosen], quality[rows, chosen]
        else:
            mlp = self.decoder.output_hypernetworks_mlps[0]
            weights, quality = mlp(decoded.tokens[:, _MASK_TOKENS][:, 0]), quality[:, 0]
        return spatial.weigh(upscaled, weights).float(), quality.float()

    def candidates(self, decoded: Decoded, upscaled: Tensor) -> Candidates:
        """SAM's answers at several scales to a prompt that may mean more than one object: mask tokens 1 to 3.

        Args:
            decoded: the result of `decode`.
            upscaled: the result of `upscale`.
        """
        quality: Tensor = self.decoder.iou_prediction_head(decoded.tokens[:, 0])
        logits = self._mask_weights(decoded)[:, 1:] @ upscaled.flatten(2)
        return Candidates(logits.view(*logits.shape[:2], *upscaled.shape[2:]).float(), quality[:, 1:].float())

    def _mask_weights(self, decoded: Decoded) -> Tensor:
        tokens = decoded.tokens[:, _MASK_TOKENS]
        mlps = self.decoder.output_hypernetworks_mlps
        return torch.stack([mlp(tokens[:, index]) for index, mlp in enumerate(mlps)], dim=1)
