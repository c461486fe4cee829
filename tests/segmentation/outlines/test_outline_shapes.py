import numpy as np
import pytest
import shapely

from wsisam_server.core.geometry import SlideSize, Window
from wsisam_server.segmentation.outlines import outline

SLIDE = SlideSize(200_000, 150_000)
DOWNSAMPLES = [0.05, 0.25, 1, 7.3, 64]


def samples(count=256):
    """Window positions of the samples in cells: x [1, w], y [h, 1]."""
    centres = np.arange(count) + 0.5
    return centres[None, :], centres[:, None]


def distance(x0, y0, count=256):
    x, y = samples(count)
    return np.hypot(x - x0, y - y0)


def traced(logits, window, **options):
    result = outline(logits.astype(np.float32), window, SLIDE, **options)
    assert shapely.is_valid(result.geometry)
    return result.geometry


def holes(geometry):
    return sum(len(part.interiors) for part in geometry.geoms)


@pytest.mark.parametrize("downsample", DOWNSAMPLES)
@pytest.mark.parametrize("tolerance", [0.0, None])
def test_a_disc_has_its_area_and_centre(downsample, tolerance):
    window = Window(20_000, 9_000, downsample, 1024)
    cell = window.extent / 256
    geometry = traced(80 - distance(130.3, 120.9), window, tolerance_px=tolerance)
    assert len(geometry.geoms) == 1
    assert holes(geometry) == 0
    assert geometry.area == pytest.approx(np.pi * (80 * cell) ** 2, rel=0.005)
    assert geometry.centroid.x == pytest.approx(20_000 + 130.3 * cell, abs=0.05 * cell)
    assert geometry.centroid.y == pytest.approx(9_000 + 120.9 * cell, abs=0.05 * cell)


@pytest.mark.parametrize("downsample", DOWNSAMPLES)
def test_the_zero_level_is_placed_between_samples(downsample):
    window = Window(20_000, 9_000, downsample, 1024)
    cell = window.extent / 256
    geometry = traced(80 - distance(130.3, 120.9), window, tolerance_px=0)
    x, y = shapely.get_coordinates(geometry).T
    radii = np.hypot(x - 20_000 - 130.3 * cell, y - 9_000 - 120.9 * cell)
    # A chord across a cell bends by cell^2 / (8 r); the grid adds at most 1/45 px.
    assert np.abs(radii - 80 * cell).max() < 0.01 * cell + 1 / 45


@pytest.mark.parametrize("downsample", DOWNSAMPLES)
def test_an_annulus_keeps_its_hole(downsample):
    window = Window(20_000, 9_000, downsample, 1024)
    geometry = traced(20 - np.abs(distance(128, 128) - 60), window)
    assert len(geometry.geoms) == 1
    assert holes(geometry) == 1
    cell = window.extent / 256
    assert geometry.area == pytest.approx(np.pi * (80**2 - 40**2) * cell**2, rel=0.005)


def test_an_island_in_a_hole_is_a_part_of_its_own():
    logits = np.maximum(10 - np.abs(distance(128, 128) - 60), 20 - distance(128, 128))
    geometry = traced(logits, Window(0, 0, 4, 1024))
    assert sorted(len(part.interiors) for part in geometry.geoms) == [0, 1]


def test_two_discs_are_two_parts():
    geometry = traced(np.maximum(30 - distance(60, 60), 20 - distance(180, 180)), Window(0, 0, 1, 1024))
    assert len(geometry.geoms) == 2


def test_logits_need_not_be_square():
    logits = np.full((64, 256), -1.0)
    logits[16:48, 64:128] = 1
    geometry = traced(logits, Window(1000, 2000, 1, 1024))
    assert geometry.bounds == (1256, 2256, 1512, 2768)


@pytest.mark.parametrize("row", [0, 7, 15])
@pytest.mark.parametrize("column", [0, 7, 15])
def test_one_sample_is_a_part(row, column):
    logits = np.full((16, 16), -1.0)
    logits[row, column] = 1
    geometry = traced(logits, Window(1000, 1000, 2, 1024))
    assert len(geometry.geoms) == 1
    centre = shapely.Point(1000 + (column + 0.5) * 128, 1000 + (row + 0.5) * 128)
    assert geometry.covers(centre)
    # Half of the way to each neighbour, and to the edge where there is none.
    assert geometry.within(centre.buffer(64 * np.sqrt(2) + 1))


def test_one_negative_sample_is_a_hole():
    logits = np.ones((16, 16))
    logits[7, 9] = -1
    geometry = traced(logits, Window(1000, 1000, 2, 1024))
    assert holes(geometry) == 1


@pytest.mark.parametrize(
    ("low", "share"),
    [
        (-0.3, 1 - (0.3 / 1.3) ** 2),  # saddles are positive: diamonds are cut out of one part
        (-1.0, 0.5**2),  # saddles are zero: each positive sample is a diamond of its own
        (-3.0, 0.25**2),
    ],
)
def test_a_checkerboard_is_diamonds(low, share):
    logits = np.where(np.indices((64, 64)).sum(0) % 2, 1.0, low)
    geometry = traced(logits, Window(0, 0, 4, 1024), tolerance_px=0)
    assert geometry.area / 4096**2 == pytest.approx(share, abs=0.02)


