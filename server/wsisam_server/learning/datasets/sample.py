"""Loads one row of a manifest: the image's pixels and the label of each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
from PIL import UnidentifiedImageError
from scipy import ndimage

from wsisam_server.core.settings import Limits
from wsisam_server.learning.datasets.errors import DatasetError
from wsisam_server.slides.decoding import is_sixteen_bit, is_supported, open_header, own_pixel_limit, to_rgb

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray
    from PIL import Image

    from wsisam_server.learning.datasets.manifest import Row

CONNECTED: Final = np.ones((3, 3), bool)
"""Pixels that touch at a corner belong together: a thin oblique stroke of a pen is one object."""

JPEG_THRESHOLD: Final = 127
"""A pixel of a JPEG mask above this is object. Compression blurs 0 and 255; the middle is where the edge was."""

WHITE: Final = 250
"""What the white of an image that names one is scaled to: the background of scanned slides is at 236 to 252."""

_BRIGHTEST = 255
_FORMATS = ("PNG", "JPEG", "TIFF", "BMP", "WEBP")
_LABEL_MODES = frozenset({"1", "L", "P", "I"})
_MOST_LABELS = 2**16
_OPAQUE = 255
_NOT_AN_IMAGE = (
    "it is damaged, or of a kind that is not read here, such as label images of 64 bits as NumPy and scikit-image make "
    "them. Save it as PNG, a label image with 8 or 16 bits"
)


@dataclass(frozen=True, eq=False, slots=True)
class Sample:
    """An image with its objects.

    Attributes:
        image: uint8 [H, W, 3], RGB.
        labels: int32 [H, W]; 0 is background, each other value one object.
        mpp: microns per pixel, if known.
    """

    image: NDArray[np.uint8]
    labels: NDArray[np.int32]
    mpp: float | None


def load(row: Row, *, connected_parts: bool = False) -> Sample:
    """Reads an image and its mask.

    Alpha that is opaque everywhere is dropped. An orientation tag in EXIF is ignored, as on slides. Where the row names
    a white, each channel is multiplied so that this white becomes `WHITE`, and clipped at 255.

    Args:
        row: which files.
        connected_parts: the mask is binary, and each part of it that hangs together (8-connected) is an object. The
            only way in which a JPEG can be a mask: its compression changes label values.

    Raises:
        DatasetError: a file is missing, damaged or of another kind than `Row` says, or the sizes differ.
    """
    image = _whitened(_image(row), row.white)
    labels = _labels(row, connected_parts=connected_parts)
    if labels.shape != image.shape[:2]:
        raise DatasetError(
            row.mask,
            row.line,
            f"the mask is {labels.shape[1]} x {labels.shape[0]} pixels, its image {row.image.name} "
            f"{image.shape[1]} x {image.shape[0]}; export both at the same size",
        )
    return Sample(image, labels, row.mpp)


def _image(row: Row) -> NDArray[np.uint8]:
    image = _open(row.image, row.line)
    if not is_supported(image):
        raise DatasetError(row.image, row.line, f"its colours are {image.mode}; convert the image to RGB")
    if image.has_transparency_data:
        lowest, _ = image.convert("RGBA").getchannel("A").getextrema()
        if lowest != _OPAQUE:
            raise DatasetError(
                row.image, row.line, "parts of the image are transparent; save it without an alpha channel"
            )
    return to_rgb(image, sixteen_bit=is_sixteen_bit(image))


def _whitened(image: NDArray[np.uint8], white: tuple[float, float, float] | None) -> NDArray[np.uint8]:
    if white is None:
        return image
    levels = np.arange(_BRIGHTEST + 1)[:, None] * (WHITE / np.array(white))
    table = np.minimum(np.rint(levels), _BRIGHTEST).astype(np.uint8)
    return np.asarray(table[image, np.arange(image.shape[2])])


def _labels(row: Row, *, connected_parts: bool) -> NDArray[np.int32]:
    mask = _open(row.mask, row.line)
    values = _values(row, mask)
    if mask.format == "JPEG":
        if not connected_parts:
            raise DatasetError(
                row.mask,
                row.line,
                "a JPEG cannot hold labels; save the mask as PNG, or use --connected-parts if it is binary",
            )
        return _parts(values > JPEG_THRESHOLD)
    if connected_parts:
        foreground = values[values > 0]
        if foreground.size and foreground.min() != foreground.max():
            raise DatasetError(
                row.mask,
                row.line,
                "the mask has more than two values, so it is not binary; leave out --connected-parts for label "
                "images, or save it with two values",
            )
        return _parts(values > 0)
    if values.size and not 0 <= values.min() <= values.max() < _MOST_LABELS:
        raise DatasetError(row.mask, row.line, f"labels must lie between 0 and {_MOST_LABELS - 1}; number them from 1")
    return values.astype(np.int32)


def _values(row: Row, mask: Image.Image) -> NDArray[np.integer]:
    """The mask's one number a pixel: [H, W]."""
    if mask.mode in _LABEL_MODES or is_sixteen_bit(mask):
        values = np.asarray(mask)
        return values.astype(np.uint8) if values.dtype == bool else values
    if mask.mode == "RGB":
        channels = np.asarray(mask)
        if (channels == channels[..., :1]).all():
            return channels[..., 0]
    raise DatasetError(
        row.mask,
        row.line,
        f"the mask's pixels are {mask.mode}, not one number each; save it as a label image (8- or 16-bit grey PNG)",
    )


def _parts(foreground: NDArray[np.bool_]) -> NDArray[np.int32]:
    labels, _ = ndimage.label(foreground, structure=CONNECTED)
    return np.asarray(labels, np.int32)


def _open(path: Path, line: int) -> Image.Image:
    limit = Limits().plain_image_pixels
    try:
        with path.open("rb") as file, own_pixel_limit():
            image = open_header(file, _FORMATS)
            too_large = image.width * image.height > limit
            if not too_large:
                image.load()
    except FileNotFoundError as error:
        raise DatasetError(path, line, "there is no such file; paths are relative to the manifest's folder") from error
    except Exception as error:
        # Anything can come out of a decoder that is fed damaged bytes: struct.error, zlib.error, IndexError ...
        if isinstance(error, UnidentifiedImageError):
            raise DatasetError(path, line, f"the file cannot be read as an image: {_NOT_AN_IMAGE}") from error
        raise DatasetError(path, line, f"the file cannot be read as an image ({error})") from error
    if too_large:
        raise DatasetError(path, line, f"the image has more than {limit} pixels; cut it into regions")
    return image
