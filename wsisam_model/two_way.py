"""SAM's two-way transformer, run so that the image side of its first layer can be computed once an image.

The modules and their weights are segment_anything's (arXiv 2304.02643, appendix A, "Lightweight mask decoder"); only
the order of the work is ours. B is a number of images, P of prompts, T of tokens, N of image positions (64 * 64).
Tensors with B = 1 serve any number of prompts on that image; otherwise B = P.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import torch.nn.functional as F  # noqa: N812 - the name everybody reads
from torch import Tensor

if TYPE_CHECKING:
    from segment_anything.modeling import TwoWayTransformer


class ImageProjections(NamedTuple):
    """What one two-way layer's cross attentions project from the image, each [B, N, 128].

    Attributes:
        key: keys that the tokens attend to.
        value: values that the tokens gather.
        query: queries with which the image attends to the tokens.
    """

    key: Tensor
    value: Tensor
    query: Tensor


def project_first_layer(transformer: TwoWayTransformer, image: Tensor, image_pe: Tensor) -> ImageProjections:
    """The first layer's projections, which no prompt changes unless it has a mask.

    Args:
        transformer: SAM's two-way transformer.
        image: [B, N, 256] image embedding plus dense prompt embedding.
        image_pe: [1, N, 256] positional encoding of the image.
    """
    return _project(transformer.layers[0], image, image_pe)


def attend(
    transformer: TwoWayTransformer,
    tokens: Tensor,
    image: Tensor,
    image_pe: Tensor,
    first: ImageProjections | None = None,
) -> tuple[Tensor, Tensor]:
    """Lets tokens and image attend to each other.

    Args:
        transformer: SAM's two-way transformer.
        tokens: [P, T, 256] output tokens followed by prompt tokens; also their own positional encoding.
        image: [B, N, 256] image embedding plus dense prompt embedding.
        image_pe: [1, N, 256] positional encoding of the image.
        first: `project_first_layer` of the same image, computed here when None.

    Returns:
        The updated tokens [P, T, 256] and image [P, N, 256].
    """
    queries, keys = tokens, image
    for layer in transformer.layers:
        if layer.skip_first_layer_pe:
            queries = _self_attention(layer.self_attn, queries, queries)
        else:
            queries = queries + _self_attention(layer.self_attn, queries + tokens, queries)
        queries = layer.norm1(queries)

        sides = first if keys is image and first is not None else _project(layer, keys, image_pe)
        read = layer.cross_attn_token_to_image
        queries = layer.norm2(queries + _attention(read, read.q_proj(queries + tokens), sides.key, sides.value))
        queries = layer.norm3(queries + layer.mlp(queries))
        write = layer.cross_attn_image_to_token
        update = _attention(write, sides.query, write.k_proj(queries + tokens), write.v_proj(queries))
        keys = layer.norm4(keys + update)

    last = transformer.final_attn_token_to_image
    update = _attention(last, last.q_proj(queries + tokens), last.k_proj(keys + image_pe), last.v_proj(keys))
    return transformer.norm_final_attn(queries + update), keys


def _project(layer: Any, image: Tensor, image_pe: Tensor) -> ImageProjections:
    placed = image + image_pe
    read, write = layer.cross_attn_token_to_image, layer.cross_attn_image_to_token
    return ImageProjections(key=read.k_proj(placed), value=read.v_proj(image), query=write.q_proj(placed))


def _self_attention(attention: Any, queries: Tensor, values: Tensor) -> Tensor:
    return _attention(attention, attention.q_proj(queries), attention.k_proj(queries), attention.v_proj(values))


def _attention(attention: Any, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """Attention between projected [P or 1, L, D] queries and [P or 1, M, D] keys and values: [P, L, 256]."""
    batch = max(query.shape[0], key.shape[0])
    q, k, v = (
        side.expand(batch, -1, -1).view(batch, side.shape[1], attention.num_heads, -1).transpose(1, 2)
        for side in (query, key, value)
    )
    gathered = F.scaled_dot_product_attention(q, k, v)
    out: Tensor = attention.out_proj(gathered.transpose(1, 2).flatten(2))
    return out
