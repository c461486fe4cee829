"""How a model is used: choices that belong to its weights, not to a call."""

from __future__ import annotations

from dataclasses import dataclass

from wsisam_model import grid


@dataclass(frozen=True)
class ModelSettings:
    """Choices fixed when a model is loaded.

    Attributes:
        multimask: answer a single click, which may mean a part or the whole, by the one of SAM's three multi-mask
            tokens of highest predicted quality instead of by mask token 0. Other prompts get token 0, as SAM advises.
            The paper's models use token 0 always (arXiv 2403.09257), so it is off by default.
        mask_feedback: the model wants its previous logits with the next click on the same object. It is the caller who
            keeps and sends them. Off unless a file asks for it: the paper's models were never shown their own masks.
        box_route: answer prompts of a box alone as the weights file wants: by weights of their own, or by the base.
            Off, the weights for clicks answer them too.
        read_low: have a low-resolution image encoded for prompts whose weights can use one. Off for weights to which it
            was measured to bring nothing: an encoding takes longer than all else. One that is given is used even so.
        low_middle: of a low-resolution image, have only the middle encoded, which the high-resolution one covers. It
            takes three tenths of the time and was measured to give what the whole gives (the card of wsisam-lite). The
            paper's model reads the whole. TinyViT encoders only.
        batch_size: most prompts decoded at once; about 45 MB of activations each in float32. None for 8 on an
            accelerator and 1 on a CPU, where one prompt fills the caches and a batch is slower than its prompts
            one by one.
    """

    multimask: bool = False
    mask_feedback: bool = False
    box_route: bool = True
    read_low: bool = True
    low_middle: bool = False
    batch_size: int | None = None

    def low_side(self, image_size: int) -> int:
        """How wide a part of a low-resolution image is encoded, about its middle, in its pixels."""
        return grid.middle_side(image_size) if self.low_middle else image_size

    def __post_init__(self) -> None:
        if self.batch_size is not None and self.batch_size < 1:
            raise ValueError(f"batch_size must be at least 1, got {self.batch_size}")
