"""A click that corrects an answer changes it near the click, and leaves what was trusted elsewhere mostly as it was.

The answer to one more click is one more guess at the whole object: it is right about the click, and may lose elsewhere
what was right before. So far from the click part of the answer before is kept, the more the surer the model was of it.
After a box or a shape most of it is: they say how far the object goes. Pure: logits and clicks in the mask's frame go
in, logits come out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from wsisam_server.segmentation.outlines.honouring import Click

MOST: Final = 0.9
"""The largest share of the answer before in the logits far from the new clicks: decision 0051 has the numbers."""

_DOUBTFUL: Final = 0.5
"""Of an answer to clicks with this score nothing is kept."""

_TRUSTED: Final = 0.8
"""From this score on `MOST` is."""

_REACH: Final = 24 / 256
"""Standard deviation of the Gaussian about a new click in which the new answer counts, as a part of the mask's longer
side; that of `honouring`."""


def kept_share(score: float, *, has_area: bool) -> float:
    """How much of an answer is kept far from the clicks that correct it.

    Args:
        score: of that answer.
        has_area: whether a box or a shape says how far the object goes.
    """
    if has_area:
        return MOST
    return MOST * min(max((score - _DOUBTFUL) / (_TRUSTED - _DOUBTFUL), 0.0), 1.0)


def corrected(
    logits: NDArray[np.float32], before: NDArray[np.float32], new: Sequence[Click], share: float
) -> NDArray[np.float32]:
    """The logits of an answer that corrects another.

    Args:
        logits: [h, w], the model's answer to all that was said.
        before: [h, w] over the same window, the finished answer that the new clicks correct.
        new: what was clicked since. Those outside the mask count as well: what they say lies where they are.
        share: of the answer before, see `kept_share`.

    Returns:
        [h, w]: `logits` at a new click, and far from all of them `share` of `before` and the rest of `logits`.
    """
    if share == 0:
        return logits
    height, width = logits.shape
    rows, columns = np.arange(height, dtype=np.float32)[:, None] + 0.5, np.arange(width, dtype=np.float32)[None] + 0.5
    reach = _REACH * max(height, width)
    near = np.zeros((height, width), np.float32)
    for click in new:
        distance = (rows - click.y) ** 2 + (columns - click.x) ** 2
        np.maximum(near, np.exp(-distance / (2 * reach**2)), out=near)
    held: NDArray[np.float32] = logits + np.float32(share) * (1 - near) * (before - logits)
    return held
