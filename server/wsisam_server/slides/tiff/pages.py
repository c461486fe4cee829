"""The pages of a TIFF file (image file directories), read without decoding a pixel."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from functools import cached_property
from typing import IO, TYPE_CHECKING, Any, Final

from PIL.TiffImagePlugin import ImageFileDirectory_v2

if TYPE_CHECKING:
    from collections.abc import Iterator

# TIFF 6.0; 330 is from the TIFF technical note 1, 347 from note 2.
(
    NEW_SUBFILE_TYPE,
    SUBFILE_TYPE,
    WIDTH,
    LENGTH,
    BITS,
    COMPRESSION,
    PHOTOMETRIC,
    FILL_ORDER,
    DESCRIPTION,
    STRIP_OFFSETS,
) = 254, 255, 256, 257, 258, 259, 262, 266, 270, 273
SAMPLES, ROWS_PER_STRIP, STRIP_BYTES, PLANAR, PREDICTOR, COLOR_MAP = 277, 278, 279, 284, 317, 320
TILE_WIDTH, TILE_LENGTH, TILE_OFFSETS, TILE_BYTES, SUB_IFDS = 322, 323, 324, 325, 330
EXTRA_SAMPLES, SAMPLE_FORMAT, JPEG_TABLES, SUBSAMPLING = 338, 339, 347, 530

_CMYK, _LAB = 5, 8
_SEPARATE = 2
_REDUCED_OR_MASK, _OLD_REDUCED = 0b101, 2

JPEG: Final = 7
ASSOCIATED, UNASSOCIATED = 1, 2
WHITE_IS_ZERO, BLACK_IS_ZERO, RGB, PALETTE, YCBCR = 0, 1, 2, 3, 6

MOST_PAGES: Final = 4096
"""Pages that are looked at; a stack may have more, and what matters of it comes first."""

_BIG: Final = (b"+\0", b"\0+")
_MOST_TAGS: Final = 4096
_TYPE_BYTES: Final = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8}

_NOT_THE_SLIDE = ("label", "macro", "thumbnail", "overview")


@dataclass(frozen=True)
class Page:
    """One page: what its tags say.

    Attributes:
        number: among the file's pages, from 0; -1 for a page below another one (SubIFD).
        tags: all of them.
        byte_order: "<" or ">".
    """

    number: int
    tags: Any
    byte_order: str

    def _one(self, tag: int, default: int) -> int:
        value = self.tags.get(tag, default)
        if isinstance(value, tuple):
            value = value[0] if value else default
        return int(value)

    def _all(self, tag: int) -> tuple[int, ...]:
        value = self.tags.get(tag, ())
        return tuple(int(each) for each in value) if isinstance(value, tuple) else (int(value),)

    @cached_property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels; 0 where a tag is missing."""
        return self._one(WIDTH, 0), self._one(LENGTH, 0)

    @cached_property
    def is_tiled(self) -> bool:
        """Whether it is stored in tiles, not strips."""
        return TILE_WIDTH in self.tags and TILE_LENGTH in self.tags

    @cached_property
    def segment(self) -> tuple[int, int]:
        """Width and height of a tile or strip."""
        if self.is_tiled:
            return self._one(TILE_WIDTH, 0), self._one(TILE_LENGTH, 0)
        width, height = self.size
        return width, min(self._one(ROWS_PER_STRIP, height), height)

    @cached_property
    def samples(self) -> int:
        """Numbers a pixel."""
        return self._one(SAMPLES, 1)

    @cached_property
    def bits(self) -> int:
        """Of the widest sample."""
        return max(self._all(BITS), default=1)

    @cached_property
    def compression(self) -> int:
        """As the tag says."""
        return self._one(COMPRESSION, 1)

    @cached_property
    def photometric(self) -> int:
        """As the tag says."""
        return self._one(PHOTOMETRIC, BLACK_IS_ZERO)

    @cached_property
    def is_planar(self) -> bool:
        """Whether each sample has tiles or strips of its own."""
        return self.samples > 1 and self._one(PLANAR, 1) == _SEPARATE

    @cached_property
    def colour_samples(self) -> int:
        """Samples that belong to the photometric interpretation."""
        return {RGB: 3, YCBCR: 3, _LAB: 3, _CMYK: 4}.get(self.photometric, 1)

    @cached_property
    def has_alpha(self) -> bool:
        """Whether the first extra sample is opacity: only ExtraSamples 1 (associated) and 2 (unassociated) say so."""
        extra = self._all(EXTRA_SAMPLES)
        return self.samples > self.colour_samples and bool(extra) and extra[0] in {ASSOCIATED, UNASSOCIATED}

    @cached_property
    def is_reduced(self) -> bool:
        """Whether it is flagged as a smaller version of another page, or as a mask."""
        return bool(self._one(NEW_SUBFILE_TYPE, 0) & _REDUCED_OR_MASK) or self._one(SUBFILE_TYPE, 0) == _OLD_REDUCED

    @cached_property
    def description(self) -> str:
        """The text of the page; empty where there is none."""
        value = self.tags.get(DESCRIPTION, "")
        return value if isinstance(value, str) else ""

    @cached_property
    def names_itself(self) -> bool:
        """Whether its text says that it is a label, a macro picture or a thumbnail."""
        words = self.description[:100].lower()
        return "<" not in words and any(word in words for word in _NOT_THE_SLIDE)

    @cached_property
    def spans(self) -> list[tuple[int, int]]:
        """Where each tile or strip lies in the file: offset and bytes, row by row; (0, 0) for one that is missing."""
        tags = (TILE_OFFSETS, TILE_BYTES) if self.is_tiled else (STRIP_OFFSETS, STRIP_BYTES)
        return list(zip(*map(self._all, tags), strict=False))

    @property
    def sub_offsets(self) -> tuple[int, ...]:
        """Where the pages below this one begin."""
        return self._all(SUB_IFDS)


