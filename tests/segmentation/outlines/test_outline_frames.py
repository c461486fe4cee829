"""Where the outline lies: registration to the half pixel, the window's edges, the slide's border."""

import numpy as np
import pytest
import shapely

from wsisam_server.core.geometry import SlideSize, Window
from wsisam_server.segmentation.outlines import outline

SLIDE = SlideSize(10_000, 8_000)
FULL = np.ones((256, 256), np.float32)
# Where a window of 1024 px must begin for its edge of that name to lie on the slide's border, or a little beyond it.
AT_BORDER = {"left": (0, 3000), "top": (3000, 0), "right": (8976, 3000), "bottom": (3000, 6976)}
BEYOND = {"left": (-9.5, 3000), "top": (3000, -9.5), "right": (8990, 3000), "bottom": (3000, 6990)}


def step(first_column, count=256):
    """Columns >= first_column are positive, by as much as the others are negative."""
    logits = np.full((count, count), -5, np.float32)
    logits[:, first_column:] = 5
    return logits


def edges(*, left=False, top=False, right=False, bottom=False):
    """A square with arms that reach the named edges of the window."""
    logits = np.full((256, 256), -5, np.float32)
    logits[100:150, 100:150] = 5
    logits[120:130, : 120 if left else 0] = 5
    logits[: 120 if top else 0, 120:130] = 5
    logits[120:130, 120 if right else 256 :] = 5
    logits[120 if bottom else 256 :, 120:130] = 5
    return logits


@pytest.mark.parametrize("downsample", [0.25, 1, 7.3, 64])
@pytest.mark.parametrize("column", [1, 77, 255])
@pytest.mark.parametrize("count", [256, 64])
def test_a_step_lies_between_its_pixels(downsample, column, count):
    # Pixel i covers [i, i + 1): the first positive column of cells begins at column * extent / count.
    column = 1 + column * (count - 1) // 256
    window = Window(100, 200, downsample, 1024)
    slide = SlideSize(100_000, 100_000)
    for logits, index in ((step(column, count), 0), (step(column, count).T, 1)):
        geometry = outline(logits, window, slide).geometry
        expected = (100, 200)[index] + column * window.extent / count
        assert geometry.bounds[index] == pytest.approx(expected, abs=1 / 64)


@pytest.mark.parametrize("origin", [(100, 200), (100.015625, 200.5), (100.3, 200.7)])
@pytest.mark.parametrize("downsample", [0.05, 1, 7.3])
def test_a_mask_at_the_windows_edge_closes_exactly_on_it(origin, downsample):
    window = Window(*origin, downsample, 1024)
    logits = edges(left=True, top=True, right=True, bottom=True)
    bounds = outline(logits, window, SLIDE).geometry.bounds
    region = window.region
    assert bounds == pytest.approx((region.x0, region.y0, region.x1, region.y1), abs=1 / 64)


def test_closure_is_exact_where_the_edge_is_on_the_grid():
    geometry = outline(edges(left=True), Window(100, 200, 1, 1024), SLIDE).geometry
    assert geometry.bounds[0] == 100
    assert {y for x, y in shapely.get_coordinates(geometry).tolist() if x == 100} == {680, 720}


@pytest.mark.parametrize(
    ("x", "y", "expected"),
    [
        (-500, 3000, (0, 3000, 524, 4024)),
        (3000, -500, (3000, 0, 4024, 524)),
        (9_500, 3000, (9_500, 3000, 10_000, 4024)),
        (3000, 7_500, (3000, 7_500, 4024, 8_000)),
        (-500, -300.5, (0, 0, 524, 723.5)),
        (9_500, 7_500, (9_500, 7_500, 10_000, 8_000)),
    ],
)
def test_the_outline_is_clipped_to_the_slide(x, y, expected):
    geometry = outline(FULL, Window(x, y, 1, 1024), SLIDE).geometry
    assert geometry.equals(shapely.box(*expected))


