"""The last look at a mask before its outline is drawn: smoothed, clicks honoured, stray parts left out.

All of it changes logits, so that the border between two samples stays where the model put it. Pure: logits and clicks
in the mask's frame go in, logits come out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
from scipy import ndimage

from wsisam_server.segmentation.outlines.honouring import Click, honoured, parts_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from wsisam_server.core.geometry import Window
    from wsisam_server.core.prompt import SlidePrompt

_STRAY: Final = 0.1
"""Of an answer to a box, a part below this share of the largest one is stray."""


class Finished(NamedTuple):
    """A finished mask.

    Attributes:
        logits: float32 [h, w].
        unhonoured: indices of the clicks that the mask contradicts.
        stray_parts: how many parts were left out.
    """

    logits: NDArray[np.float32]
    unhonoured: tuple[int, ...] = ()
    stray_parts: int = 0


def clicks_in(prompt: SlidePrompt, window: Window, shape: tuple[int, ...]) -> tuple[Click, ...]:
    """A prompt's clicks in the frame of a mask over a window.

    Args:
        prompt: in slide coordinates.
        window: which the mask covers.
        shape: the mask's [h, w].
    """
    rows, columns = (count / window.extent for count in shape)
    return tuple(
        Click((one.position.x - window.x) * columns, (one.position.y - window.y) * rows, one.positive)
        for one in prompt.points
    )


def finished(
    logits: NDArray[np.float32],
    clicks: Sequence[Click],
    *,
    honour: bool = True,
    prompted_parts: bool = True,
    blur: float = 0.0,
) -> Finished:
    """Finishes a mask.

    Args:
        logits: [h, w], finite; above 0 is the object.
        clicks: of the prompt.
        honour: move logits about clicks that the mask contradicts, see `honouring`.
        prompted_parts: leave out parts without a positive click. Where no part has one, as after a box alone, leave out
            those that are small beside the largest.
        blur: standard deviation of a Gaussian over the logits, in samples; 0 for none.
    """
    if blur > 0:
        logits = ndimage.gaussian_filter(logits, blur, mode="nearest")
    if honour and clicks:
        logits = honoured(logits, clicks)
    stray = 0
    if prompted_parts:
        logits, stray = _without_strays(logits, clicks)
    return Finished(logits, contradicted(logits, clicks), stray)


def contradicted(logits: NDArray[np.float32], clicks: Sequence[Click]) -> tuple[int, ...]:
    """Indices of the clicks whose sample is on the other side. Beyond the mask there is no object."""

    def drawn(click: Click) -> bool:
        cell = click.cell(logits.shape)
        return cell is not None and bool(logits[cell] > 0)

    return tuple(index for index, click in enumerate(clicks) if drawn(click) is not click.positive)


def _without_strays(logits: NDArray[np.float32], clicks: Sequence[Click]) -> tuple[NDArray[np.float32], int]:
    parts, count = parts_of(logits)
    if count <= 1:
        return logits, 0
    cells = [click.cell(logits.shape) for click in clicks if click.positive]
    clicked = {int(parts[cell]) for cell in cells if cell is not None} - {0}
    if clicked:
        kept = np.isin(np.arange(count + 1), list(clicked))
    else:
        sizes = np.bincount(parts.ravel())
        sizes[0] = 0
        kept = sizes >= _STRAY * sizes.max()
    kept[0] = True
    # No part touches another, not even by a corner, so that the border of each is the same without the others.
    return np.where(kept[parts], logits, -np.abs(logits)), int(count + 1 - kept.sum())
