"""What people drew becomes valid, and means the same; what was made to take hours takes none."""

from itertools import pairwise

import numpy as np
import pytest
import shapely
from hypothesis import example, given, settings
from hypothesis import strategies as st

from support.self_crossing import comb, crossed, nested, zigzags
from wsisam_server.core.shapes import GeometryRepairer, GeometryRepairError
from wsisam_server.core.shapes.self_intersection import RepairCost, count_crossings

BOX = shapely.box
BOWTIE = shapely.Polygon([(0, 0), (10, 10), (10, 0), (0, 10)])


def repaired(*parts):
    return GeometryRepairer().repair(shapely.MultiPolygon(parts))


def united(shape, places):
    """Which places lie in a part: inside its shell and none of its holes, told one segment at a time."""
    inside = np.zeros(len(places), bool)
    for part in shapely.get_parts(shape):
        shell, *holes = (odd(ring, places) for ring in (part.exterior, *part.interiors))
        inside |= shell & ~np.any([np.zeros(len(places), bool), *holes], axis=0)
    return inside


def odd(ring, places):
    """Which places a ring goes round an odd number of times."""
    inside = np.zeros(len(places), bool)
    for (x0, y0), (x1, y1) in pairwise(shapely.get_coordinates(ring)):
        met = (y0 <= places[:, 1]) != (y1 <= places[:, 1])
        inside[met] ^= places[met, 0] < x0 + (places[met, 1] - y0) / (y1 - y0) * (x1 - x0)
    return inside


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(3, 30))
def test_what_crosses_itself_is_what_make_valid_makes_of_it(seed, vertices):
    ring = shapely.Polygon(np.random.default_rng(seed).random((vertices, 2)) * 100)
    found = repaired(ring)
    assert found.is_valid
    expected = shapely.make_valid(ring)
    assert found.area == pytest.approx(expected.area, abs=1e-6)
    assert shapely.symmetric_difference(found, expected).area == pytest.approx(0, abs=1e-6)


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 2**32 - 1), st.lists(st.integers(0, 3), min_size=1, max_size=4))
@example(135259, [0, 0, 0])  # a ring that goes forth and back with a right angle, which GEOS takes for a rectangle
def test_inside_is_what_lies_in_a_shell_and_in_none_of_its_holes(seed, holes_of_parts):
    """Whole numbers, so that vertices lie on borders and borders on each other; make_valid fills what these enclose."""
    rng = np.random.default_rng(seed)

    def ring():
        return rng.integers(0, 12, (rng.integers(3, 9), 2))

    shape = shapely.MultiPolygon([shapely.Polygon(ring(), [ring() for _ in range(n)]) for n in holes_of_parts])
    found = GeometryRepairer().repair(shape)
    assert found.is_valid
    places = rng.random((500, 2)) * 12
    assert (shapely.contains_xy(found, places) == united(shape, places)).all()


SQUARE = BOX(100, 100, 200, 200)


@pytest.mark.parametrize(
    ("parts", "area"),
    [
        ([SQUARE, BOX(150, 150, 250, 250)], 17_500),
        ([SQUARE, SQUARE], 10_000),
        (
            [shapely.Polygon(SQUARE.exterior, [BOX(110, 110, 140, 140).exterior, BOX(130, 130, 160, 160).exterior])],
            8300,
        ),
        # A hole is its own part's: what another part covers is covered.
        ([shapely.Polygon(SQUARE.exterior, [BOX(110, 110, 140, 140).exterior]), BOX(110, 110, 140, 140)], 10_000),
        ([shapely.Polygon(SQUARE.exterior, [BOX(110, 110, 140, 140).exterior]), SQUARE], 10_000),
        # A part in another one's hole stays an island.
        ([shapely.Polygon(SQUARE.exterior, [BOX(110, 110, 150, 150).exterior]), BOX(120, 120, 130, 130)], 8500),
        ([shapely.Polygon(SQUARE.exterior, [BOX(110, 110, 140, 140).exterior] * 2)], 9100),
        # A ring that crosses itself, over another part.
        ([shapely.Polygon([(100, 100), (200, 200), (200, 100), (100, 200)]), SQUARE], 10_000),
        ([SQUARE, BOX(150, 150, 250, 250), BOX(120, 120, 180, 180)], 17_500),
    ],
)
def test_parts_and_holes_that_lie_over_each_other_are_united(parts, area):
    found = repaired(*parts)
    assert found.is_valid
    assert found.area == pytest.approx(area)


