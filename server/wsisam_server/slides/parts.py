"""Reads windows in parts, where one read would cost too much or meets damage."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from wsisam_server.core.errors import Reason, WsiSamServerError
from wsisam_server.core.geometry import Window
from wsisam_server.slides.base import DamagedRegionError

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


def read_around_damage(
    read: Callable[[Window], NDArray[np.uint8]], window: Window, piece: int, fill: int
) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """Reads a window, in pieces where the slide is damaged.

    Args:
        read: of a slide; see `Slide.read`.
        window: what to read.
        piece: side of the pieces; divides the window's.
        fill: what a piece shows that cannot be read.

    Returns:
        uint8 [window.size, window.size, 3], RGB; and which pixels could not be read: bool [window.size, window.size].

    Raises:
        WsiSamServerError: see `Slide.read`, but for damage.
    """
    damaged = np.zeros((window.size, window.size), bool)
    try:
        return read(window), damaged
    except DamagedRegionError:
        picture = np.full((window.size, window.size, 3), fill, np.uint8)
    for row in range(0, window.size, piece):
        for column in range(0, window.size, piece):
            here = slice(row, row + piece), slice(column, column + piece)
            x, y = window.x + column * window.downsample, window.y + row * window.downsample
            try:
                picture[here] = read(Window(x, y, window.downsample, piece))
            except DamagedRegionError:
                damaged[here] = True
    return picture, damaged
