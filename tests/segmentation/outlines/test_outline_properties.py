import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from wsisam_server.core.geometry import SlideSize, Window
from wsisam_server.core.shapes import decode, encode
from wsisam_server.segmentation.outlines import outline

pytestmark = pytest.mark.slow

SLIDE = SlideSize(5_000, 4_000)


@st.composite
def logit_fields(draw, kinds=("noise", "integers", "smooth")):
    """Logits [h, w] of many parts and holes: noise, values with exact zeros, or smooth blobs."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    shape = draw(st.integers(1, 48)), draw(st.integers(1, 48))
    offset = draw(st.sampled_from([-0.8, 0.0, 0.8]))
    match draw(st.sampled_from(kinds)):
        case "noise":
            logits = rng.normal(size=shape) + offset
        case "integers":
            logits = rng.integers(-1, 2, size=shape)
        case _:
            coarse = Image.fromarray(rng.normal(offset, size=(6, 6)).astype(np.float32))
            logits = np.asarray(coarse.resize(shape[::-1], Image.Resampling.BICUBIC))
    return logits.astype(np.float32)


def count_rings(geometry):
    return len(shapely.get_rings(shapely.get_parts(geometry)))


def windows():
    """Windows that lie inside, across or outside the slide's border, with cells from far below a pixel to huge ones."""
    downsamples = st.floats(-3, 2).map(lambda exponent: 10**exponent)
    return st.builds(
        Window, st.floats(-1_500, 5_500), st.floats(-1_500, 4_500), downsamples, st.sampled_from([64, 256, 1024])
    )


def inner_windows():
    """Windows far inside a vast slide, with cells of at least one pixel."""
    return st.builds(
        Window, st.floats(100, 5_000), st.floats(100, 5_000), st.floats(1, 50), st.sampled_from([64, 256, 1024])
    )


@settings(max_examples=300, deadline=None)
@given(logit_fields(), windows(), st.sampled_from([None, 0.0, 0.5, 20.0]), st.sampled_from([0.0, 3.0]))
def test_any_outline_is_valid_on_the_grid_and_on_the_slide(logits, window, tolerance, min_area):
    result = outline(logits, window, SLIDE, tolerance_px=tolerance, min_area_px=min_area)
    geometry = result.geometry
    assert isinstance(geometry, shapely.MultiPolygon)
    assert shapely.is_valid(geometry), shapely.is_valid_reason(geometry)
    xy = shapely.get_coordinates(geometry)
    assert (xy * 32 == np.rint(xy * 32)).all()
    assert (xy >= 0).all()
    assert (xy <= (SLIDE.width, SLIDE.height)).all()
    for part in geometry.geoms:
        assert part.area > 0
        assert part.area >= min_area
        assert part.exterior.is_ccw
        assert not any(hole.is_ccw for hole in part.interiors)
        for ring in (part.exterior, *part.interiors):
            assert (np.diff(shapely.get_coordinates(ring), axis=0) != 0).any(axis=1).all()
    assert decode(encode(geometry)).equals_exact(geometry, tolerance=0)


@settings(max_examples=100, deadline=None)
@given(logit_fields(), inner_windows())
def test_area_is_that_of_the_positive_pixels_up_to_the_boundary_cells(logits, window):
    geometry = outline(logits, window, SlideSize(100_000, 100_000), tolerance_px=0).geometry
    height, width = logits.shape
    cell = window.extent**2 / (height * width)
    positive = np.pad(logits > 0, 1, mode="edge")
    corners = positive[1:, 1:].astype(int) + positive[1:, :-1] + positive[:-1, 1:] + positive[:-1, :-1]
    mixed = np.count_nonzero((corners > 0) & (corners < 4))
    # In a square between four samples the contour and the nearest-sample mask differ by at most half of it.
    slack = geometry.length / 45 + 1
    assert abs(geometry.area - np.count_nonzero(logits > 0) * cell) <= mixed * cell / 2 + slack


@settings(max_examples=100, deadline=None)
@given(logit_fields(), inner_windows(), st.booleans())
def test_samples_well_above_zero_are_inside_and_those_well_below_outside(logits, window, transpose):
    logits = logits.T if transpose else logits
    geometry = outline(logits, window, SlideSize(100_000, 100_000), tolerance_px=0).geometry
    height, width = logits.shape
    x = window.x + (np.arange(width) + 0.5)[None, :] * window.extent / width
    y = window.y + (np.arange(height) + 0.5)[:, None] * window.extent / height
    inside = shapely.intersects_xy(geometry, *np.broadcast_arrays(x, y))
    # Such samples are at least 0.1 cell, that is more than the grid's 1/45 px, away from the contour.
    clear = np.abs(logits) > 0.2 * np.abs(logits).max()
    assert (inside == (logits > 0))[clear].all()


@settings(max_examples=100, deadline=None)
@given(logit_fields(kinds=("noise", "smooth")), inner_windows())
def test_no_part_or_hole_vanishes_or_merges_at_the_default_tolerance(logits, window):
    slide = SlideSize(100_000, 100_000)
    # Cells of 64 px, so that the grid merges nothing.
    window = Window(window.x, window.y, 64 * max(logits.shape) / window.size, window.size)
    exact, default = (outline(logits, window, slide, tolerance_px=tolerance).geometry for tolerance in (0, None))
    assert shapely.get_num_geometries(default) == shapely.get_num_geometries(exact)
    assert count_rings(default) == count_rings(exact)
