"""Logits land on the pixels that they were made from."""

import numpy as np
import pytest

from wsisam_server.core.geometry import SlideSize, Window
from wsisam_server.learning.evaluation.masks import PixelRegion, predicted

SIZE = SlideSize(300, 200)


def disk_logits(window, x, y, radius):
    """Signed distance to a disk in image pixels, sampled where the model's logits lie."""
    axis = (np.arange(256) + 0.5) / 256 * window.extent
    return (radius - np.hypot(window.x + axis[None] - x, window.y + axis[:, None] - y)).astype(np.float32)


@pytest.mark.parametrize(
    "window",
    [
        Window(100, 50, 0.25, 256),
        Window(90.3, 41.7, 0.5, 256),
        Window(-20, -60, 1.0, 256),
        Window(-100, -150, 2.0, 256),
    ],
)
def test_a_disk_comes_back_where_it_is(window):
    region = PixelRegion.about((110, 60, 140, 90), window, SIZE)
    mask = predicted(disk_logits(window, 125, 75, 12), window, region)
    rows, columns = np.mgrid[region.y0 : region.y1, region.x0 : region.x1] + 0.5
    distance = np.hypot(columns - 125, rows - 75)
    assert mask[distance < 11.9].all()
    assert not mask[distance > 12.1].any()


def test_only_pixels_with_their_centre_in_the_window():
    window = Window(10.5, 20.6, 10 / 256, 256)
    region = PixelRegion(0, 0, 40, 40)
    found = np.argwhere(predicted(np.ones((256, 256), np.float32), window, region))
    assert (found.min(axis=0) == (21, 10)).all()
    assert (found.max(axis=0) == (30, 19)).all()


def test_between_samples_the_logits_are_interpolated():
    logits = np.full((256, 256), -1.0, np.float32)
    logits[:, :128] = 3.0
    # Zero lies three quarters of the way from sample 127 to 128, at 128.25 samples: pixel 16.03125 of 32.
    window = Window(0, 0, 1 / 8, 256)
    mask = predicted(logits, window, PixelRegion(0, 0, 32, 32))
    assert mask[:, :16].all()
    assert not mask[:, 16:].any()


def test_a_window_beside_the_region():
    assert not predicted(np.ones((256, 256), np.float32), Window(400, 400, 1.0, 256), PixelRegion(0, 0, 30, 30)).any()


def test_the_region_holds_object_and_window_on_the_image():
    assert PixelRegion.about((10, 20, 30, 40), Window(25.5, 30.5, 0.1, 256), SIZE) == PixelRegion(10, 20, 52, 57)
    assert PixelRegion.about((10, 20, 30, 40), Window(-500, -500, 8.0, 256), SIZE) == PixelRegion(0, 0, 300, 200)
