"""Fields that are encoded before a click comes."""

import math

from hypothesis import given
from hypothesis import strategies as st

from wsisam_server.core.geometry import Box, Point, SlideSize, Viewport
from wsisam_server.core.prompt import PromptPoint, SlidePrompt
from wsisam_server.segmentation.fields import keeps, plan, prefetch_fields, shared
from wsisam_server.segmentation.fields.lattice import REACH
from wsisam_server.segmentation.fields.plan import ROUNDING
from wsisam_server.segmentation.fields.prefetch import _places

SLIDE = SlideSize(100_000, 80_000)
VIEW = Viewport(Box(40_000, 30_000, 43_000, 32_000), 3.0)


def click(x, y, *more):
    return SlidePrompt(tuple(PromptPoint(Point(px, py), positive=True) for px, py in ((x, y), *more)))


def planned(prompt, view=VIEW, slide=SLIDE):
    return plan(prompt, slide, 256, viewport=view)


@given(
    slide=st.builds(SlideSize, st.integers(300, 50_000), st.integers(300, 50_000)),
    corner=st.tuples(st.floats(-0.5, 0.99), st.floats(-0.5, 0.99)),
    width=st.floats(40, 9_000),
    aspect=st.floats(0.4, 3),
    place=st.tuples(st.floats(0, 1), st.floats(0, 1)),
)
def test_a_click_anywhere_in_the_view_finds_a_field_if_there_are_enough(slide, corner, width, aspect, place):
    x0, y0 = corner[0] * slide.width, corner[1] * slide.height
    view = Viewport(Box(x0, y0, x0 + width, y0 + width / aspect), 1.0)
    fields = prefetch_fields(view, slide, 256, count=10_000)
    x, y = x0 + place[0] * width, y0 + place[1] * width / aspect
    if not (0 <= x < slide.width and 0 <= y < slide.height):
        return
    prompt = click(x, y)
    wanted = planned(prompt, view, slide)
    found = shared(prompt, wanted, slide)
    assert found in fields
    assert found.high.downsample == wanted.high.downsample
    # At the very edge of the reach, rounding decides.
    assert keeps(found, prompt, slide, (0.5 - REACH) * (1 - ROUNDING))


def test_the_likeliest_is_in_the_middle_and_comes_first():
    fields = prefetch_fields(VIEW, SLIDE, 256, count=4)
    assert len(set(fields)) == 4
    middle = fields[0].high.center
    assert math.dist((middle.x, middle.y), (41_500, 31_000)) < REACH * fields[0].high.extent * 2**0.5
    assert fields == prefetch_fields(VIEW, SLIDE, 256, count=100)[:4]


def test_four_take_most_clicks_in_a_screen_and_twelve_all():
    """Half as wide again as high, as screens are, and as high as the window of a click."""

    def share(count, x, y):
        view = Viewport(Box(x, y, x + 768, y + 512), 1.0)
        fields = prefetch_fields(view, SLIDE, 256, count=count)
        places = [click(px, py) for px in range(x + 8, x + 768, 32) for py in range(y + 8, y + 512, 32)]
        taken = [shared(prompt, planned(prompt, view), SLIDE) in fields for prompt in places]
        return sum(taken) / len(taken)

    corners = [(10_000 + dx, 10_000 + dy) for dx in range(0, 256, 64) for dy in range(0, 256, 64)]
    four = [share(4, *corner) for corner in corners]
    assert min(four) >= 0.5
    assert sum(four) / len(four) > 0.55
    assert min(share(12, *corner) for corner in corners) == 1


def test_two_who_look_at_almost_the_same_share_fields():
    one, other = (Viewport(Box(x, 30_000, x + 3_000, 32_000), 3.0) for x in (40_000, 40_137))
    assert len(set(prefetch_fields(one, SLIDE, 256, count=9)) & set(prefetch_fields(other, SLIDE, 256, count=9))) >= 6


def test_a_view_of_any_form_costs_little():
    strip = Viewport(Box(0, 40_000, 100_000, 40_000.001), 1.0)
    fields = prefetch_fields(strip, SLIDE, 256, count=3)
    assert len(fields) == 3
    assert fields[0].high.region.x0 < 50_000 < fields[0].high.region.x1
    assert len(_places(0, 1e9, 2, 3)) == 7


def test_a_view_beside_the_slide_needs_none():
    assert prefetch_fields(Viewport(Box(-500, 0, -10, 100), 1.0), SLIDE, 256, count=4) == []
