"""Copies that went through QuPath are the same; edits are not."""

import numpy as np
import pytest
import shapely
from hypothesis import assume, given
from hypothesis import strategies as st

from annotations.sync.model import drawing
from wsisam_server.annotations.store import PathClass
from wsisam_server.annotations.sync.likeness import alike, differences, same_class, same_shape
from wsisam_server.annotations.sync.model import Kind

HOLED = shapely.Polygon(
    [(10, 10), (90, 10), (90, 90), (10, 90)], [[(20, 20), (20, 40), (40, 40)], [(60, 60), (60, 70), (70, 70)]]
)


def rounded(shape):
    """As QuPath keeps a polygon without holes."""
    return shapely.transform(shape, lambda xy: np.round(xy * 100) / 100).normalize(), shapely.transform(
        shape, lambda xy: (np.round(xy * 100) / 100).astype(np.float32).astype(np.float64)
    )


@st.composite
def blobs(draw):
    x, y = draw(st.floats(0, 3e5)), draw(st.floats(0, 3e5))
    radius, sides = draw(st.floats(3, 3000)), draw(st.integers(2, 40))
    blob = shapely.Point(x, y).buffer(radius, quad_segs=sides)
    if draw(st.booleans()):
        blob = blob.difference(shapely.Point(x, y).buffer(radius / 3, quad_segs=sides))
    if draw(st.booleans()):
        blob = blob.union(shapely.Point(x + 3 * radius, y).buffer(radius / 2))
    return shapely.transform(blob, lambda xy: np.rint(xy * 32) / 32)


def turned(shape, start, *, flip):
    """The same area, its rings begun elsewhere and run the other way round, its parts in another order."""

    def ring(coordinates):
        coordinates = list(coordinates.coords)[:-1]
        cut = start % len(coordinates)
        coordinates = coordinates[cut:] + coordinates[:cut]
        return coordinates[::-1] if flip else coordinates

    parts = list(shapely.get_parts(shape))[::-1]
    made = [shapely.Polygon(ring(part.exterior), [ring(hole) for hole in part.interiors][::-1]) for part in parts]
    return made[0] if len(made) == 1 else shapely.MultiPolygon(made)


@given(blobs().filter(lambda shape: shape.is_valid and shape.area > 5), st.integers(0, 500), st.booleans())
def test_a_rounded_and_turned_copy_is_the_same(shape, start, flip):
    for copy in rounded(shape):
        assert same_shape(shape, turned(copy, start, flip=flip))
        assert same_shape(turned(copy, start, flip=flip), shape)


@given(st.lists(blobs().filter(lambda shape: shape.is_valid and shape.area > 5), max_size=4), st.booleans())
def test_many_are_told_as_each_is_and_in_doubt_differ(shapes, moved):
    step = 0.5 if moved else 0.0
    copies = [shapely.transform(rounded(shape)[1], lambda xy: xy + step) for shape in shapes]
    first, second = [drawing(shape=shape) for shape in shapes], [drawing(shape=copy) for copy in copies]
    assert alike(first, second) == [not differences(*pair) for pair in zip(first, second, strict=True)]
    renamed = [drawing(shape=copy, name="another") for copy in copies]
    turned_about = [drawing(shape=turned(copy, 3, flip=True)) for copy in copies]
    assert not any(alike(first, renamed))
    assert not any(alike(first, turned_about)), "that takes longer to tell"


@given(blobs().filter(lambda shape: shape.is_valid and shape.area > 50), st.data())
def test_a_border_that_was_moved_is_not_the_same(shape, data):
    coordinates = shapely.get_coordinates(shape)
    number = data.draw(st.integers(0, len(coordinates) - 1))
    vertices = coordinates.copy()
    vertices[(coordinates == coordinates[number]).all(axis=1)] += 0.5
    moved = shapely.set_coordinates(shapely.Polygon(shape) if shape.geom_type == "Polygon" else shape, vertices)
    # A vertex that was moved along its border is no edit.
    assume(shapely.hausdorff_distance(shape, moved) > 0.1)
    assert not same_shape(shape, moved)


def test_vertices_on_a_straight_line_do_not_count():
    plain = shapely.box(0, 0, 100, 100)
    dense = plain.segmentize(7)
    assert same_shape(plain, dense)
    assert same_shape(dense, plain)


