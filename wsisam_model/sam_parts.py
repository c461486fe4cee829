"""SAM's prompt encoder and mask decoder without weights; under `torch.device("meta")` they cost nothing to make."""

from __future__ import annotations

from segment_anything.modeling import MaskDecoder, PromptEncoder, TwoWayTransformer

_DIM = 256
_EMBEDDING_SIDE = 64


def prompt_encoder(image_size: int) -> PromptEncoder:
    """SAM's prompt encoder.

    Args:
        image_size: side of the square input images in pixels, in which prompts are given.
    """
    return PromptEncoder(
        embed_dim=_DIM,
        image_embedding_size=(_EMBEDDING_SIDE, _EMBEDDING_SIDE),
        input_image_size=(image_size, image_size),
        mask_in_chans=16,
    )


def mask_decoder() -> MaskDecoder:
    """SAM's mask decoder."""
    return MaskDecoder(
        transformer_dim=_DIM,
        transformer=TwoWayTransformer(depth=2, embedding_dim=_DIM, mlp_dim=2048, num_heads=8),
    )
