"""Batches that are bounded by count and by weight."""

import pytest

from wsisam_server.core.batches import batched


@pytest.mark.parametrize(
    ("weights", "batches"),
    [
        ([], []),
        ([1], [[1]]),
        ([1, 1, 1, 1], [[1, 1, 1], [1]]),
        ([4, 6, 1], [[4, 6], [1]]),
        ([4, 7], [[4], [7]]),
        ([50, 1], [[50], [1]]),
        ([1, 50, 1], [[1], [50], [1]]),
        ([0, 0, 0, 10], [[0, 0, 0], [10]]),
    ],
)
def test_none_is_over_a_bound_unless_one_item_is(weights, batches):
    assert list(batched(iter(weights), lambda weight: weight, max_count=3, max_weight=10)) == batches