def test_a_hole_that_was_filled_is_seen():
    assert not same_shape(HOLED, shapely.Polygon(HOLED.exterior))
    assert not same_shape(HOLED, shapely.Polygon(HOLED.exterior, HOLED.interiors[:1]))


def test_a_gap_that_was_closed_is_seen():
    gap = shapely.Polygon([(0, 0), (9, 0), (9, 9), (5, 9), (5, 1), (4, 1), (4, 9), (0, 9)])
    assert not same_shape(gap, shapely.box(0, 0, 9, 9))


@pytest.mark.parametrize(
    ("first", "second", "same"),
    [
        (shapely.Point(1, 2), shapely.Point(1.004, 2.004), True),
        (shapely.Point(1, 2), shapely.Point(1.1, 2), False),
        (shapely.MultiPoint([(1, 2), (3, 4)]), shapely.MultiPoint([(3, 4), (1, 2)]), True),
        (shapely.MultiPoint([(1, 2), (3, 4)]), shapely.MultiPoint([(3, 4)]), False),
        (shapely.MultiPoint([(1, 2), (3, 4), (5, 1)]), shapely.MultiPoint([(1, 2), (5, 1)]), False),
        (shapely.LineString([(0, 0), (5, 5), (9, 0)]), shapely.LineString([(9, 0), (5, 5), (0, 0)]), True),
        (shapely.LineString([(0, 0), (5, 5), (9, 0)]), shapely.LineString([(0, 0), (9, 0)]), False),
        (shapely.LineString([(0, 0), (9, 0)]), shapely.LineString([(0, 0), (9, 0), (0, 0)]), False),
        (shapely.LineString([(0, 0), (9, 0), (9, 9), (0, 9), (0, 0)]), shapely.box(0, 0, 9, 9), False),
        (shapely.MultiPolygon([shapely.box(0, 0, 9, 9)]), shapely.box(0, 0, 9, 9), True),
    ],
)
def test_points_and_lines(first, second, same):
    assert same_shape(first, second) is same
    assert same_shape(second, first) is same


def test_large_coordinates_are_compared_as_32_bit_floats_keep_them():
    far = shapely.box(600_000.03, 600_000.03, 600_100.46, 600_100.46)
    kept = shapely.transform(far, lambda xy: xy.astype(np.float32).astype(np.float64))
    assert not shapely.equals_exact(far, kept, 0.01)
    assert same_shape(far, kept)
    assert not same_shape(far, shapely.box(600_000, 600_000, 600_100.6, 600_100.5))


def test_ten_thousand_vertices_with_another_start_take_no_time():
    angles = np.linspace(0, 2 * np.pi, 50_000, endpoint=False)
    outline = shapely.Polygon(
        np.c_[5e4 + 2e4 * np.cos(angles) + 300 * np.cos(900 * angles), 5e4 + 2e4 * np.sin(angles)]
    )
    _, kept = rounded(outline)
    assert same_shape(outline, turned(kept, 777, flip=True))


@pytest.mark.parametrize(
    ("first", "second", "same"),
    [
        ("Tumor", "Tumor", True),
        ("Tumor: Positive", "Tumor:Positive", True),
        (" Tumor ", "Tumor", True),
        ("Tumor", "tumor", False),
        ("Tumor", None, False),
        (None, None, True),
    ],
)
def test_classes_are_compared_as_qupath_reads_them(first, second, same):
    def path_class(name):
        return None if name is None else PathClass(name, 0)

    assert same_class(path_class(first), path_class(second)) is same


def test_colours_and_the_noise_of_measurements_do_not_count():
    first = drawing(measurements={"Area": 1234.5678})
    second = drawing(path_class=PathClass("Tumor", 0x00FF00), measurements={"Area": float(np.float32(1234.5678))})
    assert differences(first, second) == frozenset()
    assert first.digest != second.digest


def test_everything_that_differs_is_named():
    assert differences(
        drawing(),
        drawing(
            shape=HOLED, path_class=None, rgb=1, name="a", locked=True, measurements={"a": 1.0}, metadata={"a": "b"}
        ),
    ) == frozenset(Kind)
