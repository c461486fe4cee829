"""A small data set: one image, one label image, and a manifest that names them."""

import numpy as np
import pytest
from PIL import Image


@pytest.fixture
def folder(tmp_path):
    """image.png (40 x 30, purple on white) and mask.png (two objects) in a folder."""
    labels = np.zeros((30, 40), np.uint8)
    labels[5:15, 5:15] = 1
    labels[18:28, 20:38] = 7
    image = np.where(labels[..., None] > 0, (120, 60, 140), (240, 240, 240)).astype(np.uint8)
    Image.fromarray(image).save(tmp_path / "image.png")
    Image.fromarray(labels).save(tmp_path / "mask.png")
    return tmp_path


@pytest.fixture
def manifest(folder):
    """Writes a manifest into the folder and returns its path."""

    def write(text, encoding="utf-8"):
        path = folder / "manifest.csv"
        path.write_bytes(text.encode(encoding))
        return path

    return write
