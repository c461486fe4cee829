"""Which weights each training setting changes; everything else of the base stays as it is, bit by bit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal, TypeAlias, get_args

if TYPE_CHECKING:
    from torch import nn

Trained: TypeAlias = Literal["tokens", "tokens+prompts", "decoder"]
"""What is trained: the paper's setting (HR and LR token, their MLPs, fusion modules); that and the prompt encoder;
that and the decoder's transformer, upscaling, MLP of mask token 0 and quality head."""

TRAINED: Final[tuple[Trained, ...]] = get_args(Trained)

# Mask tokens 1 to 3 and their MLPs are never trained: no loss reaches what they draw.
_DECODER = ("transformer.", "output_upscaling.", "output_hypernetworks_mlps.0.", "iou_prediction_head.")


def decoder_names(trained: Trained, decoder: nn.Module) -> list[str]:
    """Names of the parameters of SAM's mask decoder that a setting trains."""
    if trained != "decoder":
        return []
    return [name for name, _ in decoder.named_parameters() if name.startswith(_DECODER)]


def prompt_names(trained: Trained, prompt_encoder: nn.Module) -> list[str]:
    """Names of the parameters of SAM's prompt encoder that a setting trains."""
    if trained == "tokens":
        return []
    return [name for name, _ in prompt_encoder.named_parameters()]
