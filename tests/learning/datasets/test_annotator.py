"""Clicks on shapes whose middle is known."""

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from wsisam_server.learning.datasets import crude_outline, first_click, jittered_box, next_click


def grid(height=60, width=80):
    return np.mgrid[0:height, 0:width]


def disk(x, y, radius, height=60, width=80):
    rows, columns = grid(height, width)
    return (columns - x) ** 2 + (rows - y) ** 2 <= radius**2


def test_a_disk_is_clicked_in_the_middle_of_its_middle_pixel():
    assert first_click(disk(40, 25, 12)) == (40.5, 25.5)


def test_a_single_pixel():
    mask = np.zeros((5, 7), bool)
    mask[3, 6] = True
    assert first_click(mask) == (6.5, 3.5)


def test_of_equal_pixels_the_uppermost_then_the_leftmost():
    mask = np.zeros((20, 20), bool)
    mask[2:6, 10:14] = mask[12:16, 1:5] = True
    assert first_click(mask) == (11.5, 3.5)


def test_the_border_of_the_image_is_an_edge():
    mask = np.zeros((11, 30), bool)
    mask[:, :9] = True
    assert first_click(mask) == (4.5, 4.5)


def test_a_ring_is_clicked_on_the_ring():
    ring = disk(40, 30, 25) & ~disk(40, 30, 15)
    x, y = first_click(ring)
    assert 19 <= np.hypot(x - 40.5, y - 30.5) <= 21


def test_the_thickest_part_counts():
    dumbbell = disk(15, 30, 8) | disk(60, 30, 12)
    dumbbell[29:32, 15:60] = True
    assert first_click(dumbbell) == (60.5, 30.5)


def test_an_empty_mask():
    with pytest.raises(ValueError, match="empty"):
        first_click(np.zeros((3, 3), bool))


def test_a_missing_part_gets_a_positive_click_in_its_middle():
    mask = np.zeros((40, 60), bool)
    mask[10:31, 10:51] = True
    prediction = mask.copy()
    prediction[10:31, 30:51] = False
    assert next_click(mask, prediction) == (40.5, 20.5, True)


def test_a_surplus_part_gets_a_negative_click_in_its_middle():
    mask = disk(20, 20, 10)
    assert next_click(mask, mask | disk(60, 40, 8)) == (60.5, 40.5, False)


def test_the_largest_error_counts_not_the_deepest():
    mask = disk(20, 20, 10)
    strip = np.zeros_like(mask)
    strip[50:53, 0:80] = True
    square = np.zeros_like(mask)
    square[10:20, 60:70] = True
    click = next_click(mask, mask | strip | square)
    assert (click.y, click.positive) == (51.5, False)


def test_missing_and_surplus_pixels_that_touch_are_two_errors():
    mask = np.zeros((20, 40), bool)
    mask[5:16, 5:16] = True
    prediction = np.zeros_like(mask)
    prediction[5:16, 16:24] = True
    assert next_click(mask, prediction) == (10.5, 10.5, True)


def test_of_equal_errors_the_missing_one_counts():
    mask, prediction = np.zeros((10, 30), bool), np.zeros((10, 30), bool)
    mask[2:7, 20:25] = prediction[2:7, 2:7] = True
    assert next_click(mask, prediction) == (22.5, 4.5, True)


def test_nothing_to_correct():
    mask = disk(20, 20, 10)
    assert next_click(mask, mask.copy()) is None


@settings(deadline=None, max_examples=60)
@given(arrays(bool, (9, 12)), arrays(bool, (9, 12)), st.integers(0, 5), st.integers(0, 5))
def test_a_click_lies_in_an_error_and_moves_with_the_masks(mask, prediction, right, down):
    click = next_click(mask, prediction)
    if click is None:
        assert (mask == prediction).all()
        return
    row, column = int(click.y), int(click.x)
    assert mask[row, column] == click.positive
    assert prediction[row, column] != click.positive
    moved = [np.pad(each, ((down, 3), (right, 2))) for each in (mask, prediction)]
    assert next_click(*moved) == (click.x + right, click.y + down, click.positive)


def test_a_jittered_box_is_near_the_box_and_on_the_image():
    random = np.random.default_rng(0)
    boxes = np.array([jittered_box((0, 10, 40, 30), (50, 35), random) for _ in range(300)])
    assert (boxes >= (0, 8, 36, 28)).all()
    assert (boxes <= (4, 12, 44, 32)).all()
    assert boxes.std(axis=0).min() > 0.5
    assert jittered_box((0, 10, 40, 30), (42, 31), np.random.default_rng(1), share=0.4)[2] <= 42


def test_the_same_chance_gives_the_same_box():
    first, second = (jittered_box((5, 5, 20, 20), (30, 30), np.random.default_rng(3)) for _ in range(2))
    assert first == second


def test_a_crude_outline_is_an_ellipse_of_the_objects_size_off_its_place():
    random = np.random.default_rng(3)
    for _ in range(20):
        crude = crude_outline((100, 50, 180, 90), (400, 300), random)
        assert shapely.get_num_coordinates(crude) == 13
        assert crude.is_valid
        assert crude.bounds[2] - crude.bounds[0] == pytest.approx(80)
        across, down = (crude.centroid.x - 140) / 80, (crude.centroid.y - 70) / 40
        assert np.hypot(across, down) == pytest.approx(0.1)


def test_it_is_clipped_to_the_image_and_the_same_seed_gives_the_same():
    first, again = (crude_outline((0, 0, 50, 50), (50, 50), np.random.default_rng(1)) for _ in range(2))
    assert first == again
    assert first.bounds[0] >= 0
    assert first.bounds[3] <= 50
