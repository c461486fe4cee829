"""Pictures of answers on validation objects, for the report."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
from PIL import Image, ImageDraw
from scipy import ndimage

from wsisam_server.learning.evaluation.pictures import ANSWER, NEGATIVE, POSITIVE, TRUTH
from wsisam_server.learning.training.views import LABEL_SIDE

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from wsisam_server.learning.training.validation import Answered

SIDE: Final = 384
_DOT = 4


def picture(pixels: NDArray[np.uint8], answered: Answered) -> Image.Image:
    """The HR window of an answer: the object's edge green, the answer's pink, clicks as dots.

    Args:
        pixels: uint8 [S, S, 3], what the model saw.
        answered: the answer.
    """
    image = np.array(Image.fromarray(pixels).resize((SIDE, SIDE), Image.Resampling.BICUBIC))
    for mask, color in ((answered.mask, TRUTH), (answered.drawn, ANSWER)):
        large = np.asarray(Image.fromarray(mask).resize((SIDE, SIDE), Image.Resampling.NEAREST))
        image[large & ~ndimage.binary_erosion(large, iterations=2)] = color
    drawn = Image.fromarray(image)
    pen = ImageDraw.Draw(drawn)
    scale = SIDE / LABEL_SIDE
    for x, y, positive in answered.clicks:
        center_x, center_y = x * scale, y * scale
        corners = (center_x - _DOT, center_y - _DOT, center_x + _DOT, center_y + _DOT)
        pen.ellipse(corners, fill=POSITIVE if positive else NEGATIVE, outline="white")
    return drawn
