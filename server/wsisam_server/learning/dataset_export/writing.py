"""Writes files atomically: images as PNG, tables as CSV."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING

from PIL import Image

from wsisam_server.core.files import write_whole
from wsisam_server.learning.dataset_export.errors import DatasetExportError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray


def put(path: Path, content: bytes) -> None:
    """Writes a file so that a kill or a full disk leaves either the old one or the new one.

    Raises:
        DatasetExportError: it cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, content)
    except OSError as error:
        raise DatasetExportError(
            f"{path} cannot be written ({error.strerror}). What is written already is whole: make room, and run the "
            "same command again to go on"
        ) from error


def png(pixels: NDArray[np.uint8] | NDArray[np.uint16]) -> bytes:
    """Pixels as PNG: uint8 [H, W, 3] in colour, uint16 [H, W] as grey of 16 bits."""
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "PNG", compress_level=3)
    return out.getvalue()


def table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> bytes:
    """A CSV file with a header."""
    out = io.StringIO(newline="")
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return out.getvalue().encode()
