"""The straightforward way to answer a prompt, against which `profile_click.py` and `speed.py` compare: nothing cached.

For each prompt: both images are encoded, batch norms and all, and both branches of WSI-SAM's dual decoder run to the
end, with upscaling (arXiv 2403.09257). The modules are segment_anything's and timm's and run in those libraries' own
order; only the weights come from `wsisam_model.loading`, so that both sides answer with the same ones.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from wsisam_model import loading, registry

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from segment_anything.modeling import PromptEncoder
    from torch import Tensor

    from wsisam_model import Prompt
    from wsisam_model.branch import Branch
    from wsisam_model.encoder import EncoderOutput


class Straightforward:
    """A model as it is published.

    Args:
        name: of a listed model.
        device: a torch device string.
    """

    def __init__(self, name: str = registry.DEFAULT, device: str = "cpu") -> None:
        _, files = registry.resolve(name)
        self._modules = loading.load(files.sam, additions=files.additions)
        variant = self._modules.variant
        self.image_size = variant.image_size
        self._device = torch.device(device)
        self._encoder = self._modules.encoder.eval().to(self._device)
        for route in (self._modules.clicks, self._modules.boxes):
            route.decoder.to(self._device)
            route.prompt_encoder.to(self._device)
        self._mean, self._std = (
            torch.tensor(values, device=self._device).view(3, 1, 1) for values in (variant.mean, variant.std)
        )

    @torch.inference_mode()
    def answer(self, high: NDArray[np.uint8], low: NDArray[np.uint8], prompt: Prompt) -> NDArray[np.float32]:
        """Logits over the high-resolution image, float32 [256, 256].

        Args:
            high: uint8 RGB [S, S, 3], S being `image_size`.
            low: the same of the low-resolution image.
            prompt: a box or points, in pixels of `high`.
        """
        boxed = prompt.box is not None and not prompt.points
        route = self._modules.boxes if boxed else self._modules.clicks
        decoder, quarter = route.decoder, self.image_size / 4
        points = torch.tensor(prompt.points or (), dtype=torch.float32, device=self._device).view(1, -1, 2)
        box = None if prompt.box is None else torch.tensor([prompt.box], device=self._device)
        labels = torch.tensor([prompt.labels], device=self._device)
        token, masks, features = _decode(decoder.high, route.prompt_encoder, self.encode(high), points, labels, box)
        encoded = self.encode(low)
        if decoder.low is not None:
            in_low = None if box is None else box / 2 + quarter
            low_token, _, _ = _decode(decoder.low, route.prompt_encoder, encoded, points / 2 + quarter, labels, in_low)
            token = token + low_token
        logits = masks + (token[:, None] @ features.flatten(2)).view(-1, 256, 256)
        return np.asarray(logits[0].cpu())

    @torch.inference_mode()
    def encode(self, image: NDArray[np.uint8]) -> EncoderOutput:
        """One image's embedding and early feature."""
        pixels = torch.from_numpy(image.copy()).to(self._device).permute(2, 0, 1).float()
        encoded: EncoderOutput = self._encoder(((pixels - self._mean) / self._std)[None])
        return encoded


def _decode(
    branch: Branch,
    prompt_encoder: PromptEncoder,
    encoded: EncoderOutput,
    points: Tensor,
    labels: Tensor,
    box: Tensor | None,
) -> tuple[Tensor, Tensor, Tensor]:
    """A branch's token after its MLP [1, 32], SAM's mask [1, 256, 256] and the fused features [1, 32, 256, 256]."""
    decoder, parts = branch.decoder, branch.parts
    assert parts is not None
    sparse, dense = prompt_encoder(points=(points, labels) if points.numel() else None, boxes=box, masks=None)
    own = torch.cat([decoder.iou_token.weight, decoder.mask_tokens.weight, parts.hf_token.weight])
    hidden, image = decoder.transformer(
        encoded.embedding + dense, prompt_encoder.get_dense_pe(), torch.cat([own[None], sparse], dim=1)
    )
    upscaled = decoder.output_upscaling(image.transpose(1, 2).view(1, 256, 64, 64))
    each = torch.stack(
        [mlp(hidden[:, 1 + index]) for index, mlp in enumerate(decoder.output_hypernetworks_mlps)], dim=1
    )
    masks = (each @ upscaled.flatten(2)).view(1, -1, 256, 256)
    decoder.iou_prediction_head(hidden[:, 0])
    fused = parts.embedding_encoder(encoded.embedding) + parts.compress_vit_feat(encoded.early)
    features = parts.embedding_maskfeature(upscaled) + fused
    return parts.hf_mlp(hidden[:, 5]), masks[:, 0], features
