"""Which of the physical pixel sizes that files claim can be believed."""

from __future__ import annotations

# Microscopes reach 0.05 um per pixel at 100x; 20 um is a macro photograph. Beyond lie the 72 and 96 dpi that image
# programs write when they know nothing (353 and 265 um).
SMALLEST_MPP = 0.05
LARGEST_MPP = 20.0


def mean_mpp(x: float | None, y: float | None) -> float | None:
    """Averages the microns per pixel of both axes.

    Returns:
        Their mean; None when either is missing, NaN, not positive, or no microscope's.
    """
    if x is None or y is None:
        return None
    if not (SMALLEST_MPP <= x <= LARGEST_MPP and SMALLEST_MPP <= y <= LARGEST_MPP):
        return None
    return (x + y) / 2
