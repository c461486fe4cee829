"""Decodes one tile or strip of a TIFF page to RGB."""

from __future__ import annotations

import io
import struct
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from PIL import Image

from wsisam_server.slides.cost import Codec, check_cost
from wsisam_server.slides.decoding import is_sixteen_bit, is_supported, open_header, own_pixel_limit, to_rgb
from wsisam_server.slides.tiff import pages as tag

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from wsisam_server.slides.tiff.pages import Page

_JPEG_2000: Final = frozenset({33003, 33004, 33005, 34712})

_RGB_SAMPLES: Final = 3
_INLINE: Final = 4
"""Bytes of a value that lies within its entry."""

_SHORT, _LONG_SECONDS = "H", "I"
_TYPES: Final = {_SHORT: 3, _LONG_SECONDS: 4, "B": 7}


def decode_segment(page: Page, data: bytes, width: int, height: int) -> NDArray[np.uint8]:
    """Decodes a tile or strip that holds all samples of its pixels, or one sample of a planar page.

    libtiff, inside PIL, knows TIFF's compressions and colours; it is handed a file of just this piece. JPEG 2000,
    which libtiff does not know, is decoded by PIL's own plug-in.

    Args:
        page: where it is from.
        data: its bytes.
        width: pixels along x.
        height: pixels along y.

    Returns:
        uint8 [height, width, 3], RGB.

    Raises:
        ValueError: it holds more than its pixels can need, another size, or colours that would be a guess.
        Exception: whatever a decoder raises that is fed damaged bytes.
    """
    codec: Codec = "jpeg" if page.compression == tag.JPEG else "other"
    check_cost(data, codec, width * height * page.samples * max(page.bits, 8) // 8)
    if page.compression in _JPEG_2000:
        with own_pixel_limit(), open_header(io.BytesIO(data), ("JPEG2000",)) as image:
            return _rgb(image, width, height, page, is_ycbcr=page.photometric == tag.YCBCR)
    with own_pixel_limit(), open_header(io.BytesIO(_as_file(page, data, width, height)), ("TIFF",)) as image:
        return _rgb(image, width, height, page)


def white_is_zero(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Turns grey over, for depths at which PIL does not look at the tag."""
    return np.asarray(255 - pixels, np.uint8)


def _rgb(image: Image.Image, width: int, height: int, page: Page, *, is_ycbcr: bool = False) -> NDArray[np.uint8]:
    if image.size != (width, height) or not is_supported(image):
        raise ValueError(f"{image.size}, mode {image.mode}, instead of {width} x {height}")
    sixteen = is_sixteen_bit(image)
    if is_ycbcr and image.mode == "RGB":
        image = Image.merge("YCbCr", image.split())
    pixels = to_rgb(image, sixteen_bit=sixteen)
    return white_is_zero(pixels) if sixteen and page.photometric == tag.WHITE_IS_ZERO else pixels


def _as_file(page: Page, data: bytes, width: int, height: int) -> bytes:
    """A TIFF file of one strip."""
    samples = 1 if page.is_planar else page.samples
    photometric = page.photometric
    if page.is_planar and photometric != tag.WHITE_IS_ZERO:
        photometric = tag.BLACK_IS_ZERO
    elif photometric in {tag.WHITE_IS_ZERO, tag.BLACK_IS_ZERO} and samples >= _RGB_SAMPLES:
        # Channels side by side that were found to be red, green and blue.
        photometric = tag.RGB
    entries: dict[int, tuple[str, tuple[int, ...] | bytes]] = {
        tag.WIDTH: (_LONG_SECONDS, (width,)),
        tag.LENGTH: (_LONG_SECONDS, (height,)),
        tag.BITS: (_SHORT, (page.bits,) * samples),
        tag.COMPRESSION: (_SHORT, (page.compression,)),
        tag.PHOTOMETRIC: (_SHORT, (photometric,)),
        tag.STRIP_OFFSETS: (_LONG_SECONDS, (8,)),
        tag.SAMPLES: (_SHORT, (samples,)),
        tag.ROWS_PER_STRIP: (_LONG_SECONDS, (height,)),
        tag.STRIP_BYTES: (_LONG_SECONDS, (len(data),)),
        tag.PLANAR: (_SHORT, (1,)),
    }
    for number in (tag.FILL_ORDER, tag.PREDICTOR, tag.SUBSAMPLING, tag.COLOR_MAP, tag.SAMPLE_FORMAT):
        values = page.all(number)
        if values and not (number == tag.SUBSAMPLING and page.is_planar):
            entries[number] = _SHORT, values[:samples] if number == tag.SAMPLE_FORMAT else values
    for number in (tag.T4_OPTIONS, tag.T6_OPTIONS):
        if number in page.tags:
            entries[number] = _LONG_SECONDS, page.all(number)
    extra = samples - (3 if photometric in {tag.RGB, tag.YCBCR} else 1)
    if extra > 0:
        alpha = page.all(tag.EXTRA_SAMPLES)[0] if page.has_alpha else 0
        entries[tag.EXTRA_SAMPLES] = _SHORT, (alpha, *(0,) * (extra - 1))
    if tag.JPEG_TABLES in page.tags:
        entries[tag.JPEG_TABLES] = "B", bytes(page.tags[tag.JPEG_TABLES])
    return _written(entries, data, page.byte_order)


def _written(entries: dict[int, tuple[str, Any]], data: bytes, order: str) -> bytes:
    padded = data + b"\0" * (len(data) % 2)
    start = 8 + len(padded)
    after = start + 2 + 12 * len(entries) + 4
    directory, values = struct.pack(order + "H", len(entries)), b""
    for number, (kind, value) in sorted(entries.items()):
        packed = value if isinstance(value, bytes) else struct.pack(f"{order}{len(value)}{kind}", *value)
        directory += struct.pack(order + "HHI", number, _TYPES[kind], len(value))
        if len(packed) <= _INLINE:
            directory += packed.ljust(4, b"\0")
        else:
            directory += struct.pack(order + "I", after + len(values))
            values += packed + b"\0" * (len(packed) % 2)
    header = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "I", start)
    return header + padded + directory + b"\0\0\0\0" + values
