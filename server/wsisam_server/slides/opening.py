"""Opens a slide file with the source that fits. All that is known of it comes from what was opened."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import openslide

from wsisam_server.core.errors import Reason, WsiSamServerError
from wsisam_server.slides.file import SlideFile, named
from wsisam_server.slides.fingerprint import file_fingerprint, fingerprint, is_file_set
from wsisam_server.slides.members import content_digest, lead_out, members, named_elsewhere
from wsisam_server.slides.openslide_source import OpenSlideSource
from wsisam_server.slides.plain import PlainImage
from wsisam_server.slides.tiff import TiffSource, is_tiff, read_layout
from wsisam_server.slides.unreadable import unreadable
from wsisam_server.slides.vendor_files import refuse_half_a_slide, refuse_plain_name

if TYPE_CHECKING:
    from pathlib import Path

    from wsisam_server.core.settings import Limits
    from wsisam_server.slides.base import Slide, SlideInfo

ATTEMPTS: Final = 3
"""How often a file is opened that changes while it is: it may just have been copied here."""


_GENERIC: Final = "generic-tiff"


def open_slide(path: Path | SlideFile, limits: Limits) -> Slide:
    """Opens a file on this machine.

    OpenSlide is asked first: what it detects has a pyramid or tiles and is read in place. Only what it does not know
    is tried as a plain image; a file that it detects but cannot open is damaged, and decoding its first page whole
    would hide that. A TIFF file without a vendor's marks says itself which of its pages are the slide: OpenSlide reads
    it where it finds the same, `TiffSource` otherwise.

    Size, fingerprint and pixels are those of one file, whatever takes its name meanwhile; one that changes while it is
    opened is opened again.

    Args:
        path: the file; nothing checks where it lies (`SlideAccess` does, for clients). One that is open already is
            the slide's from then on, unless this fails.
        limits: bounds the size of plain images, and what is read for one window.

    Raises:
        WsiSamServerError: SLIDE_NOT_FOUND when there is no such file, or one of its set lies outside its roots;
            SLIDE_UNREADABLE or SLIDE_TOO_LARGE.
    """
    file = path if isinstance(path, SlideFile) else SlideFile.open(path)
    try:
        for _ in range(ATTEMPTS):
            slide = _open(file, limits)
            if slide is not None:
                return slide
    except WsiSamServerError as error:
        error.path = str(file.path)  # not the descriptor's name
        file.close()
        raise
    file.close()
    raise WsiSamServerError(Reason.SLIDE_UNREADABLE, private="it changes while it is opened", path=file.path)


def _open(file: SlideFile, limits: Limits) -> Slide | None:
    """The slide; None where it changed meanwhile."""
    try:
        # By its path: formats of several files are recognised by their neighbours.
        vendor = openslide.OpenSlide.detect_format(file.path)
        if vendor and is_file_set(vendor, file.path):
            return _open_set(file, vendor, limits)
        file.by_path, file.members = False, ()
        before = file.held()
        vendor = openslide.OpenSlide.detect_format(file.name)
        slide = _of_one_file(file, vendor, limits)
    except (openslide.OpenSlideError, OSError) as error:
        raise unreadable(error, file.path) from error
    file.read_as = before
    # Read by its path, for want of a name for descriptors: that must name what is open.
    exchanged = len(before) > 1 and before[0] != before[1]
    return _unless_changed(slide, changed=exchanged or file.held() != before)


def _of_one_file(file: SlideFile, vendor: str | None, limits: Limits) -> Slide:
    name, most = file.name, limits.read_pixels
    if vendor not in {None, _GENERIC}:
        return OpenSlideSource(name, file, most_pixels=most)
    refuse_half_a_slide(file.path)
    layout = read_layout(name) if is_tiff(name) else None
    if layout is not None and vendor and layout.for_openslide:
        return OpenSlideSource(name, file, layout, most)
    if layout is not None and layout.is_tiled:
        return TiffSource(name, layout, most, file)
    refuse_plain_name(file.path)
    return PlainImage(name, limits.plain_image_pixels, layout)


def _open_set(file: SlideFile, vendor: str, limits: Limits) -> Slide | None:
    """Opens a slide of several files by its path; none of them may be exchanged meanwhile."""
    file.by_path, file.members = True, members(vendor, file.path)
    if file.roots and (lead_out(file.members, file.roots) or named_elsewhere(vendor, file.path)):
        raise WsiSamServerError(Reason.SLIDE_NOT_FOUND, private="a file of the set leads out", path=file.path)
    before = dict(zip(file.members, named(file.path, file.members)[1:], strict=True))
    own = file.held()[:2]
    slide = OpenSlideSource(file.path, file, most_pixels=limits.read_pixels)
    if slide.series:
        file.members = members(vendor, file.path, slide.series)
    slide.set_content(content_digest(slide.info.fingerprint, (file.path, *file.members)))
    signatures = (*own, *(before[one] for one in file.members if one in before))
    file.read_as = signatures
    return _unless_changed(slide, changed=file.held() != signatures or own[0] != own[1])


def still_holds(file: SlideFile, info: SlideInfo) -> bool:
    """Whether an open file, and all others of its set, are what the slide was made of, by their content.

    Raises:
        OSError: one cannot be read.
        openslide.OpenSlideError: the set cannot be opened any more.
    """
    if not info.content:
        return file_fingerprint(file.name) == info.fingerprint
    return content_digest(fingerprint(file.path), (file.path, *file.members)) == info.content


def _unless_changed(slide: Slide, *, changed: bool) -> Slide | None:
    if changed:
        slide.close()
        return None
    return slide
