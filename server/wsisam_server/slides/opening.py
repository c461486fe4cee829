"""Opens a slide file with the source that fits."""

from __future__ import annotations

from typing import TYPE_CHECKING

import openslide

from wsisam_server.errors import Reason, WsiSamServerError
from wsisam_server.slides.openslide_source import OpenSlideSource
from wsisam_server.slides.plain import PlainImage

if TYPE_CHECKING:
    from pathlib import Path

    from wsisam_server.config import Limits
    from wsisam_server.slides.base import Slide


def open_slide(path: Path, limits: Limits) -> Slide:
    """Opens a file on this machine.

    OpenSlide is asked first: what it detects has a pyramid or tiles and is read in place. Only what it does not know
    is tried as a plain image; a file that it detects but cannot open is damaged, and decoding its first page whole
    would hide that.

    Args:
        path: the file; nothing checks where it lies (`SlideAccess` does, for clients).
        limits: bounds the size of plain images.

    Raises:
        WsiSamServerError: SLIDE_NOT_FOUND when there is no such file; SLIDE_UNREADABLE or SLIDE_TOO_LARGE.
    """
    if not path.is_file():
        raise WsiSamServerError(Reason.SLIDE_NOT_FOUND, place=path)
    try:
        vendor = openslide.OpenSlide.detect_format(path)
    except openslide.OpenSlideError as error:
        raise WsiSamServerError(Reason.SLIDE_UNREADABLE, private=repr(error), place=path) from error
    return OpenSlideSource(path) if vendor else PlainImage(path, limits.plain_image_pixels)
