"""What every slide source must do, whatever it reads from."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from tests.slides.images import PERIOD_X, PERIOD_Y, displacement
from wsisam_server.core.geometry import Point, Window


class SlideContract:
    """Subclasses give a fixture `slide`, and `truth`: its level-0 pixels, uint8 [height, width, 3]."""

    def read(self, slide, window):
        return slide.read(window)

    @pytest.mark.parametrize("downsample", [0.1, 0.5, 1, 1.7, 2, 4, 13, 64, 1e6])
    def test_patch_has_the_shape_asked_for(self, slide, downsample):
        window = Window.about(Point(300.3, 200.7), downsample, 33)
        patch = self.read(slide, window)
        assert patch.shape == (33, 33, 3)
        assert patch.dtype == np.uint8
        assert patch.flags.c_contiguous
        assert patch.flags.writeable

    def test_size_is_that_of_level_zero(self, slide, truth):
        assert (slide.info.size.height, slide.info.size.width) == truth.shape[:2]
        assert slide.info.downsamples[0] == 1
        assert list(slide.info.downsamples) == sorted(slide.info.downsamples)

    @pytest.mark.parametrize(("x", "y"), [(0, 0), (301, 257), (17, 400)])
    def test_downsample_one_is_the_identity(self, slide, truth, x, y):
        patch = self.read(slide, Window(x, y, 1, 256))
        assert np.array_equal(patch, truth[y : y + 256, x : x + 256])

    def test_every_side_outside_is_white(self, slide, truth):
        height, width = truth.shape[:2]
        patch = self.read(slide, Window(-10, -7, 1, 64))
        assert (patch[:7] == 255).all()
        assert (patch[:, :10] == 255).all()
        assert np.array_equal(patch[7:, 10:], truth[:57, :54])
        patch = self.read(slide, Window(width - 40, height - 30, 1, 64))
        assert (patch[30:] == 255).all()
        assert (patch[:, 40:] == 255).all()
        assert np.array_equal(patch[:30, :40], truth[-30:, -40:])

    def test_pixel_across_the_border_is_blended_by_area(self, slide, truth):
        quarter = self.read(slide, Window(-0.75, 100, 1, 32))[:, 0].astype(float)
        edge = truth[100:132, 0].astype(float)
        assert np.abs(quarter - (0.25 * edge + 0.75 * 255)).max() <= 0.25 * 40

    @pytest.mark.parametrize("offset", [(-5000, 10), (10, -5000), (10**7, 10), (10, 10**7), (-1e30, 1e30)])
    def test_wholly_outside_is_white(self, slide, offset):
        assert (self.read(slide, Window(*offset, 1.3, 40)) == 255).all()

    @pytest.mark.parametrize("downsample", [1, 2, 3])
    def test_low_window_shows_the_high_windows_centre(self, slide, downsample):
        center = Point(slide.info.size.width / 2, slide.info.size.height / 2)
        high = self.read(slide, Window.about(center, downsample, 128)).astype(float)
        low = self.read(slide, Window.about(center, 2 * downsample, 128)).astype(float)[32:96, 32:96]
        mean = high.reshape(64, 2, 64, 2, 3).mean((1, 3))
        assert np.abs(mean - low).mean() < 8
        for shift in (-1, 1):
            assert np.abs(np.roll(mean, shift, axis=0) - low).mean() > np.abs(mean - low).mean()
            assert np.abs(np.roll(mean, shift, axis=1) - low).mean() > np.abs(mean - low).mean()

    @pytest.mark.parametrize("size", [3, 8])
    def test_few_pixels_for_the_whole_slide_keep_its_mean(self, slide, truth, size):
        height, width = truth.shape[:2]
        side = float(max(height, width))
        patch = self.read(slide, Window(0, 0, side / size, size))
        share = height * width / side**2
        expected = share * truth.mean((0, 1)) + (1 - share) * 255
        assert np.abs(patch.mean((0, 1)) - expected).max() < 4

    def test_concurrent_reads_equal_serial_reads(self, slide):
        windows = [Window(37.5 * i, 21.25 * i, 0.5 + 0.3 * i, 96) for i in range(12)]
        serial = [self.read(slide, window) for window in windows]
        with ThreadPoolExecutor(6) as pool:
            for _ in range(3):
                assert all(map(np.array_equal, serial, pool.map(slide.read, windows)))


class WavesContract(SlideContract):
    """For sources that can hold `images.waves()` without loss."""

    @pytest.mark.parametrize("downsample", [0.1, 0.5, 1, 1.7, 2, 2.5, 4, 13])
    @pytest.mark.parametrize("start", [(0.0, 0.0), (103.37, 61.81)])
    def test_registered_to_a_small_part_of_a_pixel(self, slide, truth, downsample, start):
        height, width = truth.shape[:2]
        x, y = start
        # Not the outermost pixels, at which the filter lacks half of its input.
        size = int(min((width - x) / downsample, (height - y) / downsample, 900))
        patch = self.read(slide, Window(x, y, downsample, size))[2:-2, 2:-2]
        centers = (np.arange(size)[2:-2] + 0.5) * downsample
        off_x = displacement(patch[..., 0].mean(0), x + centers, PERIOD_X)
        off_y = displacement(patch[..., 1].mean(1), y + centers, PERIOD_Y)
        assert abs(off_x) < 0.04 * max(downsample, 1)
        assert abs(off_y) < 0.04 * max(downsample, 1)

    def test_magnified_far_edge_is_registered(self, slide, truth):
        height, width = truth.shape[:2]
        patch = self.read(slide, Window(width - 200, height - 200, 0.25, 760))
        centers = (np.arange(760) + 0.5) * 0.25
        assert abs(displacement(patch[..., 0].mean(0), width - 200 + centers, PERIOD_X)) < 0.05
        assert abs(displacement(patch[..., 1].mean(1), height - 200 + centers, PERIOD_Y)) < 0.05
