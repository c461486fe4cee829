"""Objects as label images."""

import numpy as np
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from support.drawn import drawn, square
from wsisam_server.core.geometry import Window
from wsisam_server.learning.dataset_export.labels import GRAZING, layers
from wsisam_server.learning.dataset_export.placing import Placed


def placed(*objects, x=0.0, y=0.0, downsample=1.0, size=128, width=None, height=None):
    return Placed(Window(x, y, downsample, size), width or size, height or size, objects)


def test_a_pixel_belongs_to_the_object_that_its_middle_lies_in():
    ring = shapely.box(10.4, 20, 30.6, 50) - shapely.box(15, 30, 20, 40)
    ((layer,), empty) = layers(placed(drawn(ring)))
    expected = np.zeros((128, 128), bool)
    expected[20:50, 10:31] = True  # 10.4 < 10.5, and 30.5 < 30.6
    expected[30:40, 15:20] = False
    assert not empty
    assert layer.labels.dtype == np.uint16
    assert np.array_equal(layer.labels == 1, expected)


def test_coordinates_follow_the_window():
    ((layer,), _) = layers(placed(square(1000, 2040, 40), x=960, y=2000, downsample=4.0))
    rows, columns = np.nonzero(layer.labels)
    assert (columns.min(), columns.max(), rows.min(), rows.max()) == (10, 19, 10, 19)


def test_overlapping_objects_stay_whole_on_label_images_of_their_own():
    gland, nucleus, neighbour = square(10, 10, 80, 1), square(30, 30, 10, 2), square(95, 10, 20, 3)
    (first, second), _ = layers(placed(gland, nucleus, neighbour))
    assert first.objects == (gland, neighbour)
    assert (np.count_nonzero(first.labels == 1), np.count_nonzero(first.labels == 2)) == (6400, 400)
    assert second.objects == (nucleus,)
    assert np.count_nonzero(second.labels) == 100


def test_objects_that_graze_share_a_label_image():
    large, small = square(10, 10, 60, 1), square(69, 10, 55, 2)
    ((layer,), _) = layers(placed(large, small))
    assert np.count_nonzero(layer.labels == 2) == 55 * 55
    assert np.count_nonzero(layer.labels == 1) == 60 * 60 - 55


def test_what_covers_no_pixel_is_named():
    speck, real = square(10.6, 10.6, 0.3), square(20, 20, 10)
    ((layer,), empty) = layers(placed(speck, real))
    assert empty == [speck]
    assert layer.objects == (real,)


@given(
    st.lists(
        st.tuples(st.integers(0, 100), st.integers(0, 100), st.integers(3, 60)), min_size=1, max_size=12, unique=True
    )
)
@settings(max_examples=60)
def test_nothing_loses_more_than_grazing_takes(squares):
    objects = [square(x, y, side, number) for number, (x, y, side) in enumerate(squares)]
    drawn_layers, empty = layers(placed(*objects, size=160))
    assert not empty
    found = {one.id: int((layer.labels == n).sum()) for layer in drawn_layers for n, one in enumerate(layer.objects, 1)}
    assert found.keys() == {one.id for one in objects}
    for one in objects:
        # Each neighbour may take two hundredths of itself, and it is the smaller one.
        assert found[one.id] >= one.shape.area * (1 - GRAZING * (len(objects) - 1)) - 1
