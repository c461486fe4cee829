"""The dual mask decoder of WSI-SAM (arXiv 2403.09257), with plain SAM as the case without additions."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from torch import Tensor, nn

if TYPE_CHECKING:
    from wsisam_model.branch import Branch, BranchInput, Candidates


class DualMasks(NamedTuple):
    """Logits [P, 256, 256] and qualities [P], float32; the fields of `Prediction` for P prompts."""

    logits: Tensor
    sam_logits: Tensor
    iou: Tensor
    low_logits: Tensor | None
    candidates: Candidates | None = None


class DualMaskDecoder(nn.Module):
    """Decodes prompts on a high-resolution image, with the help of a low-resolution one of twice the field.

    A plain torch module: batched, differentiable in every weight, and indifferent to inference mode.

    Args:
        high: the HR branch; without parts the whole is plain SAM, and `low` must be None.
        low: the LR branch, or None for the HR token alone.
    """

    def __init__(self, high: Branch, low: Branch | None = None) -> None:
        super().__init__()
        self.high = high
        self.low = low

    def forward(
        self,
        high: BranchInput,
        low: BranchInput | None,
        image_pe: Tensor,
        *,
        low_pe: Tensor | None = None,
        multimask: bool = False,
        want_low: bool = False,
        want_candidates: bool = False,
    ) -> DualMasks:
        """Decodes P prompts.

        Args:
            high: the high-resolution image and the prompts in its frame; `fused` set if the HR branch has parts.
            low: the low-resolution image and the same prompts in its frame; `fused` set if want_low. None for the
                HR token alone.
            image_pe: [1, N, 256] positional encoding of either image.
            low_pe: [1, M, 256], that of M positions of the low-resolution image where only these are given.
            multimask: see `ModelSettings`.
            want_low: return logits over the low-resolution image too; they cost as much again as the answer.
            want_candidates: return the masks of SAM's tokens 1 to 3, too.
        """
        decoded = self.high.decode(high, image_pe)
        upscaled = self.high.upscale(decoded)
        candidates = self.high.candidates(decoded, upscaled) if want_candidates else None
        sam_logits, iou = self.high.sam_mask(decoded, upscaled, multimask=multimask)
        if self.high.parts is None:
            return DualMasks(sam_logits, sam_logits, iou, None, candidates)
        token = self.high.wsi_token(decoded)
        low_decoded = None
        if self.low is not None and low is not None:
            low_decoded = self.low.decode(low, image_pe if low_pe is None else low_pe)
            token = token + self.low.wsi_token(low_decoded)
        assert high.fused is not None
        logits = sam_logits + self.high.parts.mask(upscaled, high.fused, token)
        if not want_low or self.low is None or low is None or low_decoded is None:
            return DualMasks(logits, sam_logits, iou, None, candidates)
        low_upscaled = self.low.upscale(low_decoded)
        low_sam, _ = self.low.sam_mask(low_decoded, low_upscaled, multimask=multimask)
        assert self.low.parts is not None
        assert low.fused is not None
        low_logits = low_sam + self.low.parts.mask(low_upscaled, low.fused, token)
        return DualMasks(logits, sam_logits, iou, low_logits, candidates)
