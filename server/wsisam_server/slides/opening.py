"""Opens a slide file with the source that fits."""

from __future__ import annotations

from typing import TYPE_CHECKING

import openslide

from wsisam_server.errors import Reason, WsiSamServerError
from wsisam_server.slides.openslide_source import OpenSlideSource
from wsisam_server.slides.plain import PlainImage
from wsisam_server.slides.tiff import TiffSource, is_tiff, read_layout
from wsisam_server.slides.vendor_files import refuse_half_a_slide

if TYPE_CHECKING:
    from pathlib import Path

    from wsisam_server.config import Limits
    from wsisam_server.slides.base import Slide


_GENERIC = "generic-tiff"


def open_slide(path: Path, limits: Limits) -> Slide:
    """Opens a file on this machine.

    OpenSlide is asked first: what it detects has a pyramid or tiles and is read in place. Only what it does not know
    is tried as a plain image; a file that it detects but cannot open is damaged, and decoding its first page whole
    would hide that. A TIFF file without a vendor's marks says itself which of its pages are the slide: OpenSlide reads
    it where it finds the same, `TiffSource` otherwise.

    Args:
        path: the file; nothing checks where it lies (`SlideAccess` does, for clients).
        limits: bounds the size of plain images, and what is read for one window.

    Raises:
        WsiSamServerError: SLIDE_NOT_FOUND when there is no such file; SLIDE_UNREADABLE or SLIDE_TOO_LARGE.
    """
    if not path.is_file():
        raise WsiSamServerError(Reason.SLIDE_NOT_FOUND, place=path)
    try:
        vendor = openslide.OpenSlide.detect_format(path)
        if vendor not in {None, _GENERIC}:
            return OpenSlideSource(path, most_pixels=limits.read_pixels)
        refuse_half_a_slide(path)
        layout = read_layout(path) if is_tiff(path) else None
    except (openslide.OpenSlideError, OSError) as error:
        raise WsiSamServerError(Reason.SLIDE_UNREADABLE, private=repr(error), place=path) from error
    if layout is None:
        return PlainImage(path, limits.plain_image_pixels)
    if vendor and layout.for_openslide:
        return OpenSlideSource(path, layout, limits.read_pixels)
    if layout.is_tiled:
        return TiffSource(path, layout, limits.read_pixels)
    return PlainImage(path, limits.plain_image_pixels, layout)
