"""Which weights each training setting changes; everything else of the base stays as it is, bit by bit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal, TypeAlias, get_args

if TYPE_CHECKING:
    from torch import nn

Trained: TypeAlias = Literal["tokens", "tokens+prompts", "decoder", "decoder+masks"]
"""What is trained, each setting with all of the one before it:

- tokens: the paper's setting (HR and LR token, their MLPs, fusion modules).
- tokens+prompts: the prompt encoder, too.
- decoder: the decoder's transformer, upscaling, MLP of mask token 0 and quality head, too.
- decoder+masks: the mask tokens and the MLPs of tokens 1 to 3, too, which draw the candidates of a single click.
"""

TRAINED: Final[tuple[Trained, ...]] = get_args(Trained)

# Without candidates, no loss reaches what mask tokens 1 to 3 draw, so these and their MLPs stay the base's.
_DECODER = ("transformer.", "output_upscaling.", "output_hypernetworks_mlps.0.", "iou_prediction_head.")
_MASKS = (*_DECODER, "output_hypernetworks_mlps.", "mask_tokens.")


def decoder_names(trained: Trained, decoder: nn.Module) -> list[str]:
    """Names of the parameters of SAM's mask decoder that a setting trains."""
    parts = {"decoder": _DECODER, "decoder+masks": _MASKS}.get(trained)
    if parts is None:
        return []
    return [name for name, _ in decoder.named_parameters() if name.startswith(parts)]


def prompt_names(trained: Trained, prompt_encoder: nn.Module) -> list[str]:
    """Names of the parameters of SAM's prompt encoder that a setting trains."""
    if trained == "tokens":
        return []
    return [name for name, _ in prompt_encoder.named_parameters()]
