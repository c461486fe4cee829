"""A click that corrects an answer changes it about the click, and leaves what was trusted elsewhere."""

import numpy as np
import pytest

from wsisam_server.segmentation.outlines import corrected, kept_share
from wsisam_server.segmentation.outlines.correcting import MOST
from wsisam_server.segmentation.outlines.honouring import Click

SIDE = 256


def flat(value):
    return np.full((SIDE, SIDE), value, np.float32)


@pytest.mark.parametrize("positive", [True, False])
def test_the_new_answer_counts_at_the_click_and_the_one_before_far_from_it(positive):
    found = corrected(flat(1), flat(-1), [Click(40.5, 80.5, positive)], 0.7)
    assert found.dtype == np.float32
    assert found[80, 40] == 1
    assert found[250, 250] == pytest.approx(0.7 * -1 + 0.3 * 1, abs=1e-5)
    along = found[80, 40:200]
    assert (np.diff(along) <= 0).all()


def test_each_new_click_counts():
    found = corrected(flat(1), flat(-1), [Click(40.5, 80.5, positive=True), Click(200.5, 90.5, positive=False)], 0.5)
    assert found[80, 40] == found[90, 200] == 1


def test_what_both_say_stays():
    logits = np.linspace(-5, 5, SIDE * SIDE, dtype=np.float32).reshape(SIDE, SIDE)
    assert np.allclose(corrected(logits, logits, [Click(3, 3, positive=True)], 0.9), logits)


def test_a_click_beyond_the_mask_changes_what_is_near_it():
    found = corrected(flat(1), flat(-1), [Click(-2, 80.5, positive=True)], 0.9)
    assert found[80, 0] > 0.9
    assert found[80, 255] < 0


def test_the_arguments_stay_as_they_were():
    one, other = flat(1), flat(-1)
    corrected(one, other, [Click(5, 5, positive=True)], 0.9)
    assert (one == 1).all()
    assert (other == -1).all()


def test_nothing_is_kept_of_an_answer_that_the_model_doubts():
    logits = flat(1)
    assert corrected(logits, flat(-1), [Click(5, 5, positive=True)], kept_share(0.4, has_area=False)) is logits


def test_more_is_kept_of_an_answer_that_it_trusts():
    shares = [kept_share(score, has_area=False) for score in (0, 0.5, 0.6, 0.7, 0.8, 1)]
    assert shares == pytest.approx([0, 0, MOST / 3, MOST * 2 / 3, MOST, MOST])


@pytest.mark.parametrize("score", [0, 0.5, 1])
def test_a_box_or_a_shape_says_how_far_the_object_goes(score):
    assert kept_share(score, has_area=True) == MOST
