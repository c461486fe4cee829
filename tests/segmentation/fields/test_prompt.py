import math

import pytest

from wsisam_server.core.errors import Reason, WsiSamServerError
from wsisam_server.core.geometry import Box, Point, SlideSize, Viewport, Window
from wsisam_server.core.prompt import PromptPoint, SlidePrompt
from wsisam_server.segmentation.fields.plan import checked

SLIDE = SlideSize(1000, 800)


def points(*marks):
    return SlidePrompt(tuple(PromptPoint(Point(x, y), positive) for x, y, positive in marks))


@pytest.mark.parametrize(
    ("prompt", "reason"),
    [
        (SlidePrompt(), Reason.EMPTY_PROMPT),
        (points((5, 5, False)), Reason.ONLY_NEGATIVE_POINTS),
        (points(*[(5, 5, True)] * 9), Reason.TOO_MANY_POINTS),
        (points((-0.5, 5, True)), Reason.PROMPT_OUTSIDE_SLIDE),
        (points((5, 800.5, True)), Reason.PROMPT_OUTSIDE_SLIDE),
        (points((5, 5, True), (1001, 5, False)), Reason.PROMPT_OUTSIDE_SLIDE),
        (SlidePrompt(box=Box(-50, -50, 0, 0)), Reason.PROMPT_OUTSIDE_SLIDE),
        (SlidePrompt(box=Box(1000, 0, 1100, 50)), Reason.PROMPT_OUTSIDE_SLIDE),
    ],
)
def test_what_makes_no_sense_is_refused(prompt, reason):
    with pytest.raises(WsiSamServerError) as caught:
        checked(prompt, SLIDE, max_points=8)
    assert caught.value.reason is reason


def test_points_on_the_slides_border_are_on_the_slide():
    prompt = points((0, 0, True), (1000, 800, True))
    assert checked(prompt, SLIDE, 8) == prompt


def test_a_box_is_clipped_to_the_slide():
    assert checked(SlidePrompt(box=Box(-10, 700, 50, 900)), SLIDE, 8).box == Box(0, 700, 50, 800)


def test_a_negative_point_with_a_box_is_a_prompt():
    prompt = SlidePrompt(points((5, 5, False)).points, Box(0, 0, 50, 50))
    assert checked(prompt, SLIDE, 8) == prompt


@pytest.mark.parametrize(
    ("later", "extends"),
    [
        (points((5, 5, True), (6, 6, False)), True),
        (points((6, 6, False), (5, 5, True)), True),
        (SlidePrompt(points((5, 5, True)).points, Box(0, 0, 9, 9)), True),
        (points((5, 5, True)), False),
        (points((6, 6, False)), False),
        (points((5, 5, False), (7, 7, True)), False),
    ],
)
def test_a_prompt_extends_another_when_it_only_adds_to_it(later, extends):
    assert later.extends(points((5, 5, True))) is extends


def test_a_changed_box_extends_nothing():
    assert not SlidePrompt(box=Box(0, 0, 9, 8)).extends(SlidePrompt(box=Box(0, 0, 9, 9)))


def test_the_model_gets_pixel_indices():
    # The centre of patch pixel 0 is half a patch pixel into the window; SAM's prompt encoder adds that half itself.
    window = Window(100, 200, 2.0, 256)
    marks, labels, box = SlidePrompt(
        points((101, 201, True), (103, 201, False)).points, Box(100, 200, 612, 712)
    ).to_model(window)
    assert marks == [(0.0, 0.0), (1.0, 0.0)]
    assert labels == [1, 0]
    assert box == (-0.5, -0.5, 255.5, 255.5)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_numbers_that_are_none_never_enter(bad):
    with pytest.raises(ValueError, match="finite"):
        Point(bad, 0)
    with pytest.raises(ValueError, match="finite"):
        Box(0, 0, bad, 1)
    with pytest.raises(ValueError, match="finite"):
        Viewport(Box(0, 0, 1, 1), bad)


@pytest.mark.parametrize("corners", [(5, 5, 5, 9), (5, 5, 9, 5), (9, 5, 5, 9), (5, 9, 9, 5)])
def test_inverted_and_empty_boxes_never_enter(corners):
    with pytest.raises(ValueError, match="x0 < x1"):
        Box(*corners)
