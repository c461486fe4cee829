"""The two steps that could lose validity, each driven into its careful path."""

import numpy as np
import pytest
import shapely

from wsisam_server.core.geometry import SlideSize, Window
from wsisam_server.core.shapes.polygons import polygonal, simplify, snap_into
from wsisam_server.segmentation.outlines.contour import zero_contour

SLIDE = SlideSize(10_000, 8_000)
# A part in the mouth of a notch: simplifying the notch away alone would cover the part.
NOTCH = shapely.MultiPolygon(
    [
        shapely.Polygon([(0, 0), (100, 0), (100, 100), (55, 100), (50, 96), (45, 100), (0, 100)]),
        shapely.Polygon([(49, 98), (51, 98), (50, 100)]),
    ]
)
BOWTIE = shapely.MultiPolygon([shapely.Polygon([(0, 0), (10, 10), (10, 0), (0, 10)])])


def count_rings(geometry):
    return len(shapely.get_rings(shapely.get_parts(geometry)))


def test_rings_that_would_cross_are_simplified_together():
    result = simplify(NOTCH, 5)
    assert shapely.is_valid(result)
    assert len(result.geoms) == 2


def test_noise_keeps_all_its_rings():
    logits = np.random.default_rng(0).normal(size=(64, 64)).astype(np.float32)
    contour = zero_contour(logits, Window(0, 0, 4, 1024))
    result = simplify(contour, 16)
    assert shapely.is_valid(result)
    assert count_rings(result) == count_rings(contour) > 150
    assert shapely.get_num_coordinates(result) < shapely.get_num_coordinates(contour)


def test_a_ring_that_touches_itself_becomes_valid():
    result = simplify(BOWTIE, 0)
    assert shapely.is_valid(result)
    assert result.area == 50


def test_without_a_valid_simplification_the_full_outline_stays(monkeypatch):
    careful = shapely.simplify

    def jumping(geometry, tolerance, *, preserve_topology):
        return BOWTIE if preserve_topology else careful(geometry, tolerance, preserve_topology=False)

    monkeypatch.setattr(shapely, "simplify", jumping)
    assert simplify(NOTCH, 5).equals_exact(NOTCH, tolerance=0)


def test_rounding_that_would_cross_rings_is_repaired():
    # The tooth's tip is just inside; rounded by itself it would cross the long edge.
    tooth = shapely.Polygon([(0, 0), (100, 0.031), (100, 10), (50.01, 0.0157), (0, 10)])
    assert shapely.is_valid(tooth)
    result = snap_into(SLIDE, shapely.MultiPolygon([tooth]))
    assert shapely.is_valid(result)
    assert result.area == pytest.approx(tooth.area, rel=0.01)


def test_parts_below_the_grid_vanish():
    speck = shapely.box(5.001, 5.001, 5.003, 5.003)
    assert snap_into(SLIDE, shapely.MultiPolygon([speck])).is_empty
    assert len(snap_into(SLIDE, shapely.MultiPolygon([speck, shapely.box(1, 1, 2, 2)])).geoms) == 1


def test_what_only_touches_the_slides_border_vanishes():
    outside = shapely.MultiPolygon([shapely.box(-5, 0, 0, 5), shapely.box(9_990, 10, 10_010, 20)])
    assert snap_into(SLIDE, outside).equals(shapely.box(9_990, 10, 10_000, 20))


def test_lines_and_points_are_no_parts():
    mixed = shapely.from_wkt("GEOMETRYCOLLECTION (POINT (1 1), LINESTRING (0 0, 1 1), POLYGON ((0 0, 1 0, 0 1, 0 0)))")
    nested = shapely.GeometryCollection([NOTCH, shapely.Point(1, 1), shapely.Polygon()])
    assert len(polygonal(mixed).geoms) == 1
    assert len(polygonal(nested).geoms) == 2
    assert polygonal(shapely.Point(1, 1)).is_empty
