"""What training makes small: how wrong each mask is, all over and about the clicks, and the error of its estimate."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F  # noqa: N812 - the name everybody reads

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from wsisam_model.branch import Candidates
    from wsisam_model.dual import DualMasks

_GAMMA = 1.0  # of the focal loss (Lin et al. 2017); at 2 pixels that are only just right count for too little
_FOCAL, _DICE = 2.0, 1.0
_SAM_MASK = 0.5  # the mask of SAM's own token, which the answer adds to
_LOW_MASK = 0.5
_QUALITY = 0.2
_CLICK_SIGMA = 5.0  # mask pixels
_OTHERS = 0.05  # of each candidate that is not the best, so that none drifts off where no object chooses it


def objective(
    masks: DualMasks, high: Tensor, low: Tensor | None, clicked: Tensor | None = None, click_weight: float = 0.0
) -> Tensor:
    """The loss of P prompts' answers: [P].

    Args:
        masks: what the decoder answered; `low_logits` set if `low` is.
        high: [P, 256, 256] bool, the object in the HR view.
        low: the same in the LR view; None to leave that mask out.
        clicked: from `click_places`.
        click_weight: how much the clicked places count.
    """
    loss = mask_loss(masks.logits, high) + _SAM_MASK * mask_loss(masks.sam_logits, high)
    loss = loss + _QUALITY * (masks.iou - overlap(masks.logits.detach(), high)).square()
    if low is not None and masks.low_logits is not None:
        loss = loss + _LOW_MASK * mask_loss(masks.low_logits, low)
    if clicked is not None and click_weight > 0:
        entropy = F.binary_cross_entropy_with_logits(masks.logits, high.float(), reduction="none")
        # the 1 is for a box without clicks
        loss = loss + click_weight * (entropy * clicked).sum(dim=(1, 2)) / clicked.sum(dim=(1, 2)).clamp(min=1)
    return loss


def candidates_loss(candidates: Candidates, mask: Tensor) -> Tensor:
    """The loss of P prompts' candidates: [P]. Only the best of each learns much (SAM, arXiv 2304.02643, section 3).

    The qualities of all of them learn, since they choose among the candidates.

    Args:
        candidates: K masks for each prompt.
        mask: [P, 256, 256] bool, the object.
    """
    each = torch.stack([mask_loss(logits, mask) for logits in candidates.logits.unbind(dim=1)], dim=1)
    true = torch.stack([overlap(logits, mask) for logits in candidates.logits.detach().unbind(dim=1)], dim=1)
    best = each.gather(1, true.argmax(dim=1, keepdim=True))[:, 0]
    quality = (candidates.iou - true).square().sum(dim=1)
    return best + _OTHERS * each.sum(dim=1) + _QUALITY * quality


def click_places(clicks: Sequence[Sequence[tuple[float, float, int]]], side: int) -> Tensor:
    """How near each pixel of P masks is to a click: [P, side, side], 1 at a click and falling as a Gaussian.

    Args:
        clicks: of each prompt, (x, y, label) in mask pixels, pixel i covering [i, i + 1).
        side: of the masks.
    """
    middle = torch.arange(side) + 0.5
    places = torch.zeros(len(clicks), side, side)
    for place, those in zip(places, clicks, strict=True):
        for x, y, _ in those:
            across, down = (torch.exp(-((middle - value) ** 2) / (2 * _CLICK_SIGMA**2)) for value in (x, y))
            torch.maximum(place, torch.outer(down, across), out=place)
    return places


def mask_loss(logits: Tensor, mask: Tensor) -> Tensor:
    """Focal cross entropy plus Dice loss of logits [P, H, W] against a mask of bool [P, H, W]: [P]."""
    target = mask.float()
    entropy = F.binary_cross_entropy_with_logits(logits, target, reduction="none")
    chance = logits.sigmoid()
    missed = torch.where(mask, 1 - chance, chance)
    focal = (missed.detach() ** _GAMMA * entropy).mean(dim=(1, 2))
    common = (chance * target).sum(dim=(1, 2))
    # the 1 is for a mask without pixels
    dice = 1 - (2 * common + 1) / (chance.sum(dim=(1, 2)) + target.sum(dim=(1, 2)) + 1)
    return _FOCAL * focal + _DICE * dice


def overlap(logits: Tensor, mask: Tensor) -> Tensor:
    """Intersection over union of logits [P, H, W] above zero with a mask of bool [P, H, W]: [P]."""
    drawn = logits > 0
    union = (drawn | mask).sum(dim=(1, 2))
    return (drawn & mask).sum(dim=(1, 2)) / union.clamp(min=1)
