"""What it costs to decode bytes, counted before they are decoded.

Time and memory of a decoder follow from the pixels and, beyond them, from what a format may repeat without end: a
JPEG's scans (each goes over all pixels) and comments, a PNG's chunks. Nothing here trusts a header.
"""

from __future__ import annotations

import io
import re
from typing import IO, Final, Literal

Codec = Literal["raw", "jpeg", "png", "other"]

SCANS: Final = 64
"""Of a JPEG. Progressive ones have about ten, the finest scripts of scans for optimisation some thirty."""

SEGMENTS: Final = 4096
"""Of a JPEG: tables, metadata in pieces of 64 KiB, comments."""

CHUNKS: Final = 4096
BYTES_PER_CHUNK: Final = 512
"""A PNG may have `CHUNKS`, and one more for each so many bytes: libpng writes 8 KiB a chunk."""

BYTES_PER_BYTE: Final = 2
SLACK: Final = 1024 * 1024
"""Stored bytes for each byte of pixels, and for metadata beside them: no codec makes noise twice as large."""

RUN_LENGTH_BYTES: Final = 4 * 1024 * 1024
"""Of a BMP that is compressed by run lengths."""

_BMP_COMPRESSION: Final = 30
_CHUNK_HEADER: Final = 8
_BLOCK: Final = 64 * 1024
_MARKER = re.compile(rb"\xff+([^\x00\xff])", re.DOTALL)
_PNG_SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"
_SOI, _EOI, _SOS, _TEM = 0xD8, 0xD9, 0xDA, 0x01
_RESTARTS: Final = range(0xD0, 0xD8)
_MARKER_AFTER_SCAN = re.compile(rb"\xff+([^\x00\xff\xd0-\xd7])", re.DOTALL)


class TooCostlyError(ValueError):
    """Decoding would take far more than the pixels are worth; the text says what there is too much of."""


def check_cost(data: bytes, codec: Codec, pixel_bytes: int) -> None:
    """Refuses a tile that would take far longer to decode than its pixels explain.

    Args:
        data: as stored.
        codec: what will decode it.
        pixel_bytes: of the decoded pixels, against which the bytes are counted.

    Raises:
        TooCostlyError: there are too many bytes, scans, segments or chunks.
    """
    if len(data) > BYTES_PER_BYTE * pixel_bytes + SLACK:
        raise TooCostlyError(f"{len(data)} bytes for {pixel_bytes} of pixels")
    if codec == "jpeg":
        check_file_cost(io.BytesIO(data))


def check_file_cost(file: IO[bytes]) -> None:
    """As `check_cost`, for an image file, which may hold as much metadata as it likes. JPEG, PNG and BMP are counted.

    Args:
        file: seekable; its position is 0 afterwards.

    Raises:
        TooCostlyError: there are too many scans, segments or chunks.
    """
    file.seek(0)
    start = file.read(len(_PNG_SIGNATURE))
    if start == _PNG_SIGNATURE:
        _check_png(file)
    elif start[:2] == b"\xff\xd8":
        _check_jpeg(file)
    elif start[:2] == b"BM":
        _check_bmp(file)
    file.seek(0)


def _check_jpeg(file: IO[bytes]) -> None:
    scans = segments = position = 0
    pattern = _MARKER
    while (found := _next_marker(file, position, pattern)) is not None:
        marker, position = found
        pattern = _MARKER
        if marker in {_SOI, _TEM} or marker in _RESTARTS:
            continue
        if marker == _EOI:
            return
        segments += 1
        scans += marker == _SOS
        if scans > SCANS:
            raise TooCostlyError(f"more than {SCANS} scans")
        if segments > SEGMENTS:
            raise TooCostlyError(f"more than {SEGMENTS} segments")
        file.seek(position)
        position += max(int.from_bytes(file.read(2), "big"), 2)
        if marker == _SOS:
            pattern = _MARKER_AFTER_SCAN


def _next_marker(file: IO[bytes], position: int, pattern: re.Pattern[bytes]) -> tuple[int, int] | None:
    """The next marker at or after a position, and where it ends."""
    file.seek(position)
    while len(block := file.read(_BLOCK)) > 1:
        found = pattern.search(block)
        if found is not None:
            return found[1][0], position + found.end()
        # A marker may lie across two blocks.
        position += len(block) - 1
        file.seek(position)
    return None


def _check_bmp(file: IO[bytes]) -> None:
    """PIL decodes run lengths in Python, with its lock held: a second for some megabytes."""
    file.seek(_BMP_COMPRESSION)
    if int.from_bytes(file.read(4), "little") in {1, 2} and file.seek(0, 2) > RUN_LENGTH_BYTES:
        raise TooCostlyError("run lengths")


def _check_png(file: IO[bytes]) -> None:
    limit = CHUNKS + file.seek(0, 2) // BYTES_PER_CHUNK
    chunks, position = 0, len(_PNG_SIGNATURE)
    while True:
        file.seek(position)
        header = file.read(_CHUNK_HEADER)
        if len(header) < _CHUNK_HEADER or header[4:] == b"IEND":
            return
        chunks += 1
        if chunks > limit:
            raise TooCostlyError(f"more than {limit} chunks")
        position += 12 + int.from_bytes(header[:4], "big")
