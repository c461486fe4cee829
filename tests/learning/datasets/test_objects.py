"""Objects are found where they are."""

import numpy as np

from wsisam_server.learning.datasets import ObjectMask, crop, objects


def test_boxes_and_areas():
    labels = np.zeros((20, 30), np.int32)
    labels[2:6, 3:8] = 4
    labels[10:20, 20:30] = 2
    labels[12:14, 22:24] = 0
    assert objects(labels) == [ObjectMask(2, (20, 10, 30, 20), 96), ObjectMask(4, (3, 2, 8, 6), 20)]


def test_small_ones_are_left_out():
    labels = np.zeros((20, 20), np.int32)
    labels[0:3, 0:5] = 1
    labels[5:9, 5:9] = 2
    assert [item.label for item in objects(labels)] == [2]
    assert [item.label for item in objects(labels, min_pixels=15)] == [1, 2]


def test_a_value_in_two_places_is_one_object():
    labels = np.zeros((20, 20), np.int32)
    labels[0:4, 0:4] = labels[16:20, 16:20] = 3
    assert objects(labels) == [ObjectMask(3, (0, 0, 20, 20), 32)]


def test_the_crop_holds_the_object_alone():
    labels = np.zeros((10, 10), np.int32)
    labels[2:8, 2:8] = 1
    labels[4:6, 4:6] = 2
    mask = crop(labels, ObjectMask(1, (2, 2, 8, 8), 32))
    assert mask.shape == (6, 6)
    assert mask.sum() == 32
    assert not mask[2:4, 2:4].any()


def test_no_objects():
    assert objects(np.zeros((5, 5), np.int32)) == []
