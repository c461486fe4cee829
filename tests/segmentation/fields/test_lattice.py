"""Fields that are the same for everybody."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsisam_server.core.geometry import Box, Point, SlideSize
from wsisam_server.core.prompt import PromptPoint, SlidePrompt
from wsisam_server.segmentation.fields import Lattice, plan, shared

SLIDE = SlideSize(100_000, 80_000)
X, Y = 4_608.0, 4_096.0


def click(x, y, *more):
    return SlidePrompt(tuple(PromptPoint(Point(px, py), positive=True) for px, py in ((x, y), *more)))


@given(
    slide=st.builds(SlideSize, st.integers(1, 5_000), st.integers(1, 5_000)),
    scale=st.integers(-4, 8),
    place=st.tuples(st.floats(0, 1), st.floats(0, 1)),
)
def test_every_click_falls_into_a_field_of_the_whole_lattice(slide, scale, place):
    lattice = Lattice(slide, 256, 2 ** (scale / 2))
    if lattice.columns * lattice.rows > 2_000:
        return
    everything = {lattice.field(column, row) for column in range(lattice.columns) for row in range(lattice.rows)}
    x, y = place[0] * slide.width, place[1] * slide.height
    planned = plan(click(x, y), slide, 256)
    same_scale = type(planned)(type(planned.high)(0, 0, lattice.downsample, 256))
    assert shared(click(x, y), same_scale, slide) in everything


def test_only_a_first_click_takes_one():
    planned = plan(click(X, Y), SLIDE, 256)
    field = shared(click(X, Y), planned, SLIDE)
    side, middle = field.high.extent, field.high.center
    assert field.high.downsample == planned.high.downsample
    for prompt, taken in (
        (click(middle.x + 0.24 * side, middle.y - 0.24 * side), True),
        (click(middle.x + 0.26 * side, middle.y), False),
        (click(middle.x, middle.y, (middle.x + 1, middle.y)), False),
        (SlidePrompt(box=Box(X - 9, Y - 9, X + 9, Y + 9)), False),
        (SlidePrompt(click(X, Y).points, Box(X - 9, Y - 9, X + 9, Y + 9)), False),
    ):
        assert (shared(prompt, planned, SLIDE) == field) == taken


@pytest.mark.parametrize(("downsample", "scale"), [(1.0, 1.0), (1.1, 1.0), (1.3, 2**0.5), (1e9, 2**8.5)])
def test_the_scale_is_one_of_the_planners(downsample, scale):
    assert Lattice.near(SLIDE, 256, downsample).downsample == scale
