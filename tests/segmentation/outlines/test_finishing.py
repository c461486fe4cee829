"""The last look at a mask: its clicks are honoured, and what nobody asked for is left out."""

import numpy as np
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st

from wsisam_server.core.geometry import Point, SlideSize, Window
from wsisam_server.core.prompt import PromptPoint, SlidePrompt
from wsisam_server.segmentation.outlines import clicks_in, finished, outline
from wsisam_server.segmentation.outlines.honouring import Click, honoured

SIDE = 256


def on(x, y):
    return Click(x, y, positive=True)


def off(x, y):
    return Click(x, y, positive=False)


def discs(*places):
    """Logits of discs (x, y, radius): the distance to the nearest one's border, positive inside."""
    y, x = np.mgrid[:SIDE, :SIDE] + 0.5
    each = [radius - np.hypot(x - column, y - row) for column, row, radius in places]
    return (np.max(each, axis=0) / 8).astype(np.float32)


def drawn(logits, x, y):
    return logits[int(y), int(x)] > 0


def test_clicks_that_agree_change_nothing():
    logits = discs((100, 100, 40))
    assert honoured(logits, [on(100, 100), off(200, 200)]) is logits


def test_a_click_beyond_the_border_takes_its_place_in_and_leaves_the_far_side_alone():
    logits = discs((100, 100, 40))
    moved = honoured(logits, [on(100, 100), on(146, 100)])
    assert drawn(moved, 146, 100)
    assert drawn(moved, 143, 100)
    far = np.s_[:, :40]
    assert np.abs(moved[far] - logits[far]).max() < 0.05
    assert shapely.get_num_geometries(outline(moved, Window(0, 0, 1, SIDE), SlideSize(SIDE, SIDE)).geometry) == 1


def test_a_negative_click_is_taken_out():
    logits = discs((100, 100, 40))
    moved = honoured(logits, [on(100, 100), off(132, 100)])
    assert not drawn(moved, 132, 100)
    assert drawn(moved, 100, 100)


def test_the_argument_stays_as_it_was():
    logits = discs((100, 100, 40))
    before = logits.copy()
    honoured(logits, [on(146, 100)])
    assert np.array_equal(logits, before)


def test_the_same_click_twice_is_honoured_as_once():
    logits = discs((100, 100, 40))
    once = honoured(logits, [on(146, 100)])
    assert np.array_equal(honoured(logits, [on(146, 100)] * 2), once)


def test_where_the_model_sees_nothing_no_disc_is_stamped():
    """On a flat ground far from the object a move would draw the click's own neighbourhood alone."""
    logits = np.where(discs((60, 60, 50)) > 0, 5, -30).astype(np.float32)
    logits[198:203, 198:203] = -0.1  # five samples of something
    done = finished(logits, [on(60, 60), on(200.5, 200.5)])
    assert np.array_equal(done.logits, logits)
    assert done.unhonoured == (1,)


def test_an_empty_mask_stays_empty():
    logits = np.full((SIDE, SIDE), -3, np.float32)
    done = finished(logits, [on(10, 10)])
    assert not (done.logits > 0).any()
    assert done.unhonoured == (0,)


def test_a_second_object_of_some_size_may_be_taken_in():
    """An object of two parts: the second one is faint, and clicked."""
    logits = discs((80, 80, 40), (200, 200, 30))
    logits[150:, 150:] -= 4.5
    assert not drawn(logits, 200, 200)
    done = finished(logits, [on(80, 80), on(200, 200)])
    assert drawn(done.logits, 200, 200)
    assert done.unhonoured == ()


