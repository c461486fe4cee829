"""An image in memory reads as the same image in a file does."""

import numpy as np
import pytest
from PIL import Image

from wsisam_server.core.geometry import Window
from wsisam_server.core.settings import Limits
from wsisam_server.learning.datasets import ImageSlide
from wsisam_server.slides import open_slide


@pytest.mark.parametrize(
    "window",
    [Window(10, 5, 1.0, 32), Window(-20.3, -7.1, 2.0, 64), Window(30.25, 20.5, 0.25, 64), Window(500, 500, 1.0, 16)],
    ids=["inside", "over the corner", "magnified", "outside"],
)
def test_as_the_server_reads(tmp_path, window):
    pixels = np.random.default_rng(0).integers(0, 256, (70, 90, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "image.png")
    slide, memory = open_slide(tmp_path / "image.png", Limits()), ImageSlide(pixels, 0.5)
    assert (memory.read(window) == slide.read(window)).all()
    assert (memory.info.size, memory.info.mpp) == (slide.info.size, 0.5)
    slide.close()
    memory.close()
