"""The grid that every vertex lies on: multiples of 1/32 level-0 pixel."""

from __future__ import annotations

from typing import Final

UNITS_PER_PX: Final = 32
"""Grid steps in one level-0 pixel: a power of two, so that a vertex is exact in binary, in text and as an integer."""

STEP_PX: Final = 1 / UNITS_PER_PX
"""The grid's step in level-0 pixels: finer than any annotation, and 2**31 steps reach 67 million pixels."""
