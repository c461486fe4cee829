"""The part of the model that trains: dual mask decoder and prompt encoder, on features from the frozen encoder."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor, nn

from wsisam_model import spatial
from wsisam_model.branch import Branch, BranchInput, WsiParts
from wsisam_model.dual import DualMaskDecoder, DualMasks
from wsisam_model.prompt_batch import PromptBatch
from wsisam_model.trainable import Trained, decoder_names, prompt_names

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wsisam_model import Prompt
    from wsisam_model.loading import Modules
    from wsisam_server.learning.training.cache import Features


# SAM's own tokens have a norm of 2, torch's default for an embedding would be 16: the frozen decoder would attend to
# nothing else, which cost 0.03 Dice of box prompts before the first step.
_TOKEN_STD = 0.02


class Image(NamedTuple):
    """Features of B images as the decoder takes them, on its device.

    Attributes:
        embedding: [B, N, 256] with N = 64 * 64.
        early: [B, C, 64, 64].
    """

    embedding: Tensor
    early: Tensor


class Network(nn.Module):
    """Both branches of the decoder, on one copy of SAM's decoder: the additions of both then fit a small file.

    New HR and LR tokens draw nothing, since the last layer of their MLPs starts at zero, and hardly disturb the others,
    since they are small: training starts from the base's own masks.

    Args:
        base: the frozen base; copied, never changed.
        trained: which parameters get gradients.
        low: train the LR additions too.
    """

    def __init__(self, base: Modules, trained: Trained, *, low: bool = True) -> None:
        super().__init__()
        self.trained = trained
        self.image_size = base.variant.image_size
        self.decoder = copy.deepcopy(base.plain.high.decoder).requires_grad_(requires_grad=False)
        self.prompt_encoder = copy.deepcopy(base.prompt_encoder).requires_grad_(requires_grad=False)
        self.high, self.low = WsiParts(base.variant.early_channels), WsiParts(base.variant.early_channels)
        for parts in (self.high, self.low):
            nn.init.normal_(parts.hf_token.weight, std=_TOKEN_STD)
            last = parts.hf_mlp.layers[-1]
            nn.init.zeros_(last.weight)
            nn.init.zeros_(last.bias)
        self.low.requires_grad_(requires_grad=low)
        for module, names in (
            (self.decoder, decoder_names(trained, self.decoder)),
            (self.prompt_encoder, prompt_names(trained, self.prompt_encoder)),
        ):
            for name in names:
                module.get_parameter(name).requires_grad_()
        self._dual = [DualMaskDecoder(Branch(self.decoder, self.high), Branch(self.decoder, self.low))]

    def forward(
        self,
        high: Image,
        low: Image | None,
        prompts: Sequence[Prompt],
        *,
        additions: bool = True,
        want_low: bool = False,
        want_candidates: bool = False,
    ) -> DualMasks:
        """Decodes prompts of one kind, the first on the first image and so on.

        Args:
            high: HR images of P prompts.
            low: LR images of the same; None for the HR token alone.
            prompts: P prompts in pixels of their HR images.
            additions: answer with the additions; without, with SAM's own mask, the HR token only being there.
            want_low: decode masks over the LR images too.
            want_candidates: decode the masks of SAM's tokens 1 to 3, too.
        """
        dual = self._dual[0]
        batch = PromptBatch.of(prompts, high.embedding.device)
        image_pe = self.prompt_encoder.get_dense_pe().flatten(2).transpose(1, 2)
        if not additions:
            given = self._input(dual.high, high, batch, fused=False)
            decoded = dual.high.decode(given, image_pe)
            upscaled = dual.high.upscale(decoded)
            logits, quality = dual.high.sam_mask(decoded, upscaled, multimask=False)
            candidates = dual.high.candidates(decoded, upscaled) if want_candidates else None
            return DualMasks(logits, logits, quality, None, candidates)
        low_input = None
        if low is not None:
            assert dual.low is not None
            low_input = self._input(dual.low, low, batch.in_low_frame(self.image_size), fused=want_low)
        given = self._input(dual.high, high, batch, fused=True)
        answer: DualMasks = dual(given, low_input, image_pe, want_low=want_low, want_candidates=want_candidates)
        return answer

    def images(self, features: Sequence[Features], device: torch.device) -> Image:
        """Puts the features of several windows together."""
        return stack([(each.embedding, each.early) for each in features], device)

    def route(self, prompt: Prompt) -> Network:  # noqa: ARG002 - `JointNetwork` has two
        """What answers a prompt of this kind: itself."""
        return self

    def trained_parameters(self) -> dict[str, nn.Parameter]:
        """The parameters that get gradients, by name."""
        return {name: parameter for name, parameter in self.named_parameters() if parameter.requires_grad}

    def _input(self, branch: Branch, image: Image, batch: PromptBatch, *, fused: bool) -> BranchInput:
        assert branch.parts is not None
        return BranchInput(
            image=image.embedding,
            prompt=batch.encode(self.prompt_encoder, torch.float32),
            fused=branch.parts.fuse(image.embedding, image.early) if fused else None,
        )


def stack(features: Sequence[tuple[Tensor, Tensor]], device: torch.device) -> Image:
    """Puts the features of several images together: pairs of [256, 64, 64] and [C, 64, 64], any float type."""
    embedding = torch.stack([each for each, _ in features]).to(device, torch.float32)
    early = torch.stack([each for _, each in features]).to(device, torch.float32)
    return Image(spatial.as_tokens(embedding), early.to(memory_format=torch.channels_last))
