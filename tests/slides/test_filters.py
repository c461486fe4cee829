"""The filters give what scipy's give, which a machine that only reads slides does not have."""

import numpy as np
import pytest
from scipy import ndimage

from wsisam_server.slides.background import smoothed
from wsisam_server.slides.filters import reaching_the_edge, window_maxima, window_sums

RANDOM = np.random.default_rng(7)


@pytest.mark.parametrize("side", [1, 2, 3, 4, 5, 8, 31])
@pytest.mark.parametrize("shape", [(23, 17), (1, 40), (5, 5)])
def test_smoothing_is_scipys(side, shape):
    pixels = RANDOM.integers(0, 256, (*shape, 3), np.uint8)
    expected = ndimage.uniform_filter(pixels.astype(np.float64), (side, side, 1), mode="nearest")
    found = smoothed(pixels, side)
    assert found.dtype == np.float32
    assert found.shape == pixels.shape
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-4)


@pytest.mark.parametrize("side", [3, 7])
def test_sums_over_cubes_are_scipys(side):
    counts = RANDOM.integers(0, 1000, (32, 32, 32))
    expected = ndimage.uniform_filter(counts.astype(np.float64), side, mode="constant") * side**3
    np.testing.assert_allclose(window_sums(counts, side, (0, 1, 2), "constant"), expected, atol=1e-3)


def test_maxima_over_cubes_are_scipys():
    counts = RANDOM.integers(0, 9, (12, 15, 9))
    assert (window_maxima(counts, 3) == ndimage.maximum_filter(counts, 3, mode="constant")).all()


@pytest.mark.parametrize("share", [0.0, 0.3, 0.55, 0.65, 0.9, 1.0])
def test_what_reaches_the_edge_is_what_scipy_labels_there(share):
    """About a share of 0.59 the connected paths are longest and most tangled."""
    mask = RANDOM.random((120, 90)) < share
    labels, _ = ndimage.label(mask)
    edges = np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]])
    assert (reaching_the_edge(mask) == (np.isin(labels, edges) & mask)).all()


def test_a_path_that_winds_all_over_is_followed_to_its_end():
    path = np.zeros((61, 61), bool)
    path[::2] = True
    path[1::4, -1] = path[3::4, 0] = True
    closed = np.pad(path, 1)
    assert not reaching_the_edge(closed).any()
    opened = closed.copy()
    opened[-1, 30] = True
    assert (reaching_the_edge(opened) == opened).all()
