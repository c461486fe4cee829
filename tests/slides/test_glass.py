"""Glass in windows of a slide: by one threshold, for which next to nothing is read."""

import numpy as np
import pytest

from wsisam_server.geometry import SlideSize, Window
from wsisam_server.slides import SlideInfo, glass_threshold, overview, tissue_in

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


@pytest.mark.parametrize(
    ("glass", "tissue", "is_glass"),
    [
        ((243, 243, 241), (200, 130, 170), True),
        ((228, 222, 230), (200, 130, 170), True),  # as some scanners show it
        ((238, 236, 227), (200, 130, 170), True),
        ((226, 205, 222), PURPLE, False),  # the palest tissue, beside a strong stain and without any glass
    ],
    ids=str,
)
def test_glass_is_told_by_its_own_colour_and_pale_tissue_beside_a_strong_stain_stays(glass, tissue, is_glass):
    found = glass_threshold(patches(*[glass] * 9, tissue))
    (looked,) = patches(glass)
    assert found is not None
    assert tissue_in(Window(0, 0, 1, 64), looked, 10, found).mask.any() != is_glass


def test_where_there_is_no_colour_there_is_no_threshold():
    greys = [(240, 240, 240), (150, 150, 150), (20, 20, 20)] * 10
    assert glass_threshold(patches(*greys)) is None
    with_scale_bar = patches(*greys)
    with_scale_bar[0][:5, :60] = (255, 0, 0)
    assert glass_threshold(with_scale_bar) is None
    assert glass_threshold(patches(*[(243, 243, 241)] * 30)) is None
    assert glass_threshold([]) is None


@pytest.mark.parametrize("downsample", [0.25, 0.5, 1.0, 4.0])
def test_a_single_object_of_the_smallest_size_shows_and_dust_does_not(downsample):
    window = Window(1000, 2000, downsample, 256)
    smallest = 24 * downsample
    y, x = np.mgrid[:256, :256]

    def near(radius):
        pixels = patches((243, 243, 241))[0]
        pixels = np.tile(pixels, (4, 4, 1))
        pixels[np.hypot(x - 130, y - 70) < radius] = (200, 160, 190)
        tissue = tissue_in(window, pixels, smallest, 8)
        at = np.array([1000 + 130 * downsample]), np.array([2000 + 70 * downsample])
        assert not tissue.near(at[0] + 60 * downsample, at[1], smallest).any()
        return bool(tissue.near(*at, smallest).any())

    assert near(12)
    assert not near(2)