class Pages:
    """Reads the pages of an open file.

    Args:
        file: seekable; stays the caller's.

    Raises:
        SyntaxError: it is no TIFF.
    """

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        file.seek(0)
        header = file.read(8)
        if header[2:4] in _BIG:
            header += file.read(8)
        self._header = header
        self._first = ImageFileDirectory_v2(header).next
        self._byte_order = "<" if header[:2] == b"II" else ">"
        self._is_big = header[2:4] in _BIG
        self._bytes_left = 2 * file.seek(0, 2) + 2**20

    def top(self) -> Iterator[Page]:
        """The file's pages in their order, `MOST_PAGES` at most; a chain that bites its tail ends there."""
        offset, seen = self._first, set[int]()
        while offset and offset not in seen and len(seen) < MOST_PAGES:
            seen.add(offset)
            tags = self._load(offset)
            yield Page(len(seen) - 1, tags, self._byte_order)
            offset = tags.next

    def below(self, page: Page) -> list[Page]:
        """The pages below one (SubIFDs), each once."""
        offsets = dict.fromkeys(page.sub_offsets[:MOST_PAGES])
        return [Page(-1, self._load(offset), self._byte_order) for offset in offsets]

    def _load(self, offset: int) -> Any:
        self._check(offset)
        tags = ImageFileDirectory_v2(self._header)
        self._file.seek(offset)
        tags.load(self._file)
        return tags

    def _check(self, offset: int) -> None:
        """Counts what a page's tags hold, all pages together, before PIL reads them.

        Tags that share their bytes, as no writer's do, could name the whole file thousands of times.
        """
        count_form, entry_form = ("Q", "HHQQ") if self._is_big else ("H", "HHII")
        self._file.seek(offset)
        (count,) = struct.unpack(self._byte_order + count_form, self._file.read(struct.calcsize(count_form)))
        if count > _MOST_TAGS:
            raise ValueError(f"a page of {count} tags")
        form = self._byte_order + entry_form
        entries = self._file.read(struct.calcsize(form) * count)
        held = sum(_TYPE_BYTES.get(kind, 8) * values for _, kind, values, _ in struct.iter_unpack(form, entries))
        self._bytes_left -= len(entries) + held
        if self._bytes_left < 0:
            raise ValueError("tags that hold more than the file")
