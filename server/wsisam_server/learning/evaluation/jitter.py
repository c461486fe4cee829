"""Other hands: the same object prompted as several people would, and how much their answers have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from wsisam_server.core.geometry import Box, Point
from wsisam_server.core.prompt import PromptPoint, SlidePrompt
from wsisam_server.learning.datasets import crop, first_click, jittered_box

if TYPE_CHECKING:
    from wsisam_server.learning.datasets import ObjectMask, Sample

CLICK_SHIFT: Final = 0.1
"""How far from the middle another hand clicks, in lengths of the object's longer side."""


class OtherHands(NamedTuple):
    """Prompts for one object as other people would give them.

    Attributes:
        boxes: each side of the object's box moved, see `jittered_box`.
        clicks: a place in the object within `CLICK_SHIFT` of the first click's.
    """

    boxes: tuple[SlidePrompt, ...] = ()
    clicks: tuple[SlidePrompt, ...] = ()


def other_hands(sample: Sample, item: ObjectMask, count: int, random: np.random.Generator) -> OtherHands:
    """Draws the prompts of `count` hands.

    Args:
        sample: the image.
        item: the object.
        count: of boxes, and of clicks; 0 for none.
        random: where chance comes from.
    """
    height, width = sample.labels.shape
    boxes = [Box(*jittered_box(item.box, (width, height), random)) for _ in range(count)]
    mask = crop(sample.labels, item)
    middle = np.array(first_click(mask))
    places = np.argwhere(mask)[:, ::-1] + 0.5
    near = places[np.hypot(*(places - middle).T) <= max(CLICK_SHIFT * max(mask.shape), 0.5)]
    clicks = near[random.integers(len(near), size=count)] + item.box[:2]
    return OtherHands(
        tuple(SlidePrompt(box=box) for box in boxes),
        tuple(SlidePrompt((PromptPoint(Point(float(x), float(y)), positive=True),)) for x, y in clicks),
    )
