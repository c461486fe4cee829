"""Images whose content is known analytically, and writers for them."""

from pathlib import Path

import numpy as np
import tifffile

PERIOD_X, PERIOD_Y = 97.0, 83.0
WIDTH, HEIGHT = 1001, 803


def waves(width=WIDTH, height=HEIGHT):
    """A wave along x in red, along y in green, and their product in blue: uint8 [height, width, 3]."""
    x = np.sin(2 * np.pi * (np.arange(width) + 0.5) / PERIOD_X)[np.newaxis, :]
    y = np.sin(2 * np.pi * (np.arange(height) + 0.5) / PERIOD_Y)[:, np.newaxis]
    planes = (np.broadcast_to(x, (height, width)), np.broadcast_to(y, (height, width)), x * y)
    return np.rint(127.5 + 120 * np.stack(planes, axis=-1)).astype(np.uint8)


def displacement(values, positions, period):
    """By how many level-0 pixels sampled waves lie off: the phase of the fitted wave, which blurring leaves alone."""
    angle = 2 * np.pi * np.asarray(positions) / period
    basis = np.stack([np.sin(angle), np.cos(angle), np.ones_like(angle)], axis=1)
    (sine, cosine, _), *_ = np.linalg.lstsq(basis, np.asarray(values, float), rcond=None)
    return np.arctan2(cosine, sine) / (2 * np.pi) * period


def halved(image):
    """Means of 2 x 2 pixels; an odd last row or column is dropped, as scanners do."""
    height, width = image.shape[0] // 2 * 2, image.shape[1] // 2 * 2
    blocks = image[:height, :width].reshape(height // 2, 2, width // 2, 2, 3)
    return np.rint(blocks.mean((1, 3))).astype(np.uint8)


def write_pyramid(path: Path, image, levels, **options):
    """A generic tiled TIFF without loss; each level halves the one before."""
    with tifffile.TiffWriter(path) as tiff:
        for level in range(levels):
            tiff.write(image, tile=(256, 256), photometric="rgb", subfiletype=int(level > 0), metadata=None, **options)
            image = halved(image)
    return path