def test_a_window_larger_than_the_slide_gives_the_slide():
    result = outline(FULL, Window(-10_000, -10_000, 40, 1024), SLIDE)
    assert result.geometry.equals(shapely.box(0, 0, 10_000, 8_000))
    assert not result.touches_window_edge


@pytest.mark.parametrize(("x", "y"), [(-2000, 0), (0, -2000), (10_001, 0), (0, 9_000), (-1024, 0), (10_000, 8_000)])
def test_a_window_off_the_slide_gives_nothing(x, y):
    result = outline(FULL, Window(x, y, 1, 1024), SLIDE)
    assert isinstance(result.geometry, shapely.MultiPolygon)
    assert result.geometry.is_empty
    assert not result.touches_window_edge


@pytest.mark.parametrize("downsample", [1e-9, 1e-6, 1e-4, 0.001, 0.01])
def test_a_window_finer_than_the_grid_is_valid(downsample):
    rng = np.random.default_rng(3)
    for logits in (FULL, edges(left=True), rng.normal(size=(64, 64)).astype(np.float32)):
        window = Window(5000.3, 4000.7, downsample, 1024)
        geometry = outline(logits, window, SLIDE).geometry
        assert shapely.is_valid(geometry)
        assert geometry.area <= (window.extent + 1 / 16) ** 2


@pytest.mark.parametrize("origin", [(5e-324, 100), (100, 1e-300)])
@pytest.mark.parametrize("downsample", [1e-11, 1e-5, 1])
def test_coordinates_whose_products_underflow_are_valid(origin, downsample):
    rng = np.random.default_rng(0)
    for _ in range(10):
        for logits in (rng.normal(size=(24, 38)), rng.integers(-1, 2, size=(24, 38))):
            window = Window(*origin, downsample, 256)
            assert shapely.is_valid(outline(logits.astype(np.float32), window, SLIDE).geometry)


@pytest.mark.parametrize("edge", ["left", "top", "right", "bottom"])
class TestTouchesWindowEdge:
    @pytest.mark.parametrize("origin", [3000, 3000.26, 3000.3, 3000 + 1 / 64])
    def test_true_within_the_slide(self, edge, origin):
        # Off the grid, rounding moves the outline to either side of the window's edge.
        assert outline(edges(**{edge: True}), Window(origin, origin, 1, 1024), SLIDE).touches_window_edge

    def test_false_on_the_slides_border(self, edge):
        assert not outline(edges(**{edge: True}), Window(*AT_BORDER[edge], 1, 1024), SLIDE).touches_window_edge

    def test_false_beyond_the_slides_border(self, edge):
        assert not outline(edges(**{edge: True}), Window(*BEYOND[edge], 1, 1024), SLIDE).touches_window_edge

    def test_true_where_another_edge_is_the_slides_border(self, edge):
        other = {"left": "top", "top": "right", "right": "bottom", "bottom": "left"}[edge]
        assert outline(edges(**{edge: True}), Window(*AT_BORDER[other], 1, 1024), SLIDE).touches_window_edge

    def test_one_sample_at_the_edge_is_enough(self, edge):
        logits = np.full((256, 256), -5, np.float32)
        logits[{"left": (128, 0), "top": (0, 128), "right": (128, 255), "bottom": (255, 128)}[edge]] = 5
        assert outline(logits, Window(3000.3, 3000.3, 1, 1024), SLIDE).touches_window_edge

    def test_a_dropped_component_does_not_count(self, edge):
        logits = edges()
        logits[{"left": (128, 0), "top": (0, 128), "right": (128, 255), "bottom": (255, 128)}[edge]] = 5
        result = outline(logits, Window(3000.3, 3000.3, 1, 1024), SLIDE, min_area_px=100)
        assert result.dropped_parts == 1
        assert not result.touches_window_edge


def test_a_mask_inside_the_window_touches_no_edge():
    assert not outline(edges(), Window(3000, 3000, 1, 1024), SLIDE).touches_window_edge
