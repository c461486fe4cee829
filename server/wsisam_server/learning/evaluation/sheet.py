"""A contact sheet: images of a data set with what is drawn on them, to be looked at before anything else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
from PIL import Image, ImageDraw
from scipy import ndimage

from wsisam_server.learning.datasets.checks import Checks, white_level

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from wsisam_server.learning.datasets import Row, Sample
    from wsisam_server.learning.datasets.checks import Finding

CELL: Final = 256
"""Side of an image on the sheet in pixels."""

MOST: Final = 60
"""Images on a sheet; of more, evenly spaced ones are shown. All are checked."""

_COLUMNS = 6
_CAPTION = 14
_EDGE = (255, 235, 0)
_TINT = np.array((0, 200, 90))
_TINT_SHARE = 0.25


def contact_sheet(
    rows: Sequence[Row], *, connected_parts: bool = False, progress: Callable[[int, int], None] | None = None
) -> tuple[Image.Image, Sequence[Finding]]:
    """Draws objects on their images, and checks all of them.

    Args:
        rows: of one manifest, at least one.
        connected_parts: see `datasets.load`.
        progress: called with the images done and the images to do.

    Returns:
        The sheet: edges yellow, insides green; line, name, split, objects and white level above each image. And what
        looks wrong.
    """
    shown = {index * len(rows) // MOST for index in range(MOST)} if len(rows) > MOST else set(range(len(rows)))
    checks, cells = Checks(), []
    for number, row in enumerate(rows):
        sample = checks.look(row, connected_parts=connected_parts)
        if number in shown:
            cells.append((_caption(row, sample), None if sample is None else _drawn(sample)))
        if progress is not None:
            progress(number + 1, len(rows))
    columns = min(_COLUMNS, len(cells))
    height = CELL + _CAPTION
    sheet = Image.new("RGB", (columns * CELL, -(-len(cells) // columns) * height), "white")
    pen = ImageDraw.Draw(sheet)
    for number, (caption, image) in enumerate(cells):
        x, y = number % columns * CELL, number // columns * height
        if image is not None:
            sheet.paste(image, (x, y + _CAPTION))
        pen.text((x + 1, y), caption, fill="black")
    return sheet, checks.finish()


def _caption(row: Row, sample: Sample | None) -> str:
    name = row.image.stem[:18]
    if sample is None:
        return f"{row.line} {name}: not usable"
    white = " ".join(f"{level:.0f}" for level in white_level(sample.image))
    count = len(np.unique(sample.labels[sample.labels > 0]))
    return f"{row.line} {name} {row.split or ''} n={count} w={white}"


def _drawn(sample: Sample) -> Image.Image:
    image = Image.fromarray(sample.image)
    scale = CELL / max(image.size)
    size = (max(round(image.width * scale), 1), max(round(image.height * scale), 1))
    pixels = np.array(image.resize(size, Image.Resampling.BILINEAR))
    labels = np.asarray(Image.fromarray(sample.labels).resize(size, Image.Resampling.NEAREST))
    inside = labels > 0
    pixels[inside] = ((1 - _TINT_SHARE) * pixels[inside] + _TINT_SHARE * _TINT).astype(np.uint8)
    pixels[_edges(labels)] = _EDGE
    return Image.fromarray(pixels)


def _edges(labels: NDArray[np.int32]) -> NDArray[np.bool_]:
    """Where an object meets another or none, on its own side."""
    return np.asarray((labels > 0) & (ndimage.minimum_filter(labels, 3) != ndimage.maximum_filter(labels, 3)))
