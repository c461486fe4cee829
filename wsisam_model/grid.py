"""The 64 x 64 positions for which every SAM's encoder has features, and the middle of them.

A low-resolution image has twice the field of the high-resolution one about the same centre, so that the latter covers
the 32 x 32 positions in its middle.
"""

from __future__ import annotations

from typing import Any, Final

SIDE: Final = 64

MIDDLE: Final = 28
"""Positions each way: of the 32 that the high-resolution image covers, as many as fill TinyViT's attention windows of
14 and of 7 (arXiv 2207.10666), so that none is padded."""

_START = (SIDE - MIDDLE) // 2


def middle_side(image_size: int) -> int:
    """How wide the middle of an image is, in its pixels."""
    return image_size // SIDE * MIDDLE


def middle(grid: Any, scale: int = 1) -> Any:
    """The middle positions of a tensor or an array.

    Args:
        grid: [..., 64 * scale, 64 * scale].
        scale: values each way for one position.

    Returns:
        [..., 28 * scale, 28 * scale], on the same memory.
    """
    cut = slice(_START * scale, (_START + MIDDLE) * scale)
    return grid[..., cut, cut]
