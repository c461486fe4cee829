"""Which page of a TIFF file is the slide, and which others are its levels."""

from __future__ import annotations

import contextlib
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from wsisam_server.core.errors import Reason, WsiSamServerError
from wsisam_server.slides.tiff.channels import ChannelsError, described, planes
from wsisam_server.slides.tiff.pages import JPEG, MAGIC, Page, Pages

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

LARGEST_SEGMENT: Final = 2**26
"""Pixels of a tile, at most: it is decoded whole for the smallest window."""

_OPENSLIDES_BITS: Final = 8


@dataclass(frozen=True)
class PyramidLevel:
    """One stored level.

    Attributes:
        pages: one page, or three that hold red, green and blue.
        downsample_x: level-0 pixels per stored pixel along x.
        downsample_y: level-0 pixels per stored pixel along y.
    """

    pages: tuple[Page, ...]
    downsample_x: float
    downsample_y: float

    @property
    def stored_size(self) -> tuple[int, int]:
        """Width and height of what is stored, with padding."""
        return self.pages[0].size


@dataclass(frozen=True)
class Layout:
    """A slide in a TIFF file.

    Attributes:
        levels: ascending downsamples, the slide itself first.
        for_openslide: whether OpenSlide's generic reader finds the same levels, beside others, and reads them rightly.
    """

    levels: tuple[PyramidLevel, ...]
    for_openslide: bool

    @property
    def main(self) -> Page:
        """The slide's page, or the first of its three."""
        return self.levels[0].pages[0]

    @property
    def for_pil(self) -> bool:
        """Whether PIL reads the page, whole, and rightly, and no tile of it may hold more than it seems to."""
        page = self.main
        usual = page.colour_samples > 1 or page.samples - int(page.has_alpha) == 1
        return len(self.levels[0].pages) == 1 and usual and not page.is_planar and page.compression != JPEG

    @property
    def is_tiled(self) -> bool:
        """Whether the slide can be read in pieces."""
        return all(page.is_tiled for level in self.levels for page in level.pages)


def is_tiff(path: Path) -> bool:
    """Whether a file begins as a TIFF does."""
    with path.open("rb") as file:
        return file.read(4) in MAGIC


def read_layout(path: Path) -> Layout:
    """Finds the slide in a TIFF file and its levels, without decoding anything.

    The slide is the largest page that is not flagged as reduced, or what OME-XML describes. Its levels are pages below
    it (SubIFDs), and pages flagged as reduced that have its shape (`downsample_of`) and its kind of pixels.

    Raises:
        WsiSamServerError: SLIDE_UNREADABLE when the file is damaged, or its channels are no colours.
    """
    try:
        with path.open("rb") as file:
            reader = Pages(file)
            top = list(reader.top())
            main = _main(top)
            parts = planes(main, top)
            levels = tuple(_levels(parts, _candidates(top, parts, reader)))
            for level in levels:
                for page in level.pages:
                    page.settle()
    except ChannelsError as error:
        raise WsiSamServerError(
            Reason.SLIDE_UNREADABLE,
            private=str(error),
            path=path,
            problem=f"{error}",
            advice="Export it as an RGB image, or open it in QuPath, which sends the pixels that it shows",
        ) from error
    except Exception as error:
        # Anything can come out of a parser that is fed damaged bytes: struct.error, SyntaxError, OverflowError ...
        raise WsiSamServerError(Reason.SLIDE_UNREADABLE, private=repr(error), path=path) from error
    return Layout(levels, _is_for_openslide(levels))


def _is_for_openslide(levels: Sequence[PyramidLevel]) -> bool:
    """Whether OpenSlide finds the levels, and libtiff's conversion, which it uses, gives the pixels rightly.

    It takes a fourth sample for opacity that nobody called so, shows the first of channels that the tags call grey, and
    moves the rows of a tile at the right edge where samples have other than 8 bits.
    """
    main = levels[0].pages[0]
    if main.number != 0 or any(len(level.pages) > 1 or level.pages[0].number < 0 for level in levels):
        return False
    return main.bits == _OPENSLIDES_BITS and (
        main.samples == main.colour_samples or (main.has_alpha and main.samples == main.colour_samples + 1)
    )


