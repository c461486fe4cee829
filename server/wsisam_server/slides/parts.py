"""Windows of which one read would cost too much, in several reads: for whoever waits for nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from wsisam_server.core.errors import Reason, WsiSamServerError
from wsisam_server.core.geometry import Window

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray


def read_in_parts(read: Callable[[Window], NDArray[np.uint8]], window: Window) -> NDArray[np.uint8]:
    """Reads a window, in quarters where it is too coarse for one read, and so on.

    On a slide of one huge level it takes minutes, for commands on this machine that do it once. A server does not.

    Args:
        read: of a slide; see `Slide.read`.
        window: what to read.

    Returns:
        uint8 [window.size, window.size, 3], RGB.

    Raises:
        WsiSamServerError: see `Slide.read`; VIEW_TOO_COARSE when a single pixel takes too many.
    """
    try:
        return read(window)
    except WsiSamServerError as error:
        if error.reason is not Reason.VIEW_TOO_COARSE or window.size == 1:
            raise
    picture = np.empty((window.size, window.size, 3), np.uint8)
    half = (window.size + 1) // 2
    # Quarters are squares, as windows are; of an odd window they overlap by a pixel.
    for top in (0, window.size - half):
        for left in (0, window.size - half):
            x, y = window.x + left * window.downsample, window.y + top * window.downsample
            part = read_in_parts(read, Window(x, y, window.downsample, half))
            picture[top : top + half, left : left + half] = part
    return picture
