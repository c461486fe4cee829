"""Prompts of one kind as tensors, and their place in the frame of the low-resolution image."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from torch import Tensor

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from segment_anything.modeling import PromptEncoder

    from wsisam_model.prompt import Prompt


class PromptTokens(NamedTuple):
    """Prompts as the mask decoder takes them.

    Attributes:
        sparse: [P, T, 256]: a token for each click, for "not a point" after clicks without a box, for each corner.
        dense: [P, N, 256] with N = 64 * 64 image positions, or [1, 1, 256] for all of them where no prompt has a mask.
        masked: whether dense encodes masks, so that nothing computed for "no mask" holds.
    """

    sparse: Tensor
    dense: Tensor
    masked: bool


@dataclass(frozen=True)
class PromptBatch:
    """P prompts of one kind: the same number of points, all or none with a box, all or none with a mask.

    Attributes:
        size: P.
        points: [P, K, 2] float32, (x, y) in pixels of `frame`; None when K = 0.
        labels: [P, K] int64; None when K = 0.
        boxes: [P, 4] float32, (x0, y0, x1, y1); None without.
        masks: [P, 1, 256, 256] float32 logits; None without.
    """

    size: int
    points: Tensor | None
    labels: Tensor | None
    boxes: Tensor | None
    masks: Tensor | None

    @classmethod
    def of(cls, prompts: Sequence[Prompt], device: torch.device) -> PromptBatch:
        """Stacks prompts of one kind, which the caller guarantees."""
        first = prompts[0]
        return cls(
            size=len(prompts),
            points=torch.tensor([prompt.points for prompt in prompts], device=device) if first.points else None,
            labels=torch.tensor([prompt.labels for prompt in prompts], device=device) if first.points else None,
            boxes=None if first.box is None else torch.tensor([prompt.box for prompt in prompts], device=device),
            masks=None
            if first.mask is None
            else torch.from_numpy(np.stack([prompt.mask for prompt in prompts if prompt.mask is not None]))
            .unsqueeze(1)
            .to(device),
        )

    def in_low_frame(self, image_size: int) -> PromptBatch:
        """The same prompts in pixels of the low-resolution image.

        That image has the same centre, twice the field and the same side, so x becomes x / 2 + image_size / 4. The
        result is not rounded, unlike in the published script. A mask does not cover that field and is left out.

        Args:
            image_size: side of both images in pixels.
        """
        quarter = image_size / 4
        return PromptBatch(
            size=self.size,
            points=None if self.points is None else self.points / 2 + quarter,
            labels=self.labels,
            boxes=None if self.boxes is None else self.boxes / 2 + quarter,
            masks=None,
        )

    def encode(self, encoder: PromptEncoder, dtype: torch.dtype) -> PromptTokens:
        """Runs SAM's prompt encoder in its own precision.

        Args:
            encoder: SAM's prompt encoder.
            dtype: element type of the result, that of the decoder.
        """
        points = None if self.points is None else (self.points, self.labels)
        sparse, dense = encoder(points=points, boxes=self.boxes, masks=self.masks)
        # without a mask SAM repeats one vector over batch and positions: one says it all, and a prompt of a mask alone,
        # taken to the low frame, comes back as a batch of one
        dense = dense if self.masks is not None else dense[:1, :, :1, :1]
        return PromptTokens(
            sparse=sparse.expand(self.size, -1, -1).to(dtype),
            dense=dense.flatten(2).transpose(1, 2).to(dtype),
            masked=self.masks is not None,
        )


def batches(prompts: Sequence[Prompt], batch_size: int) -> Iterator[list[int]]:
    """Indices of prompts that decode together: of one kind, at most batch_size, each index once.

    Prompts of different kinds are not padded to one length: padding would need attention masks, and a batch would
    no longer give the numbers of its prompts decoded alone.
    """
    kinds: dict[tuple[int, bool, bool], list[int]] = {}
    for index, prompt in enumerate(prompts):
        kind = (len(prompt.points), prompt.box is not None, prompt.mask is not None)
        kinds.setdefault(kind, []).append(index)
    for indices in kinds.values():
        for start in range(0, len(indices), batch_size):
            yield indices[start : start + batch_size]
