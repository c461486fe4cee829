"""The learning rate over a run."""

from __future__ import annotations

import math

_WARM_UP = 0.03  # share of the run
_FLOOR = 0.02  # share of the peak that is left at the end


def rate_factor(step: int, steps: int) -> float:
    """Share of the peak learning rate at a step: a linear rise, then half a cosine (Loshchilov & Hutter 2017).

    Args:
        step: from 0; before it, nothing.
        steps: of the whole run.
    """
    if step < 0:
        return 0.0
    warm = max(1, round(_WARM_UP * steps))
    if step < warm:
        return (step + 1) / warm
    progress = (step - warm) / max(1, steps - warm)
    return _FLOOR + (1 - _FLOOR) * (1 + math.cos(math.pi * min(progress, 1.0))) / 2