@given(
    st.lists(
        st.builds(
            Click,
            x=st.floats(0, SIDE, exclude_max=True),
            y=st.floats(0, SIDE, exclude_max=True),
            positive=st.booleans(),
        ),
        max_size=12,
    ),
    st.integers(0, 2**32 - 1),
)
def test_what_is_said_to_be_contradicted_is_and_nothing_else(clicks, seed):
    noise = np.random.default_rng(seed).normal(0, 3, (SIDE, SIDE)).astype(np.float32)
    done = finished(discs((100, 100, 60)) + noise, clicks)
    assert np.isfinite(done.logits).all()
    wrong = [i for i, one in enumerate(clicks) if drawn(done.logits, one.x, one.y) != one.positive]
    assert list(done.unhonoured) == wrong


def test_parts_without_a_positive_click_are_left_out_and_counted():
    logits = discs((80, 80, 40), (200, 60, 20), (200, 200, 30))
    done = finished(logits, [on(80, 80), on(200, 60)])
    assert (drawn(done.logits, 200, 60), drawn(done.logits, 200, 200)) == (True, False)
    assert done.stray_parts == 1
    whole = finished(logits, [on(80, 80)], prompted_parts=False)
    assert whole.logits is logits
    assert whole.stray_parts == 0


def test_after_a_box_alone_small_parts_are_left_out():
    logits = discs((80, 80, 40), (200, 60, 8), (200, 200, 30))
    done = finished(logits, [])
    assert (drawn(done.logits, 200, 60), drawn(done.logits, 200, 200)) == (False, True)
    assert done.stray_parts == 1


def test_the_border_of_a_part_that_stays_is_the_same():
    logits = discs((80, 80, 40), (200, 200, 30))
    slide, window = SlideSize(SIDE, SIDE), Window(0, 0, 1, SIDE)
    both = outline(logits, window, slide, tolerance_px=0).geometry
    one = outline(finished(logits, [on(80, 80)]).logits, window, slide, tolerance_px=0).geometry
    (kept,) = one.geoms
    assert any(kept.equals(part) for part in both.geoms)


def test_a_blur_evens_a_border_out():
    noise = np.random.default_rng(0).normal(0, 1, (SIDE, SIDE)).astype(np.float32)
    slide, window = SlideSize(SIDE, SIDE), Window(0, 0, 1, SIDE)
    rough, smooth = (
        outline(finished(discs((128, 128, 60)) + noise, [on(128, 128)], blur=blur).logits, window, slide)
        for blur in (0, 3)
    )
    assert smooth.geometry.length < 0.8 * rough.geometry.length
    assert smooth.geometry.area == pytest.approx(np.pi * 60**2, rel=0.05)


def test_clicks_are_placed_in_the_masks_frame():
    prompt = SlidePrompt(
        (PromptPoint(Point(1100, 2050), positive=True), PromptPoint(Point(1000, 2000), positive=False))
    )
    clicks = clicks_in(prompt, Window(1000, 2000, 4, 256), (512, 512))
    assert clicks == ((50, 25, True), (0, 0, False))


@pytest.mark.parametrize(("open_at", "holes"), [([], 0), ([(100, 100)], 1), ([(100, 160)], 0)])
def test_holes_are_filled_unless_a_negative_click_lies_in_them(open_at, holes):
    logits = np.minimum(discs((100, 100, 60)), -discs((100, 100, 15)))
    made = outline(
        logits, Window(0, 0, 1, SIDE), SlideSize(SIDE, SIDE), min_area_px=4, min_hole_px=2000, open_at=open_at
    )
    (part,) = made.geometry.geoms
    assert len(part.interiors) == holes
    assert made.dropped_holes == 1 - holes


def test_an_island_in_a_filled_hole_is_part_of_what_fills_it():
    logits = np.maximum(np.minimum(discs((100, 100, 60)), -discs((100, 100, 30))), discs((100, 100, 12)))
    made = outline(logits, Window(0, 0, 1, SIDE), SlideSize(SIDE, SIDE), min_area_px=4, min_hole_px=5000)
    assert made.geometry.is_valid
    assert [len(part.interiors) for part in made.geometry.geoms] == [0]