@pytest.mark.parametrize("zero", [0.0, 1e-30, -1e-30])
def test_diagonal_touch_at_samples_of_zero_is_valid(zero):
    # Rings through the sample in the middle would touch there.
    logits = np.array([[1, 1, zero, -1], [1, zero, 1, 1], [zero, 1, 1, zero], [-1, 1, zero, 1]], np.float64)
    traced(logits, Window(0, 0, 4, 1024), tolerance_px=0)
    traced(logits, Window(0, 0, 4, 1024))


def test_a_line_of_zeros_divides_nothing():
    logits = np.ones((8, 8))
    logits[:, 4] = 0
    geometry = traced(logits, Window(0, 0, 1, 1024), tolerance_px=0)
    assert geometry.area == 1024**2


@pytest.mark.parametrize("shape", [(256, 256), (1, 1), (3, 5)])
def test_constant_positive_is_the_whole_window(shape):
    geometry = traced(np.full(shape, 3.0), Window(1000, 2000, 0.5, 1024))
    assert geometry.equals(shapely.box(1000, 2000, 1512, 2512))
    assert shapely.get_num_coordinates(geometry) == 5


@pytest.mark.parametrize("value", [-3.0, 0.0])
def test_without_a_positive_sample_the_outline_is_empty(value):
    result = outline(np.full((256, 256), value, np.float32), Window(1000, 2000, 1, 1024), SLIDE)
    assert isinstance(result.geometry, shapely.MultiPolygon)
    assert result.geometry.is_empty
    assert not result.touches_window_edge


def test_exteriors_run_counter_clockwise_in_xy_and_holes_clockwise():
    geometry = traced(20 - np.abs(distance(128, 128) - 60), Window(0, 0, 1, 1024))
    (part,) = geometry.geoms
    assert part.exterior.is_ccw
    assert not part.interiors[0].is_ccw


def test_default_tolerance_is_a_quarter_of_a_cell():
    logits = (80 - distance(128, 128)).astype(np.float32)
    window = Window(0, 0, 7.3, 1024)
    result = outline(logits, window, SLIDE)
    assert result.tolerance_px == pytest.approx(7.3)
    exact = outline(logits, window, SLIDE, tolerance_px=0)
    assert shapely.hausdorff_distance(result.geometry, exact.geometry) <= 7.3 + 2 / 45
    assert shapely.get_num_coordinates(result.geometry) < shapely.get_num_coordinates(exact.geometry) / 4


def test_minimum_area_removes_and_counts_parts_and_holes():
    logits = 60 - distance(90, 90)
    for x, y in ((80, 80), (100, 100)):
        logits = np.minimum(logits, distance(x, y) - 3)
    logits = np.minimum(logits, distance(70, 110) - 12)
    for x, y, radius in ((200, 200, 3), (70, 110, 4), (200, 60, 20)):
        logits = np.maximum(logits, radius - distance(x, y))
    window = Window(0, 0, 1, 256)
    everything = outline(logits.astype(np.float32), window, SLIDE)
    assert (len(everything.geometry.geoms), holes(everything.geometry)) == (4, 3)
    assert (everything.dropped_parts, everything.dropped_holes) == (0, 0)
    result = outline(logits.astype(np.float32), window, SLIDE, min_area_px=100)
    assert (len(result.geometry.geoms), holes(result.geometry)) == (2, 1)
    assert (result.dropped_parts, result.dropped_holes) == (2, 2)
    # With the hole about it filled, the island is inside the large part and goes with it.
    result = outline(logits.astype(np.float32), window, SLIDE, min_area_px=600)
    assert (len(result.geometry.geoms), holes(result.geometry)) == (2, 0)
    assert (result.dropped_parts, result.dropped_holes) == (2, 3)
    assert shapely.is_valid(result.geometry)


def test_minimum_area_counts_a_part_without_its_small_holes():
    # pi * (36 - 6.25) = 93 with the hole, 113 without.
    logits = np.minimum(6 - distance(100, 100), distance(100, 100) - 2.5).astype(np.float32)
    result = outline(logits, Window(0, 0, 1, 256), SLIDE, min_area_px=100)
    assert (len(result.geometry.geoms), holes(result.geometry)) == (1, 0)
    assert (result.dropped_parts, result.dropped_holes) == (0, 1)


def test_minimum_area_may_leave_nothing():
    result = outline((3 - distance(100, 100)).astype(np.float32), Window(0, 0, 1, 256), SLIDE, min_area_px=1e6)
    assert result.geometry.is_empty
    assert result.dropped_parts == 1


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_logits_that_are_not_finite_are_refused(value):
    logits = np.ones((8, 8), np.float32)
    logits[3, 4] = value
    with pytest.raises(ValueError, match="finite"):
        outline(logits, Window(0, 0, 1, 1024), SLIDE)


@pytest.mark.parametrize("shape", [(8,), (1, 8, 8), (0, 8), (8, 0)])
def test_logits_that_are_not_a_matrix_are_refused(shape):
    with pytest.raises(ValueError, match="matrix"):
        outline(np.ones(shape, np.float32), Window(0, 0, 1, 1024), SLIDE)


@pytest.mark.parametrize("option", ["tolerance_px", "min_area_px"])
@pytest.mark.parametrize("value", [-1.0, np.nan, np.inf])
def test_negative_or_infinite_options_are_refused(option, value):
    with pytest.raises(ValueError, match=option):
        outline(np.ones((8, 8), np.float32), Window(0, 0, 1, 1024), SLIDE, **{option: value})
