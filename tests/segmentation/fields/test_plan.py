import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsisam_server.core.errors import Reason, WsiSamServerError
from wsisam_server.core.geometry import Box, Point, SlideSize, Viewport, Window
from wsisam_server.core.prompt import PromptPoint, SlidePrompt
from wsisam_server.core.requests import MAX_DOWNSAMPLE, MIN_DOWNSAMPLE, AtDownsample, ExactWindow
from wsisam_server.segmentation.fields import keeps, plan
from wsisam_server.segmentation.fields.plan import checked

SLIDE = SlideSize(100_000, 80_000)


def box(x0, y0, x1, y1):
    return SlidePrompt(box=Box(x0, y0, x1, y1))


def click(x, y, *more):
    return SlidePrompt(tuple(PromptPoint(Point(px, py), positive) for px, py, positive in ((x, y, True), *more)))


def view(x, y, side, downsample=1.0):
    return Viewport(Box(x - side / 2, y - side / 2, x + side / 2, y + side / 2), downsample)


@pytest.mark.parametrize("size", [256, 1024])
@pytest.mark.parametrize("side", [20, 100, 999, 5_000, 30_000])
def test_a_box_takes_about_half_of_the_window(size, side):
    high = plan(box(40_000, 40_000, 40_000 + side, 40_000 + side), SLIDE, size).high
    assert 0.5 / 2**0.25 - 1e-9 <= side / high.extent <= 0.5 * 2**0.25 + 1e-9


def test_a_nucleus_is_magnified():
    assert plan(box(500, 500, 520, 520), SLIDE, 256).high.downsample < 0.25


def test_scales_lie_on_the_grid():
    for side in range(10, 3000, 37):
        downsample = plan(box(9000, 9000, 9000 + side, 9000 + side / 2), SLIDE, 256).high.downsample
        assert math.log2(downsample) * 2 == pytest.approx(round(math.log2(downsample) * 2))


def test_the_low_patch_has_twice_the_extent_about_the_same_centre():
    field = plan(box(5_000, 5_000, 5_300, 5_200), SLIDE, 256)
    assert field.low.extent == 2 * field.high.extent
    assert field.low.center == field.high.center
    assert field.low.size == field.high.size == 256


def test_neighbouring_clicks_in_one_view_share_a_window():
    viewport = view(50_000, 50_000, 1000)
    fields = {
        plan(click(50_000 + dx, 50_000 + dy), SLIDE, 256, viewport=viewport) for dx in (-40, 40) for dy in (-40, 40)
    }
    assert len(fields) == 1


def test_a_slight_move_of_the_view_keeps_the_scale():
    scales = {
        plan(click(50_000, 50_000), SLIDE, 256, viewport=view(50_000 + s, 50_000, 1000 + s)).high.downsample
        for s in range(0, 60, 10)
    }
    assert len(scales) == 1


def test_a_click_is_read_at_the_scale_of_the_view():
    near = plan(click(50_000, 50_000), SLIDE, 256, viewport=view(50_000, 50_000, 500)).high
    far = plan(click(50_000, 50_000), SLIDE, 256, viewport=view(50_000, 50_000, 8_000)).high
    assert near.extent == pytest.approx(500, rel=0.2)
    assert far.extent == pytest.approx(8_000, rel=0.2)


def test_a_click_without_a_view_is_read_at_half_a_micron_per_pixel():
    assert plan(click(50_000, 50_000), SLIDE, 256, mpp=0.25).high.downsample == 2.0
    assert plan(click(50_000, 50_000), SLIDE, 256).high.downsample == 1.0


def test_clicks_far_apart_widen_the_field():
    prompt = click(50_000, 50_000, (53_000, 50_000, True))
    high = plan(prompt, SLIDE, 256, viewport=view(50_000, 50_000, 500)).high
    assert high.region.x0 <= 50_000
    assert high.region.x1 >= 53_000
    assert high.region.y0 <= 50_000 <= high.region.y1


def test_at_the_slides_corner_the_window_stays_on_the_slide():
    high = plan(box(0, 0, 200, 200), SLIDE, 256).high
    assert (high.x, high.y) == (0, 0)
    high = plan(box(99_900, 79_900, 100_000, 80_000), SLIDE, 256).high
    assert (high.region.x1, high.region.y1) == pytest.approx((100_000, 80_000))


def test_the_whole_slide_as_a_box_is_one_centred_window():
    slide = SlideSize(2220, 2967)
    high = plan(box(0, 0, 2220, 2967), slide, 256).high
    assert high.extent >= 2967
    assert high.center.x == pytest.approx(1110)


def test_a_tiny_image_is_magnified_to_fill_the_window():
    high = plan(click(5, 5), SlideSize(20, 12), 256).high
    assert high.region.x0 <= 0
    assert high.region.y0 <= 0
    assert high.region.x1 >= 20
    assert high.region.y1 >= 12
    assert high.extent <= 20 * 2**0.5


def test_the_callers_scale_is_kept():
    assert plan(box(500, 500, 700, 700), SLIDE, 256, choice=AtDownsample(3.3)).high.downsample == 3.3


