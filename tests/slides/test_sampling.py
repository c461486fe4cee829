import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wsisam_server.core.geometry import SlideSize, Window
from wsisam_server.core.pixel_size import mean_mpp
from wsisam_server.slides.sampling import Grid, sample


class ConstantLevel:
    """A grey raster that counts what is asked of it."""

    def __init__(self, grid):
        self.grid = grid
        self.largest = 0

    def snap(self, x, y):
        return float(x), float(y)

    def read(self, x, y, width, height):
        assert 0 <= x <= x + width <= self.grid.width
        assert 0 <= y <= y + height <= self.grid.height
        self.largest = max(self.largest, width * height)
        return np.full((height, width, 3), 90, np.uint8)


positions = st.floats(-3000, 3000) | st.floats(allow_nan=False, allow_infinity=False)
downsamples = st.floats(0.01, 100) | st.floats(1e-12, 1e300)


@settings(max_examples=200, deadline=None)
@given(positions, positions, downsamples, st.integers(1, 40), st.sampled_from([1.0, 2.0, 2.13, 16.0]))
def test_any_window_is_its_share_of_the_slide(x, y, downsample, size, scale):
    slide = SlideSize(1001, 803)
    level = ConstantLevel(Grid(0, 0, scale, scale, int(1001 / scale), int(803 / scale)))
    patch = sample(level, slide, Window(x, y, downsample, size))
    assert patch.shape == (size, size, 3)

    def share(start, length):
        index = np.arange(size)
        return np.clip((length - start) / downsample - index, 0, 1) - np.clip(-start / downsample - index, 0, 1)

    expected = 255 - np.outer(share(y, 803), share(x, 1001)) * (255 - 90)
    assert np.abs(patch - expected[..., None]).max() <= 0.51
    assert level.largest <= 2304**2


class RandomLevel(ConstantLevel):
    """A raster of noise that notes the regions asked of it."""

    def __init__(self, grid):
        super().__init__(grid)
        self.pixels = np.random.default_rng(0).integers(0, 256, (grid.height, grid.width, 3), np.uint8)
        self.asked = []

    def read(self, x, y, width, height):
        self.asked.append((x, y, width, height))
        return self.pixels[int(y) : int(y) + height, int(x) : int(x) + width]


@pytest.mark.parametrize("scale", [1, 4])
def test_stored_pixels_as_they_are_take_no_neighbours(scale):
    """A window that ends where a tile does is read of that tile alone: the next one may be damaged."""
    level = RandomLevel(Grid(0, 0, scale, scale, 512, 512))
    patch = sample(level, SlideSize(512 * scale, 512 * scale), Window(256 * scale, 128 * scale, scale, 64))
    assert level.asked == [(256, 128, 64, 64)]
    assert np.array_equal(patch, level.pixels[128:192, 256:320])
    sample(level, SlideSize(512 * scale, 512 * scale), Window((256 + 0.5) * scale, 128 * scale, scale, 64))
    ((x, y, width, height),) = level.asked[1:]
    assert (x, x + width) == (253, 324)  # as far as the filter reaches
    assert (y, height) == (128, 64)


class StepLevel(ConstantLevel):
    """Black on the left half, grey on the right."""

    def read(self, x, y, width, height):
        pixels = super().read(x, y, width, height)
        pixels[:, x + np.arange(width) < self.grid.width / 2] = 0
        return pixels


@pytest.mark.parametrize("downsample", [30, 750, 5000, 10_000])
def test_huge_pixels_are_still_in_place(downsample):
    level = StepLevel(Grid(0, 0, 1, 1, 60_000, 4))
    size = 60_000 // downsample
    row = sample(level, SlideSize(60_000, downsample), Window(0, 0, downsample, size))[0, :, 0]
    assert (row[: size // 2 - 2] == 0).all()
    assert np.abs(row[size // 2 + 2 :].astype(int) - 90).max(initial=0) <= 1
    assert row[size // 2 - 1] < 45 < row[size // 2]


@pytest.mark.parametrize(
    ("x", "y", "mpp"),
    [
        (0.5, 0.5, 0.5),
        (0.5, 0.7, 0.6),
        (None, 0.5, None),
        (0.5, None, None),
        (0.0, 0.5, None),
        (-0.5, -0.5, None),
        (float("nan"), 0.5, None),
        (float("inf"), 0.5, None),
        (352.8, 352.8, None),
        (1e-6, 1e-6, None),
    ],
)
def test_only_a_microscopes_pixel_size_is_believed(x, y, mpp):
    assert mean_mpp(x, y) == (None if mpp is None else pytest.approx(mpp))
