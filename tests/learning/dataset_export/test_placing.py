"""Each object is whole in one window."""

import shapely
from hypothesis import given
from hypothesis import strategies as st

from support.drawn import drawn, square
from wsisam_server.core.geometry import Box
from wsisam_server.learning.dataset_export.placing import SHARE, place

SLIDE = Box(0, 0, 5000, 3000)


@st.composite
def worlds(draw):
    """Bounds, and objects within them."""
    x0, y0 = draw(st.integers(0, 500)), draw(st.integers(0, 500))
    bounds = Box(x0, y0, x0 + draw(st.integers(40, 6000)), y0 + draw(st.integers(40, 6000)))
    share = st.floats(0, 1, width=32)
    objects = []
    for number in range(draw(st.integers(1, 8))):
        width, height = (draw(st.floats(0.001, 1)) * side for side in (bounds.width, bounds.height))
        x, y = bounds.x0 + draw(share) * (bounds.width - width), bounds.y0 + draw(share) * (bounds.height - height)
        objects.append(drawn(shapely.box(x, y, min(x + width, bounds.x1), min(y + height, bounds.y1)), number))
    return bounds, objects


@given(worlds(), st.sampled_from([64, 256, 1024]), st.sampled_from([1.0, 1.7, 4.0]))
def test_each_object_is_whole_in_exactly_one_window_within_the_bounds(world, size, finest):
    bounds, objects = world
    placed = place(objects, bounds, size, finest)
    assert sorted(one.id for window in placed for one in window.objects) == sorted(one.id for one in objects)
    for window in placed:
        at, d = window.window, window.window.downsample
        assert bounds.x0 <= at.x
        assert bounds.y0 <= at.y
        # Only one pixel of the window's may reach beyond, where the bounds are narrower than a single one.
        assert at.x + window.width * d <= bounds.x1 + d
        assert at.y + window.height * d <= bounds.y1 + d
        for one in window.objects:
            x0, y0, x1, y1 = one.shape.bounds
            assert at.x <= x0 + 1e-6
            assert at.y <= y0 + 1e-6
            # What is left of the last pixel of narrow bounds is not shown.
            assert x1 <= at.x + (window.width + 1) * d + 1e-6
            assert y1 <= at.y + (window.height + 1) * d + 1e-6
            assert max(x1 - x0, y1 - y0) <= SHARE * size * d + 1e-6 or size * d >= max(bounds.width, bounds.height)


def test_windows_do_not_depend_on_other_objects():
    one, other = square(1000, 1000, 30, 1), square(1100, 1050, 30, 2)
    alone = place([one], SLIDE, 256, 1.0)
    both = place([other, one], SLIDE, 256, 1.0)
    assert [window.window for window in alone] == [window.window for window in both if one in window.objects]


def test_larger_objects_get_coarser_windows():
    sizes = {window.window.downsample for window in place([square(900, 900, 300)], SLIDE, 256, 1.0)}
    assert sizes == {4.0}


def test_a_slide_that_is_smaller_than_a_window_is_shown_whole():
    (placed,) = place([square(10, 10, 30)], Box(0, 0, 200, 90), 256, 1.0)
    assert (placed.window.x, placed.window.y, placed.width, placed.height) == (0, 0, 200, 90)
