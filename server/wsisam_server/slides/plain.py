"""Plain images: PNG, JPEG, TIFF, BMP and WebP without a pyramid, decoded whole."""

from __future__ import annotations

import threading
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, TiffImagePlugin

from wsisam_server.core.errors import Reason, WsiSamServerError
from wsisam_server.core.geometry import SlideSize
from wsisam_server.slides.base import SlideInfo
from wsisam_server.slides.calibration import tiff_axes
from wsisam_server.slides.decoding import is_sixteen_bit, is_supported, open_header, own_pixel_limit, to_rgb
from wsisam_server.slides.fingerprint import file_fingerprint
from wsisam_server.slides.sampling import Grid, sample
from wsisam_server.slides.tiff import read_whole
from wsisam_server.slides.tiff.pages import WHITE_IS_ZERO
from wsisam_server.slides.unreadable import unreadable

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from wsisam_server.core.geometry import Window
    from wsisam_server.core.pixel_size import Axes
    from wsisam_server.slides.tiff import Layout as TiffLayout

_FORMATS = ("PNG", "JPEG", "TIFF", "BMP", "WEBP")

_ORIENTATION = 274

# PIL turns TIFFs (and only TIFFs) by their orientation tag while loading; these turn them back.
_UNDO_ORIENTATION = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}


# Decoding holds a whole image, and PIL's copies of it, in memory: two at once would double the peak.
_one_at_a_time = threading.Lock()

# Bytes that PIL keeps for a pixel of the widest mode that is supported.
_LARGEST_PIXEL = 4


class PlainImage:
    """An image without a pyramid, held in memory as it is stored; pieces become RGB when they are read.

    Pixels keep their stored order: EXIF and TIFF orientation are ignored, as QuPath does, so that level-0 coordinates
    agree. Of a TIFF file with several pages the one that is the slide counts. The physical pixel size is believed only
    of TIFF: the dpi of a PNG or JPEG is a printer's.

    Args:
        path: the file.
        limit: the most pixels that are decoded.
        tiff: of a TIFF file which pages are the slide.

    Raises:
        WsiSamServerError: SLIDE_TOO_LARGE above the limit, before anything is decoded; SLIDE_UNREADABLE when the file
            is damaged, of another format, or in colours that cannot be converted without a guess (CMYK, LAB, float).
    """

    def __init__(self, path: Path, limit: int, tiff: TiffLayout | None = None) -> None:
        try:
            with path.open("rb") as file, own_pixel_limit():
                if tiff is None or tiff.for_pil:
                    image = open_header(file, _FORMATS)
                    if tiff is not None:
                        image.seek(tiff.main.number)
                    _check(image.size, limit, path, image)
                    image_format = str(image.format).lower()
                    axes = _axes(image) if tiff is None else tiff_axes(tiff.main.tags)
                    self._sixteen_bit = is_sixteen_bit(image)
                    load = partial(_load, image, tiff)
                else:
                    _check(tiff.main.size, limit, path)
                    image_format, self._sixteen_bit = "tiff", False
                    axes = tiff_axes(tiff.main.tags)
                    load = partial(_load_whole, path, tiff)
                with _one_at_a_time:
                    self._image: Image.Image | None = load()
            identity = file_fingerprint(path)
        except (WsiSamServerError, MemoryError):
            raise
        except Exception as error:
            # Anything can come out of a decoder that is fed damaged bytes: struct.error, zlib.error, IndexError ...
            raise unreadable(error, path) from error
        self._info = SlideInfo(
            size=SlideSize(self._image.width, self._image.height),
            mpp=None if axes is None else axes.mean,
            downsamples=(1.0,),
            fingerprint=identity,
            source=f"plain:{image_format}",
            axes=axes,
        )
        self._nbytes = self._image.width * self._image.height * _LARGEST_PIXEL

    @property
    def info(self) -> SlideInfo:
        """See `Slide.info`."""
        return self._info

    @property
    def nbytes(self) -> int:
        """See `Slide.nbytes`."""
        return self._nbytes

    def read(self, window: Window) -> NDArray[np.uint8]:
        """See `Slide.read`.

        Raises:
            ValueError: the slide is closed.
        """
        image = self._image
        if image is None:
            raise ValueError("the slide is closed")
        return sample(_ImageLevel(image, sixteen_bit=self._sixteen_bit), self._info.size, window)

    def close(self) -> None:
        """See `Slide.close`."""
        self._image = None


class _ImageLevel:
    def __init__(self, image: Image.Image, *, sixteen_bit: bool) -> None:
        self._image = image
        self._sixteen_bit = sixteen_bit
        self.grid = Grid(0.0, 0.0, 1.0, 1.0, image.width, image.height)

    def snap(self, x: int, y: int) -> tuple[float, float]:
        return float(x), float(y)

    def read(self, x: float, y: float, width: int, height: int) -> NDArray[np.uint8]:
        left, top = int(x), int(y)
        with own_pixel_limit():  # which Pillow up to 11 asks of a crop, too
            piece = self._image.crop((left, top, left + width, top + height))
        return to_rgb(piece, sixteen_bit=self._sixteen_bit)


def _check(size: tuple[int, int], limit: int, path: Path, image: Image.Image | None = None) -> None:
    pixels = size[0] * size[1]
    if pixels > limit:
        raise WsiSamServerError(Reason.SLIDE_TOO_LARGE, path=path, pixels=pixels, limit=limit)
    if image is not None and not is_supported(image):
        raise WsiSamServerError(Reason.SLIDE_UNREADABLE, private=f"mode {image.mode}", path=path)


def _load(image: Image.Image, tiff: TiffLayout | None) -> Image.Image:
    """Decodes the pixels, in stored order."""
    orientation = image.tag_v2.get(_ORIENTATION) if isinstance(image, TiffImagePlugin.TiffImageFile) else None
    image.load()
    undo = _UNDO_ORIENTATION.get(orientation) if isinstance(orientation, int) else None
    image = image if undo is None else image.transpose(undo)
    if tiff is not None and tiff.main.photometric == WHITE_IS_ZERO and is_sixteen_bit(image):
        # PIL turns over grey of 8 bits and fewer.
        return Image.fromarray(65535 - np.asarray(image).astype(np.uint16))
    return image


def _axes(image: Image.Image) -> Axes | None:
    """The pixel size in a TIFF's tags. The dpi of other formats is a printer's."""
    return tiff_axes(image.tag_v2) if isinstance(image, TiffImagePlugin.TiffImageFile) else None


def _load_whole(path: Path, tiff: TiffLayout) -> Image.Image:
    return Image.fromarray(read_whole(path, tiff))
