"""Decodes image files and the tiles that clients send, without trusting their headers."""

from __future__ import annotations

import io
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from wsisam_server.core.errors import Reason, WsiSamServerError
from wsisam_server.slides.cost import check_cost, check_file_cost

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import IO

    from numpy.typing import NDArray

    from wsisam_server.core.pixels import Encoding


_EIGHT_BIT_MODES = frozenset({"1", "L", "LA", "La", "P", "PA", "RGB", "RGBA", "RGBX", "RGBa", "YCbCr"})
_SIXTEEN_BIT_MODES = frozenset({"I;16", "I;16L", "I;16B", "I;16N"})
_ALPHA_MODES = frozenset({"LA", "La", "PA", "RGBA", "RGBa"})

# Bytes of a pixel of 16-bit RGBA.
_WIDEST_PIXEL = 8

_guard = threading.Lock()
_users_without_limit = 0
_pil_limit: int | None = None


@contextmanager
def own_pixel_limit() -> Iterator[None]:
    """Suspends PIL's global pixel limit while the caller checks the size itself.

    PIL refuses to open what passes twice its limit, before the size can be asked, and warns below that; neither can
    be set per image. Every decode of this package checks the header against a limit of its own, so none depends on
    PIL's. Nests, also across threads: the limit comes back when the last user leaves.
    """
    global _users_without_limit, _pil_limit  # noqa: PLW0603 - what is guarded is PIL's global
    with _guard:
        if _users_without_limit == 0:
            _pil_limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
        _users_without_limit += 1
    try:
        yield
    finally:
        with _guard:
            _users_without_limit -= 1
            if _users_without_limit == 0:
                Image.MAX_IMAGE_PIXELS = _pil_limit


def open_header(file: IO[bytes], formats: Sequence[str]) -> Image.Image:
    """Opens an image without decoding its pixels. To be called, as the decoding, within `own_pixel_limit`.

    Args:
        file: begins with the image; must stay open until the image is loaded.
        formats: PIL's names of the formats to try; no other decoder touches the bytes.

    Raises:
        TooCostlyError: decoding would take far longer than pixels explain (`check_file_cost`).
    """
    check_file_cost(file)
    return Image.open(file, formats=tuple(formats))


def is_supported(image: Image.Image) -> bool:
    """Whether `to_rgb` knows what the image's numbers mean.

    CMYK and LAB are refused: without a colour profile their colours would be guesses. So are 32-bit integers and
    floating point, which have no agreed white.
    """
    return image.mode in _EIGHT_BIT_MODES or is_sixteen_bit(image)


def to_rgb(image: Image.Image, *, sixteen_bit: bool = False) -> NDArray[np.uint8]:
    """Converts decoded pixels to 8-bit RGB.

    Grey becomes equal R, G and B. 16-bit grey is scaled linearly over its full range, 65535 to 255, rounded: a
    stretch to the image's own range would make a patch depend on what else is on the slide. Alpha is composited
    over white.

    Args:
        image: of a mode that `is_supported`.
        sixteen_bit: the numbers are 16-bit grey (`is_sixteen_bit`), whatever the mode's depth.

    Returns:
        uint8 [height, width, 3].
    """
    if sixteen_bit:
        wide = np.asarray(image).astype(np.uint32)
        return np.repeat(((wide * 255 + 32767) // 65535).astype(np.uint8)[..., np.newaxis], 3, axis=2)
    if image.mode in _ALPHA_MODES or "transparency" in image.info:
        straight = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", straight.size, (255, 255, 255, 255)), straight)
    return np.array(image.convert("RGB"))


def is_sixteen_bit(image: Image.Image) -> bool:
    """Whether a freshly opened image is 16-bit grey."""
    # PIL before 11 opens 16-bit PNGs in its 32-bit mode.
    return image.mode in _SIXTEEN_BIT_MODES or (image.mode == "I" and image.format == "PNG")


def decode_tile(encoding: Encoding, data: bytes, width: int, height: int) -> NDArray[np.uint8]:
    """Decodes a tile that a client sent.

    Args:
        encoding: "raw" is height x width x 3 bytes, RGB, row by row.
        data: the bytes.
        width: pixels that the tile must have along x.
        height: pixels that the tile must have along y.

    Returns:
        uint8 [height, width, 3], RGB.

    Raises:
        WsiSamServerError: TILE_WRONG_SIZE when the header, or the count of raw bytes, says another size (nothing is
            decoded then); TILE_UNREADABLE when the bytes are no such image, or one that would take far longer to decode
            than its pixels explain.
    """
    if encoding == "raw":
        if len(data) != width * height * 3:
            raise wrong_size(f"{len(data)} bytes", f"{width} x {height} x 3 = {width * height * 3} bytes")
        return np.frombuffer(data, np.uint8).reshape(height, width, 3).copy()
    try:
        check_cost(data, encoding, width * height * _WIDEST_PIXEL)
        with own_pixel_limit(), open_header(io.BytesIO(data), (encoding.upper(),)) as image:
            actual = image.size
            if actual == (width, height) and is_supported(image):
                return to_rgb(image, sixteen_bit=is_sixteen_bit(image))
    except Exception as error:
        # Anything can come out of a decoder that is fed a stranger's bytes: struct.error, zlib.error, IndexError ...
        raise WsiSamServerError(Reason.TILE_UNREADABLE, private=repr(error), encoding=encoding) from error
    if actual != (width, height):
        raise wrong_size(f"{actual[0]} x {actual[1]}", f"{width} x {height}")
    raise WsiSamServerError(Reason.TILE_UNREADABLE, private=f"mode {image.mode}", encoding=encoding)


def wrong_size(actual: str, expected: str) -> WsiSamServerError:
    """The error for a tile of another size than was asked for."""
    return WsiSamServerError(Reason.TILE_WRONG_SIZE, actual=actual, expected=expected)