@pytest.mark.parametrize(
    ("parts", "area"),
    [
        ([BOWTIE], 50),
        ([BOWTIE, shapely.Polygon()], 50),
        ([BOX(0, 0, 1, 1), BOX(1, 0, 2, 1)], 2),
        ([BOX(0, 0, 2, 2), BOX(1, 1, 3, 3)], 7),
        ([shapely.Polygon(BOX(0, 0, 4, 4).exterior, [BOX(1, 0, 2, 1).exterior])], 15),
        ([shapely.Polygon(BOX(0, 0, 4, 4).exterior, [BOX(6, 6, 7, 7).exterior])], 16),
        ([shapely.Polygon([(0, 0), (0, 0), (4, 0), (4, 4), (9, 4), (4, 4), (0, 4)])], 16),
        ([shapely.Polygon([(0, 0), (9, 9), (18, 18)])], 0),
        ([shapely.Polygon([(5, 5), (5, 5), (5, 5), (5, 5)])], 0),
        ([shapely.Polygon([(5, 5), (5, 5), (5, 5), (5, 5)]), BOWTIE], 50),
    ],
)
def test_shapes_that_were_drawn_carelessly(parts, area):
    found = repaired(*parts)
    assert found.is_valid
    assert found.area == pytest.approx(area)


def test_what_is_valid_stays_as_it_is():
    for shape in (shapely.MultiPolygon([BOX(0, 0, 1, 1)]), shapely.MultiPolygon([shapely.Point(0, 0).buffer(9, 500)])):
        assert GeometryRepairer().repair(shape) is shape
    teeth = shapely.MultiPolygon([comb(60_000)])
    assert GeometryRepairer().repair(teeth) is teeth


def test_a_thousand_crossings_are_repaired():
    found = repaired(zigzags(40, 900, 700))
    assert found.is_valid
    assert len(found.geoms) > 700


@pytest.mark.parametrize("shape", [zigzags(1000, 900, 700), crossed(comb(60_000))], ids=["crossing", "side by side"])
def test_what_would_take_hours_is_counted_and_refused(shape):
    rings = shapely.get_rings(shape)
    cost = RepairCost(limit=1000)
    with pytest.raises(GeometryRepairError):
        count_crossings(rings, cost)
    # A look at the index finds two million pairs at most.
    assert cost.pairs < 1_100_000
    with pytest.raises(GeometryRepairError):
        repaired(shape)


def test_many_rings_in_each_other_are_refused():
    with pytest.raises(GeometryRepairError):
        GeometryRepairer().repair(nested(2000))


@pytest.mark.filterwarnings("ignore:invalid value")
@pytest.mark.parametrize("far", [1e300, float("inf"), float("nan")])
def test_vertices_that_are_nowhere(far):
    with pytest.raises(GeometryRepairError):
        repaired(shapely.Polygon([(0, 0), (far, far), (far, 0), (0, far)]))


def test_many_bad_shapes_take_no_more_than_one_and_leave_something_for_the_others():
    repairer = GeometryRepairer(8000)
    bad, done, refused = shapely.MultiPolygon([zigzags(40, 900, 700)]), 0, 0
    for _ in range(50):
        try:
            repairer.repair(bad)
            done += 1
        except GeometryRepairError:
            refused += 1
    assert done + refused == 50
    assert 2 <= done <= 6
    assert repairer.repair(shapely.MultiPolygon([BOWTIE])).area == 50


def test_what_is_refused_only_when_it_was_begun_counts_as_done():
    """Its rays meet a comb's teeth: each try takes as long as if it were mended, so there are few."""
    teeth = shapely.Polygon([*((x, x % 2 * 1000) for x in range(20_000)), (20_000, -5), (-1, -5)])
    bad = shapely.MultiPolygon([teeth, shapely.transform(zigzags(60, 900, 700), lambda xy: xy - [2000, 0])])
    repairer = GeometryRepairer(8000)
    with pytest.raises(GeometryRepairError):
        repairer.repair(bad)
    assert repairer._left <= 4500


def test_touching_tiles_become_one():
    tiles = [BOX(x, y, x + 10, y + 10) for x in range(0, 300, 10) for y in range(0, 300, 10)]
    found = repaired(*tiles)
    assert found.is_valid
    assert (len(found.geoms), found.area) == (1, 90_000)
