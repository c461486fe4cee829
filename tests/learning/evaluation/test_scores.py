"""Counting: Dice, IoU and the interval of a mean."""

import numpy as np
import pytest

from wsisam_server.learning.evaluation import dice, iou
from wsisam_server.learning.evaluation.scores import interval


def mask(*ones):
    values = np.zeros(10, bool)
    values[list(ones)] = True
    return values.reshape(2, 5)


@pytest.mark.parametrize(
    ("truth", "answer", "expected_dice", "expected_iou"),
    [
        (mask(1, 2, 3), mask(1, 2, 3), 1.0, 1.0),
        (mask(1, 2, 3), mask(), 0.0, 0.0),
        (mask(), mask(1), 0.0, 0.0),
        (mask(), mask(), 1.0, 1.0),
        (mask(1, 2, 3, 4), mask(3, 4, 5, 6), 0.5, 1 / 3),
        (mask(1, 2), mask(1, 2, 3, 4), 2 / 3, 0.5),
    ],
)
def test_overlap(truth, answer, expected_dice, expected_iou):
    assert dice(truth, answer) == pytest.approx(expected_dice)
    assert iou(truth, answer) == pytest.approx(expected_iou)


def test_the_interval_holds_the_mean_and_shrinks_as_the_root_of_the_count():
    values = np.random.default_rng(0).normal(0.7, 0.1, 1600)
    wide, narrow = interval(values[:100], 0), interval(values, 0)
    assert wide[0] < values[:100].mean() < wide[1]
    assert (wide[1] - wide[0]) / (narrow[1] - narrow[0]) == pytest.approx(4, rel=0.2)
    assert narrow[1] - narrow[0] == pytest.approx(2 * 1.96 * 0.1 / 40, rel=0.1)


def test_it_covers_the_truth_about_as_often_as_it_says():
    random = np.random.default_rng(1)
    hits = 0
    for trial in range(100):
        low, high = interval(random.uniform(0, 1, 40), trial)
        hits += low <= 0.5 <= high
    assert 88 <= hits <= 99


def test_equal_values_and_a_single_one():
    assert interval([0.5, 0.5, 0.5], 0) == (0.5, 0.5)
    assert interval([0.25], 3) == (0.25, 0.25)


def test_the_seed_decides():
    values = np.random.default_rng(0).uniform(size=30)
    assert interval(values, 5) == interval(values, 5) != interval(values, 6)
