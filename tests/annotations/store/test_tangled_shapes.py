"""Areas that it would take minutes to look at are refused before that, others are not."""

import numpy as np
import pytest
import shapely
import shapely.affinity

from annotations.store.examples import draft
from support.self_crossing import comb, crossed, nested, zigzags
from wsisam_server.annotations.store import validation
from wsisam_server.core.errors import Reason, WsiSamServerError
from wsisam_server.core.settings import Limits
from wsisam_server.core.shapes import GeometryRepairer, validity, validity_problem

pytestmark = pytest.mark.slow


def on_the_grid(shape):
    return shapely.transform(shape, lambda at: np.rint(at * 1024) / 1024)


def turned(shape, degrees):
    return shapely.affinity.rotate(shape, degrees, origin=(0, 0))


COMBS = {
    "teeth at 45 degrees": lambda: comb(100_000),
    "at 65 degrees": lambda: turned(comb(100_000), 20),
    "on the grid": lambda: on_the_grid(turned(comb(100_000), 100)),
}


@pytest.mark.parametrize("make", COMBS.values(), ids=COMBS)
def test_slanting_teeth_side_by_side_are_taken_and_crossing_ones_refused(make):
    shape = make()
    assert validity_problem(shape) == ""
    assert validity_problem(crossed(shape)).startswith("Self-intersection[")


def test_a_comb_that_touches_itself_in_the_middle_of_a_tooth_is_seen_where_nothing_is_rounded():
    """No two segments cross there, and only GEOS tells."""
    vertices = shapely.get_coordinates(on_the_grid(comb(100_000)))
    vertices[50_001] = vertices[[50_003, 50_004]].mean(axis=0)
    touching = shapely.Polygon(vertices)
    said = validity_problem(touching)
    assert "Self-intersection[" in said
    x, y = map(float, said.partition("[")[2].rstrip("]").split())
    assert touching.exterior.distance(shapely.Point(x, y)) < 1e-6


def two_combs():
    """Valid, and whichever way one looks at it, the boxes of one of them meet."""
    return shapely.MultiPolygon([comb(50_000), shapely.affinity.translate(turned(comb(50_000), 90), -99, 0)])


@pytest.mark.parametrize(
    "make",
    [two_combs, lambda: nested(20_000), lambda: zigzags(700, 900, 700)],
    ids=["combs", "nested", "zigzags"],
)
def test_an_area_of_which_it_could_not_be_told_for_minutes_whether_it_is_valid_is_refused(make):
    with pytest.raises(WsiSamServerError) as caught:
        validation.drafts([draft(), draft(shape=make())], Limits())
    assert caught.value.reason is Reason.INVALID_SHAPE
    assert any(words in caught.value.details["problem"] for words in ("simplify it", "Self-intersection["))


def rough(count, noise):
    """Valid: each vertex has an angle of its own, and the bounding boxes of the spikes meet by the thousand."""
    turn = np.linspace(0, 2 * np.pi, count, endpoint=False)
    radius = 9000 - noise * np.random.default_rng(0).random(count)
    return np.column_stack([20000 + radius * np.cos(turn), 20000 + radius * np.sin(turn)])


def test_a_rough_border_of_very_many_vertices_is_valid_and_is_taken():
    border = shapely.Polygon(rough(100_000, 250))
    validation.drafts([draft(shape=border)], Limits())
    assert GeometryRepairer().repair(shapely.MultiPolygon([border])).equals_exact(shapely.MultiPolygon([border]), 0)


@pytest.mark.parametrize("wrong", ["exchanged", "scribble"])
def test_what_crosses_itself_is_refused_before_all_of_it_is_looked_at(wrong, monkeypatch):
    vertices = rough(100_000, 2000)
    if wrong == "exchanged":
        # Two that follow each other, where that makes the lines to their neighbours cross.
        crossing = (
            at
            for at in range(1, 1000)
            if shapely.LineString(vertices[[at - 1, at + 1]]).crosses(shapely.LineString(vertices[[at, at + 2]]))
        )
        at = next(crossing)
        vertices[[at, at + 1]] = vertices[[at + 1, at]]
    else:
        vertices = np.cumsum(np.random.default_rng(0).normal(0, 5, (100_000, 2)), axis=0)
    looked = []
    monkeypatch.setattr(validity.shapely, "is_valid_reason", looked.append)
    with pytest.raises(WsiSamServerError) as caught:
        validation.drafts([draft(), draft(shape=shapely.Polygon(vertices))], Limits())
    assert caught.value.reason is Reason.INVALID_SHAPE
    assert caught.value.details["problem"].startswith("Self-intersection[")
    assert looked == []


def test_holes_that_touch_and_large_areas_that_are_wrong_otherwise_are_told_as_geos_does():
    vertices = rough(2_000, 1)
    touching = shapely.Polygon(vertices, [[vertices[0], (15000, 20000), (15000, 21000)]])
    assert validity_problem(touching) == ""
    assert touching.is_valid
    outside = shapely.Polygon(vertices, [[(0, 0), (1, 0), (1, 1)]])
    assert validity_problem(outside) == shapely.is_valid_reason(outside) != ""


def test_a_long_border_and_many_parts_are_no_tangle():
    turn = np.linspace(0, 2 * np.pi, 100_000, endpoint=False)
    radius = 900 + 80 * np.sin(60 * turn)
    lobed = shapely.Polygon(np.column_stack([2000 + radius * np.cos(turn), 2000 + radius * np.sin(turn)]))
    tiles = shapely.MultiPolygon([shapely.box(x, y, x + 1, y + 1) for x in range(0, 400, 2) for y in range(0, 400, 2)])
    assert len(validation.drafts([draft(shape=lobed), draft(shape=tiles)], Limits())) == 2
