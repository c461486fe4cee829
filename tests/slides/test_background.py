"""Background in windows of a slide: by one filter, for which next to nothing is read."""

import numpy as np
import pytest

from wsisam_server.core.geometry import SlideSize, Window
from wsisam_server.slides import BackgroundFilter, SlideInfo, background_filter, overview
from wsisam_server.slides.background import Background

PURPLE = (110, 60, 140)


def patches(*colours, noise=2.0):
    """A patch of each colour."""
    random = np.random.default_rng(0)
    made = np.array(colours, float)[:, np.newaxis, np.newaxis] + random.normal(0, noise, (len(colours), 64, 64, 3))
    return list(made.clip(0, 255).astype(np.uint8))


def info(width, height, downsamples=(1.0,)):
    return SlideInfo(SlideSize(width, height), 0.5, downsamples, "", "")


@pytest.mark.parametrize(
    ("size", "downsamples", "expected"),
    [
        ((100_000, 80_000), (1.0, 4.0, 16.0, 64.0), 64.0),
        ((100_000, 80_000), (1.0,), 1.0),
        ((3_000, 40_000), (1.0, 4.0, 32.0), 32.0),
        ((700, 900), (1.0, 2.0), 1.0),
        ((5, 7), (1.0,), 1.0),
    ],
)
def test_little_is_read_of_any_slide_and_from_all_over_it(size, downsamples, expected):
    rows = overview(info(*size, downsamples))
    windows = [window for row in rows for window in row]
    assert {window.downsample for window in windows} == {expected}
    assert sum(window.size**2 for window in windows) <= 2**20
    longest = max(size)
    for axis, length in zip("xy", size, strict=True):
        middles = sorted({getattr(window.center, axis) for window in windows})
        assert max(np.diff([-middles[0], *middles, 2 * length - middles[-1]])) <= longest / 16 + 1e-6


PEN = (40, 60, 190)


def is_tissue(tells, colour):
    (looked,) = patches(colour)
    return bool(tells.tissue_in(Window(0, 0, 1, 64), looked, 10).mask.any())


@pytest.mark.parametrize(
    ("glass", "tissue", "is_glass"),
    [
        ((243, 243, 241), (200, 130, 170), True),
        ((228, 222, 230), (200, 130, 170), True),  # as some scanners show it
        ((238, 236, 227), (200, 130, 170), True),
        ((240, 226, 200), (200, 130, 170), True),  # warm light, yellowed medium
        ((225, 235, 248), (200, 130, 170), True),  # a cold lamp
        ((165, 162, 160), (120, 80, 100), True),  # a camera without a white balance
        ((226, 205, 222), PURPLE, False),  # the palest tissue, beside a strong stain and without any glass
        ((205, 150, 180), PURPLE, False),
    ],
    ids=str,
)
def test_background_has_its_own_colour_and_pale_tissue_beside_a_strong_stain_stays(glass, tissue, is_glass):
    found = background_filter(patches(*[glass] * 9, tissue))
    assert (found is None or is_tissue(found, glass)) != is_glass


@pytest.mark.parametrize("pen", [(), (PEN,)], ids=["plain", "pen"])
@pytest.mark.parametrize("tissue", [(60, 60, 60), (150, 150, 152), (205, 206, 205)], ids=str)
def test_tissue_without_colour_is_tissue_with_and_without_a_pen_mark(tissue, pen):
    glass = (237, 237, 237)
    found = background_filter(patches(*[glass] * 40, tissue, *pen))
    assert is_tissue(found, tissue)
    assert not is_tissue(found, glass)


def test_beside_a_pen_mark_the_palest_stain_is_tissue():
    found = background_filter(patches(*[(243, 243, 241)] * 30, (226, 205, 222), *[PEN] * 10))
    assert is_tissue(found, (226, 205, 222))
    assert not is_tissue(found, (243, 243, 241))


@pytest.mark.parametrize("background", [(0, 0, 0), (14, 15, 14), (4, 6, 30)], ids=str)
def test_in_fluorescence_what_is_bright_differs_from_the_dark_background(background):
    found = background_filter(patches(*[background] * 20, (90, 90, 90), (40, 60, 200)))
    assert found.background.dark
    assert not is_tissue(found, background)
    for stained in [(90, 90, 90), (40, 60, 200)]:
        assert is_tissue(found, stained)


def test_background_beside_what_a_reader_filled_in_with_white_is_found_too():
    found = background_filter(patches(*[(255, 255, 255)] * 10, *[(240, 226, 200)] * 10, (200, 130, 170), noise=1.0))
    assert not is_tissue(found, (240, 226, 200))
    assert not is_tissue(found, (255, 255, 255))
    assert is_tissue(found, (226, 205, 222))


def test_what_was_not_scanned_is_no_tissue():
    found = background_filter(patches(*[(243, 243, 241)] * 10, *[(0, 0, 0)] * 10, (200, 130, 170)))
    assert not is_tissue(found, (0, 0, 0))


def test_where_there_is_no_background_or_nothing_else_there_is_no_filter():
    random = np.random.default_rng(0)
    tissue = [(*random.integers(60, 230, 2).tolist(), 180) for _ in range(60)]
    assert background_filter(patches(*tissue, noise=20.0)) is None
    phase_contrast = [(100, 100, 100), (120, 120, 120), (90, 90, 90)] * 10
    assert background_filter(patches(*phase_contrast)) is None
    assert background_filter(patches(*[(243, 243, 241)] * 30)) is None
    assert background_filter([]) is None


@pytest.mark.parametrize("downsample", [0.25, 0.5, 1.0, 4.0])
def test_a_single_object_of_the_smallest_size_shows_and_noise_does_not(downsample):
    window = Window(1000, 2000, downsample, 256)
    smallest = 24 * downsample
    y, x = np.mgrid[:256, :256]

    def near(radius):
        pixels = patches((243, 243, 241))[0]
        pixels = np.tile(pixels, (4, 4, 1))
        pixels[np.hypot(x - 130, y - 70) < radius] = (200, 160, 190)
        tissue = BackgroundFilter(Background((243, 243, 241)), 8).tissue_in(window, pixels, smallest)
        at = np.array([1000 + 130 * downsample]), np.array([2000 + 70 * downsample])
        assert not tissue.near(at[0] + 60 * downsample, at[1], smallest).any()
        return bool(tissue.near(*at, smallest).any())

    assert near(12)
    assert not near(2)
