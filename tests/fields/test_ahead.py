"""Fields that are encoded before a click comes."""

from hypothesis import given
from hypothesis import strategies as st

from wsisam_server.fields import PromptPoint, SlidePrompt, ahead, plan, reaching
from wsisam_server.fields.ahead import _places
from wsisam_server.geometry import Box, Point, SlideSize, Viewport

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
    fields = ahead(view, slide, 256, count=10_000)
    x, y = x0 + place[0] * width, y0 + place[1] * width / aspect
    if not (0 <= x < slide.width and 0 <= y < slide.height):
        return
    prompt = click(x, y)
    wanted = planned(prompt, view, slide)
    found = reaching(fields, prompt, wanted, slide)
    assert found is not None or wanted in fields
    if found is not None:
        region = found.high.region
        assert found.high.downsample == wanted.high.downsample
        assert region.x0 <= x <= region.x1
        assert region.y0 <= y <= region.y1


def test_the_likeliest_is_in_the_middle_and_comes_first():
    fields = ahead(VIEW, SLIDE, 256, count=4)
    assert len(set(fields)) == 4
    assert fields[0] == planned(click(41_500, 31_000))
    assert fields == ahead(VIEW, SLIDE, 256, count=100)[:4]


def test_four_take_most_clicks_in_a_screen_and_twelve_all():
    """Half as wide again as high, as screens are, and as high as the window of a click."""
    view = Viewport(Box(10_000, 10_000, 10_768, 10_512), 1.0)
    places = [click(x, y) for x in range(10_008, 10_768, 16) for y in range(10_008, 10_512, 16)]

    def share(count):
        fields = ahead(view, SLIDE, 256, count=count)
        taken = [reaching(fields, prompt, planned(prompt, view), SLIDE) is not None for prompt in places]
        return sum(taken) / len(taken)

    assert 0.45 < share(3) < share(4)
    assert share(12) == 1


def test_a_view_of_any_form_costs_little():
    strip = Viewport(Box(0, 40_000, 100_000, 40_000.001), 1.0)
    fields = ahead(strip, SLIDE, 256, count=3)
    assert len(fields) == 3
    assert fields[0].high.region.x0 < 50_000 < fields[0].high.region.x1
    assert len(_places(0, 1e9, 4, 3)) == 7


def test_a_view_beside_the_slide_needs_none():
    assert ahead(Viewport(Box(-500, 0, -10, 100), 1.0), SLIDE, 256, count=4) == []


def test_only_a_first_click_near_the_middle_of_a_field_takes_it():
    (field,) = ahead(VIEW, SLIDE, 256, count=1)
    side, region = field.high.extent, field.high.region
    x, y = (region.x0 + region.x1) / 2, (region.y0 + region.y1) / 2
    for prompt, taken in (
        (click(x, y), True),
        (click(x + 0.24 * side, y - 0.24 * side), True),
        (click(x + 0.26 * side, y), False),
        (click(x, y, (x + 1, y)), False),
        (SlidePrompt(box=Box(x - 9, y - 9, x + 9, y + 9)), False),
        (SlidePrompt(click(x, y).points, Box(x - 9, y - 9, x + 9, y + 9)), False),
    ):
        assert (reaching([field], prompt, planned(prompt), SLIDE) == field) == taken or planned(prompt) == field
    nearer_look = Viewport(Box(x - 100, y - 100, x + 100, y + 100), 0.2)
    assert reaching([field], click(x, y), planned(click(x, y), nearer_look), SLIDE) is None


def test_the_nearest_of_several_is_taken():
    fields = ahead(VIEW, SLIDE, 256, count=100)
    prompt = click(41_600, 31_100)
    wanted = planned(prompt)
    assert reaching(fields, prompt, wanted, SLIDE) == reaching(reversed(fields), prompt, wanted, SLIDE) == fields[0]