def _candidates(top: Sequence[Page], parts: tuple[Page, ...], reader: Pages) -> list[tuple[Page, ...]]:
    """What may be levels: pages below the slide's, and other pages that are flagged as reduced."""
    below = [reader.below(part) for part in parts]
    if len(parts) > 1:
        return list(zip(*below, strict=False))
    reduced = [page for page in top if page is not parts[0] and page.is_reduced and not page.names_itself]
    return [(page,) for page in (*below[0], *reduced)]


def _main(top: Sequence[Page]) -> Page:
    if not top:
        raise ValueError("no page")
    own = [page for page in top if not page.is_reduced and not page.names_itself] or list(top)
    with contextlib.suppress(ChannelsError):
        stack = described(top)
        if stack is not None and stack.pages and not top[stack.pages[0]].is_reduced:
            return top[stack.pages[0]]
    return max(own, key=lambda page: (page.size[0] * page.size[1], -page.number))


def _levels(parts: tuple[Page, ...], candidates: Iterable[tuple[Page, ...]]) -> Iterable[PyramidLevel]:
    main = parts[0]
    _check(main)
    yield PyramidLevel(parts, 1.0, 1.0)
    last = 1.0
    # Equal sizes keep their order: of two padded to the same tile, the second is the coarser.
    for pages in sorted(candidates, key=lambda pages: -pages[0].size[0] * pages[0].size[1]):
        first = pages[0]
        kind = (first.samples, first.bits, first.colour_samples, first.is_tiled)
        if kind != (main.samples, main.bits, main.colour_samples, main.is_tiled) or 0 in first.size:
            continue
        scales = downsample_of(main.size, first.size, first.segment if first.is_tiled else (1, 1), last)
        if scales is not None and all(page.size == first.size for page in pages):
            _check(first)
            last = max(scales)
            yield PyramidLevel(pages, *scales)


def _check(page: Page) -> None:
    width, height = page.segment
    if min(*page.size, width, height) < 1 or (page.is_tiled and width * height > LARGEST_SEGMENT):
        raise ValueError(f"a page of {page.size}, in tiles of {page.segment}")


def downsample_of(
    full: tuple[int, int], stored: tuple[int, int], tile: tuple[int, int], last: float = 1.0
) -> tuple[float, float] | None:
    """By how much a stored picture is smaller than the slide, along x and y.

    Writers shrink by whole numbers and drop or fill what does not divide; some pad levels to whole tiles, as those of
    CAMELYON16 are. In this order: a whole number that explains both sides to within a pixel; the smallest power of two
    that explains them when they are filled up to whole tiles; the quotient of the sides, where it is the same for both;
    the smallest whole number that explains filled ones.

    Args:
        full: width and height of the slide.
        stored: width and height of the picture.
        tile: width and height of its tiles; 1 for none.
        last: the downsample of the level before; this one is coarser.

    Returns:
        None when the picture is not of the slide's shape, and so no level of it.
    """
    (full_width, full_height), (width, height) = full, stored
    whole = max(round(full_width / width), 1)
    if whole > last and abs(full_width / whole - width) < 1 and abs(full_height / whole - height) < 1:
        return float(whole), float(whole)
    powers = (2**exponent for exponent in range(1, max(full).bit_length() + 1))
    padded = _padded(full, stored, tile, (factor for factor in powers if factor > last))
    if padded is not None:
        return padded
    x, y = full_width / width, full_height / height
    # Each side is off by less than a stored pixel from what the other one's quotient says.
    if min(x, y) > last and (abs(full_height / x - height) < 1 or abs(full_width / y - width) < 1):
        return x, y
    least = math.floor(max(x, y, last)) + 1
    return _padded(full, stored, tile, range(least, least + 64))


def _padded(
    full: tuple[int, int], stored: tuple[int, int], tile: tuple[int, int], factors: Iterable[int]
) -> tuple[float, float] | None:
    """The first whole number that explains both sides when they are filled up to whole tiles."""
    for factor in factors:
        if all(
            stored_side % tile_side == 0 and 0 <= stored_side - math.floor(full_side / factor) <= tile_side
            for full_side, stored_side, tile_side in zip(full, stored, tile, strict=True)
        ):
            return float(factor), float(factor)
    return None