@pytest.mark.parametrize("downsample", [MIN_DOWNSAMPLE / 2, MAX_DOWNSAMPLE * 2, -1.0, 0.0])
def test_a_scale_out_of_range_is_refused(downsample):
    with pytest.raises(WsiSamServerError) as caught:
        plan(click(500, 500), SLIDE, 256, choice=AtDownsample(downsample))
    assert caught.value.reason is Reason.INVALID_FIELD


def test_a_prompt_larger_than_the_callers_field_is_refused():
    with pytest.raises(WsiSamServerError) as caught:
        plan(box(0, 0, 5000, 100), SLIDE, 256, choice=AtDownsample(1.0))
    assert caught.value.reason is Reason.PROMPT_OUTSIDE_FIELD


def test_the_callers_window_is_taken_as_it_is():
    window = Window(123.25, 456.5, 0.7, 256)
    assert plan(click(200, 500), SLIDE, 256, choice=ExactWindow(window)).high == window


@pytest.mark.parametrize(
    ("window", "reason"),
    [
        (Window(123.25, 456.5, 0.7, 1024), Reason.INVALID_FIELD),
        (Window(5000, 5000, 0.7, 256), Reason.PROMPT_OUTSIDE_FIELD),
        (Window(-1e9, -1e9, 4000.0, 256), Reason.PROMPT_OUTSIDE_FIELD),
        (Window(1e300, 1e300, 1.0, 256), Reason.PROMPT_OUTSIDE_FIELD),
        (Window(1e18, 456.5, 1.0, 256), Reason.PROMPT_OUTSIDE_FIELD),
    ],
)
def test_a_window_of_the_caller_that_makes_no_sense_is_refused(window, reason):
    with pytest.raises(WsiSamServerError) as caught:
        plan(click(200, 500), SLIDE, 256, choice=ExactWindow(window))
    assert caught.value.reason is reason


@pytest.mark.parametrize("side", [5e-324, 1e-322, 1e-300, 1e-9])
def test_vanishing_views_and_boxes_are_magnified_as_far_as_it_goes(side):
    assert plan(click(500, 500), SLIDE, 256, viewport=Viewport(Box(0, 0, side, side), 1)).high
    tiny = SlidePrompt(box=Box(0, 0, side, side))
    assert plan(tiny, SLIDE, 256).high.downsample == MIN_DOWNSAMPLE


@given(st.floats(0.02, 500), st.floats(0, 90_000), st.floats(0, 70_000))
def test_a_field_that_was_planned_is_taken_back(downsample, x, y):
    prompt = box(x, y, min(x + downsample * 256, 100_000.0), min(y + downsample * 256, 80_000.0))
    try:
        high = plan(prompt, SLIDE, 256, choice=AtDownsample(downsample)).high
    except WsiSamServerError as error:
        assert error.reason is Reason.PROMPT_OUTSIDE_FIELD  # noqa: PT017 - the span rounded to more than the window
        return
    assert plan(prompt, SLIDE, 256, choice=ExactWindow(high)).high == high


def test_a_field_is_kept_until_a_prompt_comes_near_its_edge():
    field = plan(click(50_000, 50_000), SLIDE, 256, viewport=view(50_000, 50_000, 1024))
    region = field.high.region
    assert keeps(field, click(50_000, 50_000, (region.x1 - 100, 50_000, False)), SLIDE)
    assert not keeps(field, click(50_000, 50_000, (region.x1 - 10, 50_000, False)), SLIDE)
    assert not keeps(field, click(50_000, 50_000, (region.x1 + 10, 50_000, True)), SLIDE)


def test_at_the_slides_border_a_field_needs_no_margin():
    field = plan(box(0, 0, 200, 200), SLIDE, 256)
    assert keeps(field, box(0, 0, 180, 180), SLIDE)


coordinates = st.floats(0, 1, allow_nan=False)


@given(
    st.integers(1, 200_000),
    st.integers(1, 200_000),
    st.lists(st.tuples(coordinates, coordinates, st.booleans()), max_size=6),
    st.one_of(st.none(), st.tuples(coordinates, coordinates, coordinates, coordinates)),
    st.one_of(st.none(), st.floats(1, 300_000)),
    st.sampled_from([256, 1024]),
)
def test_every_field_holds_its_prompt_and_lies_on_the_slide(width, height, points, corners, side, size):
    slide = SlideSize(width, height)
    target = None
    if corners is not None:
        x0, x1 = sorted((corners[0] * width, corners[2] * width))
        y0, y1 = sorted((corners[1] * height, corners[3] * height))
        if x0 < x1 and y0 < y1:
            target = Box(x0, y0, x1, y1)
    marks = tuple(PromptPoint(Point(x * width, y * height), positive) for x, y, positive in points)
    if target is None and not any(mark.positive for mark in marks):
        return
    prompt = checked(SlidePrompt(marks, target), slide, 64)
    high = plan(prompt, slide, size, viewport=None if side is None else view(width / 2, height / 2, side)).high
    slack = 1e-6 * max(width, height, high.extent)
    x0, y0, x1, y1 = prompt.extent
    assert high.region.x0 <= x0 + slack
    assert high.region.y0 <= y0 + slack
    assert high.region.x1 >= x1 - slack
    assert high.region.y1 >= y1 - slack
    for low, extent, limit in ((high.x, high.extent, width), (high.y, high.extent, height)):
        if extent <= limit:
            assert -slack <= low <= limit - extent + slack
        else:
            assert low <= 0 <= limit <= low + extent
