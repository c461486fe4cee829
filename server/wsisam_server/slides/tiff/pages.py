"""The pages of a TIFF file (image file directories), read without decoding a pixel."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from functools import cached_property
from typing import IO, TYPE_CHECKING, Any, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

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

T4_OPTIONS, T6_OPTIONS = 292, 293
X_RESOLUTION, Y_RESOLUTION, RESOLUTION_UNIT = 282, 283, 296
_KEPT: Final = (
    frozenset(range(NEW_SUBFILE_TYPE, SUB_IFDS)) - {STRIP_OFFSETS, STRIP_BYTES, TILE_OFFSETS, TILE_BYTES}
) | {
    EXTRA_SAMPLES,
    SAMPLE_FORMAT,
    JPEG_TABLES,
    SUBSAMPLING,
}

LARGEST_BYTES: Final = 2**28
"""Of a stored tile; what is larger is no tile."""

MAGIC: Final = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_MOST_TAGS: Final = 4096
_ASCII: Final = 2
_AS_BYTES: Final = frozenset({1, 7})
_FORMS: Final = {3: "H", 4: "I", 5: "II", 6: "b", 8: "h", 9: "i", 10: "ii", 11: "f", 12: "d", 13: "I"} | {
    16: "Q",
    17: "q",
    18: "Q",
}
"""By type, as `struct` writes them; other types are single bytes."""

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
    tags: Tags
    byte_order: str

    def _one(self, tag: int, default: int) -> int:
        value = self.tags.get(tag, default)
        if isinstance(value, (tuple, bytes)):
            value = value[0] if value else default
        return int(value)

    def all(self, tag: int) -> tuple[int, ...]:
        """The numbers of a tag; none where it is missing."""
        value = self.tags.get(tag, ())
        return tuple(int(each) for each in value) if isinstance(value, (tuple, bytes)) else (int(value),)

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
        return max(self.all(BITS), default=1)

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
        extra = self.all(EXTRA_SAMPLES)
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
    def spans(self) -> NDArray[np.int64]:
        """Where tiles or strips lie in the file: [n, 2] offsets and bytes, row by row; 0 bytes for a missing one."""
        offsets, counts = (self.tags.numbers(tag) for tag in self._span_tags)
        n = min(len(offsets), len(counts))
        return np.stack([offsets[:n], counts[:n]], axis=1)

    @property
    def _span_tags(self) -> tuple[int, int]:
        return (TILE_OFFSETS, TILE_BYTES) if self.is_tiled else (STRIP_OFFSETS, STRIP_BYTES)

    def settle(self) -> None:
        """Reads the tags that describe the pixels, so that the file is no longer needed."""
        _ = self.spans
        self.tags.settle()

    @property
    def sub_offsets(self) -> tuple[int, ...]:
        """Where the pages below this one begin."""
        return self.all(SUB_IFDS)


class Tags:
    """The tags of one page. Values are read when they are asked for: of a large slide, places of tiles are megabytes.

    PIL's own reader of them does not know type 18, in which BigTIFF files give the places of the pages below a page.

    Args:
        file: seekable; must stay open until `settle`.
        entries: by tag: type, count, and where the values lie.
        byte_order: "<" or ">".
    """

    def __init__(self, file: IO[bytes], entries: dict[int, tuple[int, int, int]], byte_order: str) -> None:
        self._file = file
        self._entries = entries
        self._byte_order = byte_order
        self._values: dict[int, Any] = {}

    def __contains__(self, tag: int) -> bool:
        """Whether the page has the tag."""
        return tag in self._entries

    def __getitem__(self, tag: int) -> Any:
        """Text, bytes, a number, or a tuple of several.

        Raises:
            KeyError: the page has no such tag.
            ValueError: the file ends before its values do.
        """
        if tag not in self._values:
            kind, count, _ = self._entries[tag]
            form = _FORMS.get(kind, "B")
            data = self._read(tag, count * struct.calcsize(f"={form}"))
            self._values[tag] = self._decoded(kind, form, count, data)
        return self._values[tag]

    def get(self, tag: int, default: Any = None) -> Any:
        """As an index, or a default where the page has no such tag."""
        return self[tag] if tag in self._entries else default

    def numbers(self, tag: int) -> NDArray[np.int64]:
        """The whole numbers of a tag; none where it is missing."""
        kind, count, _ = self._entries.get(tag, (4, 0, 0))
        form = _FORMS.get(kind, "B")
        if len(form) > 1 or form in "fd":
            raise ValueError(f"tag {tag} holds no whole numbers")
        dtype = np.dtype(f"{self._byte_order}{form}")
        return np.frombuffer(self._read(tag, dtype.itemsize * count), dtype).astype(np.int64)

    def settle(self) -> None:
        """Reads what is kept, all but the places of tiles, and forgets the rest."""
        self._entries = {tag: entry for tag, entry in self._entries.items() if tag in _KEPT}
        for tag in self._entries:
            self[tag]

    def _read(self, tag: int, count: int) -> bytes:
        if not count:
            return b""
        self._file.seek(self._entries[tag][2])
        data = self._file.read(count)
        if len(data) != count:
            raise ValueError("the file ends within a tag")
        return data

    def _decoded(self, kind: int, form: str, count: int, data: bytes) -> Any:
        if kind == _ASCII:
            return data.partition(b"\0")[0].decode("latin-1")
        if kind in _AS_BYTES:
            return data
        numbers = struct.unpack(f"{self._byte_order}{len(form) * count}{form[0]}", data)
        if len(form) > 1:
            pairs = zip(numbers[::2], numbers[1::2], strict=True)
            numbers = tuple(one / other if other else float("nan") for one, other in pairs)
        return numbers[0] if count == 1 else numbers


class Pages:
    """Reads the pages of an open file.

    Args:
        file: seekable; stays the caller's.

    Raises:
        ValueError: it is no TIFF.
        struct.error: it ends within its header.
    """

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        file.seek(0)
        header = file.read(16)
        if header[:4] not in MAGIC:
            raise ValueError("no TIFF")
        self._byte_order = "<" if header[:2] == b"II" else ">"
        self._is_big = b"+" in header[2:4]
        form, start = ("Q", 8) if self._is_big else ("I", 4)
        (self._first,) = struct.unpack_from(self._byte_order + form, header, start)
        self._bytes_left = 2 * file.seek(0, 2) + 2**20

    def top(self) -> Iterator[Page]:
        """The file's pages in their order, `MOST_PAGES` at most; a chain that bites its tail ends there."""
        offset, seen = self._first, set[int]()
        while offset and offset not in seen and len(seen) < MOST_PAGES:
            seen.add(offset)
            tags, following = self._load(offset)
            yield Page(len(seen) - 1, tags, self._byte_order)
            offset = following

    def below(self, page: Page) -> list[Page]:
        """The pages below one (SubIFDs), each once."""
        offsets = dict.fromkeys(page.sub_offsets[:MOST_PAGES])
        return [Page(-1, self._load(offset)[0], self._byte_order) for offset in offsets]

    def _load(self, offset: int) -> tuple[Tags, int]:
        """The tags of a page, and where the next one begins; 0 for none.

        What they hold is counted, all pages together: tags that share their bytes, as no writer's do, could name the
        whole file thousands of times.
        """
        order = self._byte_order
        count_form, entry_form, next_form = ("Q", "HHQ8s", "Q") if self._is_big else ("H", "HHI4s", "I")
        size, inline = struct.calcsize(order + entry_form), 8 if self._is_big else 4
        self._file.seek(offset)
        start = offset + struct.calcsize(count_form)
        (count,) = struct.unpack(order + count_form, self._file.read(start - offset))
        if not 0 < count <= _MOST_TAGS:
            raise ValueError(f"a page of {count} tags")
        data = self._file.read(size * count + inline)
        entries = {}
        for number in range(count):
            tag, kind, values, field = struct.unpack_from(order + entry_form, data, size * number)
            held = values * struct.calcsize(f"={_FORMS.get(kind, 'B')}")
            self._bytes_left -= size + held
            place = start + size * (number + 1) - inline
            (elsewhere,) = struct.unpack(order + next_form, field)
            entries[tag] = kind, values, place if held <= inline else elsewhere
        if self._bytes_left < 0:
            raise ValueError("tags that hold more than the file")
        # Some writers leave out where the next page is, after the last one.
        end = data[size * count :]
        following = struct.unpack(order + next_form, end)[0] if len(end) == inline else 0
        return Tags(self._file, entries, order), following
