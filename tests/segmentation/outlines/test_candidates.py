"""Which candidates are answered, and which is chosen."""

import numpy as np
import pytest
import shapely

from wsisam_server.core.geometry import Window
from wsisam_server.segmentation.outlines import inner_point, selected, shape_mask
from wsisam_server.segmentation.outlines.candidates import best
from wsisam_server.segmentation.outlines.shape_mask import SHARE


def square(side, at=0):
    mask = np.zeros((64, 64), bool)
    mask[at : at + side, at : at + side] = True
    return mask


MASKS = {0: square(20), 1: square(10), 2: square(40), 3: square(60)}
SCORES = {0: 0.8, 1: 0.9, 2: 0.7, 3: 0.6}


def test_the_own_answer_is_chosen_where_scores_were_not_trained_to_rank():
    assert best(SCORES, ranked=False) == 0
    assert best(SCORES, ranked=True) == 1


def test_of_equal_scores_the_own_answer():
    assert best({0: 0.5, 1: 0.5}, ranked=True) == 0


def test_all_different_ones_are_answered():
    shown, chosen = selected(MASKS, SCORES, 4, ranked=False)
    assert (set(shown), chosen) == ({0, 1, 2, 3}, 0)


def test_one_that_nearly_equals_a_better_one_is_left_out():
    close = square(40)
    close[0, :3] = False
    shown, _ = selected({**MASKS, 3: close}, SCORES, 4, ranked=False)
    assert set(shown) == {0, 1, 2}


def test_the_own_answer_stays_in_place_of_a_better_one_that_nearly_equals_it():
    shown, chosen = selected({**MASKS, 1: MASKS[0]}, SCORES, 4, ranked=True)
    assert (set(shown), chosen) == ({0, 2, 3}, 0)


def test_the_threshold_is_an_iou():
    eighty, ninety = square(60), square(60)
    eighty[:12], ninety[:6] = False, False
    assert set(selected({0: square(60), 1: eighty}, SCORES, 4, ranked=False)[0]) == {0, 1}
    assert set(selected({0: square(60), 1: ninety}, SCORES, 4, ranked=False)[0]) == {0}


def test_empty_ones_are_left_out_but_for_the_own_answer():
    empty = np.zeros((64, 64), bool)
    assert set(selected({**MASKS, 2: empty}, SCORES, 4, ranked=False)[0]) == {0, 1, 3}
    assert set(selected({**MASKS, 0: empty}, SCORES, 4, ranked=False)[0]) == {0, 1, 2, 3}


@pytest.mark.parametrize(("most", "shown"), [(1, [0]), (2, [0, 1]), (3, [0, 1, 2])])
def test_the_best_are_answered_where_fewer_are_wanted(most, shown):
    assert selected(MASKS, SCORES, most, ranked=False) == (shown, 0)


def test_the_chosen_one_and_the_own_answer_are_among_fewer():
    assert selected(MASKS, SCORES, 2, ranked=True) == ([1, 0], 1)


@pytest.mark.parametrize("most", [1, 2, 4])
def test_the_one_that_is_meant_is_chosen_whatever_its_score_and_however_like_another(most):
    shown, chosen = selected({**MASKS, 3: MASKS[0]}, SCORES, most, ranked=True, meant=3)
    assert chosen == 3
    assert 3 in shown
    assert len(shown) <= most


WINDOW = Window(100, 200, 0.5, 256)


def test_a_shape_as_a_mask_covers_it_with_holes_and_parts():
    ring = shapely.box(110, 210, 170, 250).difference(shapely.box(130, 220, 150, 240))
    logits = shape_mask(shapely.MultiPolygon([ring, shapely.box(136, 226, 144, 234)]), WINDOW)
    rows, columns = np.indices((256, 256))
    x, y = 100 + (columns + 0.5) / 2, 200 + (rows + 0.5) / 2
    inside = shapely.contains_xy(ring, x, y) | shapely.contains_xy(shapely.box(136, 226, 144, 234), x, y)
    assert ((logits > 0) == inside).mean() > 0.97
    assert (logits.shape, logits.dtype) == ((256, 256), np.float32)
    assert 0 < logits.max() <= -logits.min() == 6


def test_a_shape_is_cut_off_at_the_window():
    logits = shape_mask(shapely.MultiPolygon([shapely.box(-1e6, 210, 1e6, 220)]), WINDOW)
    assert (logits[26:34] > 0).all()
    assert (logits[80:] < 0).all()


def test_the_mask_prompt_is_the_answer_to_the_shapes_box_moved_towards_the_shape():
    area = shapely.MultiPolygon([shapely.box(110, 210, 170, 250)])
    boxed = np.full((256, 256), 8.0, np.float32)
    assert np.allclose(shape_mask(area, WINDOW, boxed), SHARE * shape_mask(area, WINDOW) + (1 - SHARE) * 8)


@pytest.mark.parametrize(
    ("shape", "at"),
    [
        (shapely.box(110, 210, 170, 250), None),
        (shapely.box(110, 210, 190, 290).difference(shapely.box(116, 216, 190, 290)), None),
        (shapely.box(120.1, 220.1, 120.2, 220.2), (120.15, 220.15)),
    ],
)
def test_the_point_of_a_shape_lies_deep_in_it(shape, at):
    point = inner_point(shapely.MultiPolygon([shape]), WINDOW)
    place = shapely.Point(point.position.x, point.position.y)
    assert point.positive
    assert shape.contains(place)
    if at is None:
        assert place.distance(shape.exterior) > 2
    else:
        assert (place.x, place.y) == pytest.approx(at)
