import json

import numpy as np
import pytest
import shapely
from shapely.geometry import shape

from wsisam_server.core.geometry import SlideSize, Window
from wsisam_server.core.shapes import collection, feature
from wsisam_server.segmentation.outlines import outline

UUID = "5fd1d0a6-40ea-4a2e-a8a5-2c2bb4cd9a4d"
SQUARE = shapely.box(1, 2, 3.03125, 4)
HOLED = shapely.Polygon([(10, 10), (20, 10), (20, 20), (10, 20)], [[(12, 12), (12, 14), (14, 14)]])


def test_everything_an_annotation_can_have():
    written = feature(
        shapely.MultiPolygon([SQUARE]),
        id=UUID,
        name="gland 1",
        classification="Gland",
        color=(200, 0, 10),
        measurements={"Area": 4, "Score": 0.25},
        metadata={"author": "cd"},
        locked=True,
    )
    assert json.loads(json.dumps(written)) == {
        "type": "Feature",
        "id": UUID,
        "geometry": {
            "type": "Polygon",
            "coordinates": [[[3.03125, 2], [3.03125, 4], [1, 4], [1, 2], [3.03125, 2]]],
        },
        "properties": {
            "objectType": "annotation",
            "isLocked": True,
            "name": "gland 1",
            "classification": {"name": "Gland", "color": [200, 0, 10]},
            "measurements": {"Area": 4.0, "Score": 0.25},
            "metadata": {"author": "cd"},
        },
    }


def test_what_is_absent_is_left_out():
    assert feature(SQUARE, id=UUID)["properties"] == {"objectType": "annotation"}
    assert feature(SQUARE, id=UUID, measurements={}, metadata={})["properties"] == {"objectType": "annotation"}


def test_several_parts_are_a_multipolygon_that_reads_back():
    geometry = shapely.MultiPolygon([SQUARE, HOLED])
    written = json.loads(json.dumps(feature(geometry, id=UUID)))["geometry"]
    assert written["type"] == "MultiPolygon"
    assert shape(written).equals_exact(geometry, tolerance=0)


def test_one_part_is_a_polygon_that_reads_back_with_its_holes():
    for geometry in (HOLED, shapely.MultiPolygon([HOLED])):
        written = json.loads(json.dumps(feature(geometry, id=UUID)))["geometry"]
        assert written["type"] == "Polygon"
        assert shape(written).equals_exact(HOLED, tolerance=0)


def test_an_outline_reads_back_exactly():
    logits = np.random.default_rng(1).normal(size=(24, 24)).astype(np.float32)
    geometry = outline(logits, Window(150_000.3, 90_000.7, 0.7, 1024), SlideSize(200_000, 200_000)).geometry
    text = json.dumps(collection([feature(geometry, id=UUID)]))
    (read,) = json.loads(text)["features"]
    assert shape(read["geometry"]).equals_exact(geometry, tolerance=0)


def test_numbers_are_written_exactly_and_whole_ones_as_qupath_does():
    drawn = shapely.Polygon([(0.1 + 0.2, 0), (26_373.67, 0), (5.0, 1 / 32)])
    text = json.dumps(feature(drawn, id=UUID)["geometry"]["coordinates"])
    assert text == ("[[[0.30000000000000004, 0], [26373.67, 0], [5, 0.03125], [0.30000000000000004, 0]]]")


@pytest.mark.parametrize(
    "geometry",
    [
        shapely.Point(1.5, 2),
        shapely.MultiPoint([(1, 2), (3, 4)]),
        shapely.LineString([(1, 2), (3.25, 4)]),
        shapely.MultiLineString([[(1, 2), (3, 4)], [(5, 6), (7, 8)]]),
    ],
    ids=lambda geometry: geometry.geom_type,
)
def test_points_and_lines_read_back(geometry):
    written = json.loads(json.dumps(feature(geometry, id=UUID)))["geometry"]
    assert written["type"] == geometry.geom_type
    assert shape(written).equals_exact(geometry, tolerance=0)


def test_a_class_without_a_colour_is_a_text():
    assert feature(SQUARE, id=UUID, classification="Gland")["properties"]["classification"] == "Gland"


def test_a_colour_of_its_own():
    assert feature(SQUARE, id=UUID, own_color=(1, 2, 3))["properties"]["color"] == [1, 2, 3]


def test_a_collection_holds_its_features():
    features = [feature(SQUARE, id=UUID), feature(HOLED, id=UUID)]
    assert collection(iter(features)) == {"type": "FeatureCollection", "features": features}
    assert collection([]) == {"type": "FeatureCollection", "features": []}


def test_the_keys_are_those_of_qupaths_own_export(shared_data):
    path = shared_data / "qupath_geojson/opendvp_gpl3/QuPath_Annotations_wo_calibs.geojson"
    export = json.loads(path.read_text())
    theirs = next(item for item in export["features"] if item["geometry"]["type"] == "Polygon")
    name, color = theirs["properties"]["classification"].values()
    ours = feature(
        shape(theirs["geometry"]),
        id=theirs["id"],
        name=theirs["properties"].get("name"),
        classification=name,
        color=tuple(color),
    )
    assert json.loads(json.dumps(ours)) == theirs
    assert collection([ours]).keys() == export.keys()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"color": (1, 2, 3)}, "name"),
        ({"own_color": (1, 2, 300)}, "255"),
        ({"classification": "Gland", "color": (0, 0, 256)}, "255"),
        ({"classification": "Gland", "color": (-1, 0, 0)}, "255"),
        ({"measurements": {"Area": float("nan")}}, "Area"),
        ({"measurements": {"Area": float("inf")}}, "Area"),
    ],
)
def test_what_qupath_could_not_read_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        feature(SQUARE, id=UUID, **options)


@pytest.mark.parametrize("empty", [shapely.Polygon(), shapely.MultiPolygon(), shapely.Point()])
def test_an_empty_geometry_is_refused(empty):
    with pytest.raises(ValueError, match="empty"):
        feature(empty, id=UUID)


@pytest.mark.parametrize("other", [shapely.GeometryCollection([SQUARE]), shapely.LinearRing([(0, 0), (1, 0), (1, 1)])])
def test_other_kinds_are_refused(other):
    with pytest.raises(ValueError, match="points, lines or polygons"):
        feature(other, id=UUID)
