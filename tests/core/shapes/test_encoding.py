import pytest
import shapely

from wsisam_server.core.shapes import decode, encode

HOLED = shapely.Polygon([(0, 0), (10, 0), (10, 10), (0, 10)], [[(2, 2), (2, 4.03125), (4, 4)]])


def test_the_form_is_units_then_deltas_without_the_closing_vertex():
    assert encode(shapely.MultiPolygon([HOLED])) == [[[0, 0, 320, 0, 0, 320, -320, 0], [64, 64, 0, 65, 64, -1]]]


def test_rings_and_parts_keep_their_order():
    other = shapely.box(100, 100, 101, 101)
    geometry = shapely.MultiPolygon([HOLED, other, HOLED])
    assert [len(rings) for rings in encode(geometry)] == [2, 1, 2]
    assert decode(encode(geometry)).equals_exact(geometry, tolerance=0)


def test_all_values_are_plain_ints():
    values = [value for rings in encode(shapely.MultiPolygon([HOLED])) for ring in rings for value in ring]
    assert {type(value) for value in values} == {int}


def test_nothing_is_nothing():
    assert encode(shapely.MultiPolygon()) == []
    assert decode([]).is_empty


def test_a_large_slide_is_exact():
    corner = 200_000 - 1 / 32
    geometry = shapely.MultiPolygon([shapely.Polygon([(0, 0), (corner, 1 / 32), (200_000, 200_000)])])
    encoded = encode(geometry)
    assert encoded[0][0][2] == 6_399_999
    assert decode(encoded).equals_exact(geometry, tolerance=0)


def test_the_limit_is_that_of_32_bits():
    last = (2**31 - 1) / 32
    geometry = shapely.MultiPolygon([shapely.Polygon([(0, 0), (last, 0), (last, last)])])
    assert decode(encode(geometry)).equals_exact(geometry, tolerance=0)


@pytest.mark.parametrize(
    "vertices",
    [
        [(0, 0), (2**26, 0), (2**26, 1)],
        [(-(2**26), 0), (0, 0), (0, 1)],
        [(-(2**25) - 1, 0), (2**25, 0), (0, 1)],  # the vertices fit, the step between them does not
    ],
)
def test_beyond_32_bits_is_refused(vertices):
    with pytest.raises(ValueError, match="32 bits"):
        encode(shapely.MultiPolygon([shapely.Polygon(vertices)]))


def test_a_vertex_off_the_grid_is_refused():
    with pytest.raises(ValueError, match="1/32"):
        encode(shapely.MultiPolygon([shapely.Polygon([(0, 0), (1.01, 0), (1, 1)])]))


@pytest.mark.parametrize(
    ("polygons", "message"),
    [
        ([[]], "exterior"),
        ([[[]]], "not 0"),
        ([[[0, 0, 1, 0]]], "not 4"),
        ([[[0, 0, 1, 0, 0, 1, 5]]], "not 7"),
        ([[[0, 0, 1, 0, 0, 1], [0, 0]]], "not 2"),
        ([[[2**31 - 1, 0, 1, 0, 0, 1]]], "32 bits"),
        ([[[0, -(2**31), 1, 0, 0, 1]]], "32 bits"),
    ],
)
def test_malformed_input_is_refused(polygons, message):
    with pytest.raises(ValueError, match=message):
        decode(polygons)
