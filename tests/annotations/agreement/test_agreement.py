"""Agreement of two people, on squares whose overlaps are known."""

import pytest
import shapely

from wsisam_server.annotations.agreement import Outlined, match, measure, outlined
from wsisam_server.annotations.store import Content, PathClass


def square(x, y=0.0, size=10.0, name="Tumor"):
    return Outlined(shapely.box(x, y, x + size, y + size), name)


def test_objects_are_paired_from_half_their_union_on():
    first = [square(0), square(100), square(200)]
    second = [square(102), square(0), square(206)]  # IoU 8/12, 1, 4/16
    found = match(first, second)
    assert sorted((i, j) for i, j, _ in found.pairs) == [(0, 1), (1, 0)]
    assert found.only_first == (2,)
    assert found.only_second == (2,)
    assert len(match(first, second, iou=0.2).pairs) == 3


def test_the_best_pair_counts_where_an_object_was_outlined_twice():
    [(i, j, iou)] = match([square(0)], [square(2), square(1)]).pairs
    assert (i, j) == (0, 1)
    assert iou == pytest.approx(9 / 11)


def test_measures_of_objects_outlines_and_classes():
    first = [square(0), square(100, name="Stroma"), square(200), square(300)]
    second = [square(0), square(100), square(202), square(400)]
    measures = measure(first, second, match(first, second))
    assert (measures.objects.first, measures.objects.second, measures.objects.both) == (4, 4, 3)
    assert measures.objects.f1 == pytest.approx(0.75)
    assert measures.objects.dice == pytest.approx((1 + 1 + 0.8) / 3)
    stroma, tumor = measures.classes
    assert (stroma.name, stroma.first, stroma.second, stroma.both, stroma.f1, stroma.dice) == (
        "Stroma",
        1,
        0,
        0,
        0.0,
        None,
    )
    assert (tumor.first, tumor.second, tumor.both) == (3, 4, 2)
    assert measures.confusion == {("Stroma", "Tumor"): 1, ("Tumor", "Tumor"): 2}


def test_kappa_as_in_the_textbook():
    # Cohen's example of grant proposals: 20 yes/yes, 5 yes/no, 10 no/yes, 15 no/no: kappa 0.4.
    given = [("yes", "yes")] * 20 + [("yes", "no")] * 5 + [("no", "yes")] * 10 + [("no", "no")] * 15
    first = [square(20 * i, name=a) for i, (a, _) in enumerate(given)]
    second = [square(20 * i, name=b) for i, (_, b) in enumerate(given)]
    assert measure(first, second, match(first, second)).kappa == pytest.approx(0.4)


def test_what_cannot_be_said_is_none():
    empty = measure([], [], match([], []))
    assert (empty.objects.f1, empty.objects.dice, empty.kappa, empty.classes) == (None, None, None, ())
    same = measure([square(0)], [square(0)], match([square(0)], [square(0)]))
    assert same.kappa is None, "one class alone says nothing about telling classes apart"
    assert measure([square(0)], [], match([square(0)], [])).objects.f1 == 0


def test_only_areas_count_and_bow_ties_are_areas():
    shapes = [
        shapely.Point(0, 0),
        shapely.LineString([(0, 0), (1, 1)]),
        shapely.Polygon([(0, 0), (4, 4), (4, 0), (0, 4)]),
    ]
    [one] = outlined(Content("s", shape, PathClass("Tumor")) for shape in shapes)
    assert one.shape.is_valid
    assert one.shape.area == pytest.approx(8)
    assert one.path_class == "Tumor"
