"""QuPath's GeoJSON: what its versions wrote is read, and what is written is read back as it was."""

import json
import uuid
from dataclasses import replace
from datetime import datetime, timezone

import hypothesis
import pytest
from hypothesis import strategies as st

from annotations.store.examples import EVERYTHING, PICKED, SHAPES, SLIDE, content, contents, same
from wsisam_server.annotations.formats import FormatError, geojson, provenance
from wsisam_server.annotations.store import Annotation, ChangeKind, Level, PathClass, canonical

NOW = datetime(2026, 1, 1, tzinfo=timezone.utc)


def annotation(said, annotation_id=None):
    return Annotation(annotation_id or uuid.uuid4(), 1, ChangeKind.SAVED, said, "a", "a", NOW, NOW)


def read(value, **more):
    return geojson.read(value if isinstance(value, str) else json.dumps(value), SLIDE, **more)


def feature(geometry=None, **properties):
    return {
        "type": "Feature",
        "id": str(uuid.uuid4()),
        "geometry": geometry or {"type": "Point", "coordinates": [1.5, 2]},
        "properties": {"objectType": "annotation", **properties},
    }


def round_trip(annotations):
    found = read(geojson.write(annotations), project=annotations[0].content.project)
    assert not found.left_out
    return found.drafts


# Round trips


def test_everything_comes_back():
    written = annotation(EVERYTHING)
    (draft,) = round_trip([written])
    assert (draft.id, draft.expected) == (written.id, 0)
    assert same(draft.content, EVERYTHING)


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_every_shape_comes_back_exactly(shape):
    (draft,) = round_trip([annotation(content(shape=shape))])
    assert canonical(draft.content.shape).equals_exact(canonical(shape), tolerance=0)


@hypothesis.settings(max_examples=60, deadline=None)
@hypothesis.given(st.lists(contents, min_size=1, max_size=3))
def test_whatever_is_stored_comes_back(batch):
    said = [replace(one, slide_id=SLIDE, project="P", shape=canonical(one.shape)) for one in batch]
    annotations = [annotation(one) for one in said]
    drafts = round_trip(annotations)
    assert [draft.id for draft in drafts] == [one.id for one in annotations]
    for draft, one in zip(drafts, said, strict=True):
        assert same(replace(draft.content, shape=canonical(draft.content.shape)), one)


@pytest.mark.parametrize(
    "name",
    [
        "dlup/qupath05.geojson",
        "opendvp_gpl3/QuPath_Annotations_wo_calibs.geojson",
        "qupath_gpl3/polygon.geojson",
        "wsidicom/qupath_geojson_advanced/qupath-polygon-cell-classified.json",
        *(
            f"wsidicom/qupath_geojson/qupath-{kind}.json"
            for kind in ["brush", "ellipse", "line", "multipoint", "point", "polygon", "polyline", "rectangle", "wand"]
        ),
    ],
)
def test_real_exports_come_back_as_they_were_read(shared_data, name):
    text = (shared_data / "qupath_geojson" / name).read_text()
    found = read(text)
    assert found.drafts
    assert not found.left_out
    again = round_trip([annotation(draft.content, draft.id) for draft in found.drafts])
    assert [draft.id for draft in again] == [draft.id for draft in found.drafts]
    for first, second in zip(found.drafts, again, strict=True):
        assert second.content == first.content


def test_a_real_export_of_today_is_written_as_qupath_wrote_it(shared_data):
    text = (shared_data / "qupath_geojson/opendvp_gpl3/QuPath_Annotations_wo_calibs.geojson").read_text()
    annotations = [annotation(draft.content, draft.id) for draft in read(text).drafts]
    assert json.loads(geojson.write(annotations)) == json.loads(text)
    own_colour = (shared_data / "qupath_geojson/dlup/qupath05.geojson").read_text()
    annotations = [annotation(draft.content, draft.id) for draft in read(own_colour).drafts]
    assert json.loads(geojson.write(annotations)) == json.loads(own_colour)


# What QuPath's versions write


def test_ids_of_old_versions_are_no_ids_but_the_same_file_brings_the_same_annotations(shared_data):
    text = (
        shared_data / "qupath_geojson/wsidicom/qupath_geojson_advanced/qupath-polygon-cell-classified.json"
    ).read_text()
    first, second = read(text), read(text)
    assert [draft.id for draft in first.drafts] == [draft.id for draft in second.drafts]
    assert len({draft.id for draft in first.drafts}) == 4
    assert first.drafts[0].content.path_class == PathClass("Cell", 0x7FDC3A)
    assert first.drafts[0].content.rgb is None  # it was its class's


def test_two_that_say_the_same_are_two():
    same_twice = {**feature(), "id": "PathAnnotationObject"}
    drafts = read([same_twice, same_twice]).drafts
    assert drafts[0].id != drafts[1].id
    assert [draft.id for draft in read([same_twice, same_twice]).drafts] == [draft.id for draft in drafts]


@pytest.mark.parametrize(
    ("written", "path_class"),
    [
        (None, None),
        ("Tumor", PathClass("Tumor")),
        ({"name": "Tumor", "color": [200, 0, 10]}, PathClass("Tumor", 0xC8000A)),
        ({"name": "Tumor: Positive", "color": [1, 2, 3]}, PathClass("Tumor: Positive", 0x010203)),
        ({"names": ["Tumor", "Positive"], "color": [1, 2, 3]}, PathClass("Tumor: Positive", 0x010203)),
        ({"name": "Tumor", "colorRGB": -3670016}, PathClass("Tumor", 0xC80000)),
        ({"name": "Tumor"}, PathClass("Tumor")),
    ],
)
def test_classes_as_versions_write_them(written, path_class):
    assert read(feature(classification=written)).drafts[0].content.path_class == path_class


def test_measurements_as_versions_write_them():
    new = feature(measurements={"Area": 2, "missing": None})
    old = feature(measurements=[{"name": "Area", "value": 2.0}])
    assert [draft.content.measurements for draft in read([new, old]).drafts] == [{"Area": 2.0}] * 2


def test_what_qupath_calls_missing_is_left_out():
    text = json.dumps(feature(measurements={"Area": float("nan"), "Ratio": float("inf"), "Count": 1}))
    assert "NaN" in text
    assert read(text).drafts[0].content.measurements == {"Count": 1.0}


def test_metadata_that_are_written_twice():
    text = json.dumps(feature(metadata={"a": "1"}))
    twice = text.replace('"metadata"', '"metadata": {"b": "2"}, "metadata"')
    assert read(twice).drafts[0].content.metadata == {"a": "1", "b": "2"}


@pytest.mark.parametrize(
    "wrap", [lambda one: one, lambda one: [one], lambda one: {"type": "FeatureCollection", "features": [one]}]
)
def test_one_feature_a_list_and_a_collection(wrap):
    assert len(read(wrap(feature())).drafts) == 1


def test_what_is_no_annotation_of_the_first_plane_is_left_out_and_counted():
    on_plane = {"type": "Point", "coordinates": [1, 2], "plane": {"c": -1, "z": 3, "t": 0}}
    first_plane = {"type": "Point", "coordinates": [1, 2], "plane": {"c": -1, "z": 0, "t": 0}}
    found = read(
        [
            feature(objectType="detection"),
            {**feature(), "id": "PathDetectionObject", "properties": {}},
            feature(objectType="cell"),
            feature(on_plane),
            feature(first_plane),
            {**feature(), "geometry": None},
        ]
    )
    assert len(found.drafts) == 1
    assert found.left_out == {
        "objects that are no annotations": 3,
        "annotations on another plane than the first": 1,
        "annotations without a shape": 1,
    }


# What the scripts say of an outline


def test_an_origin_that_says_more_than_is_kept_stays_whole():
    metadata = {
        "wsisam.model": "wsisam-lite",
        "wsisam.weights": "abc",
        "wsisam.prompts": '[{"box":[1,2,30,40]},{"box":[1,2,30,40],"points":[[5.5,6,0]],"window":[0,0,2,256]}]',
        "wsisam.window": "[0,0,2,256]",
        "wsisam.score": "0.970",
        "wsisam.client": "0.1.0",
        "mine": "too",
    }
    (draft,) = read(feature(metadata=metadata)).drafts
    made = draft.content.provenance
    assert (made.model, made.weights_hash, made.score) == ("wsisam-lite", "abc", 0.97)
    assert made.prompt.box.x1 == 30
    assert not made.prompt.points[0].positive
    assert made.field.high.downsample == 2
    assert draft.content.metadata == metadata
    (again,) = round_trip([annotation(draft.content)])
    assert again.content == draft.content


def test_what_an_annotator_chose_and_drew_roughly_is_kept():
    said = provenance.to_metadata(PICKED)
    assert '"candidate":3' in said["wsisam.prompts"]
    assert '"points":[[12.25,30,1,2],[80,' in said["wsisam.prompts"]
    assert provenance.split(said) == (PICKED, {})


@pytest.mark.parametrize(
    "ask",
    [
        '{"points":[[1,2,1,-1]]}',
        '{"points":[[1,2,1,0.5]]}',
        '{"points":[[1,2,1,1,1]]}',
        '{"box":[0,0,9,9],"candidate":"a"}',
        '{"shape":[]}',
        '{"shape":[[]]}',
        '{"shape":[[[0,0,9,9]]]}',
        '{"shape":[[[0,0,9,9,NaN,0]]]}',
        '{"shape":[[[0,0,9,9,9]]]}',
        '{"shape":5}',
    ],
)
def test_prompts_that_were_changed_by_hand_are_metadata(ask):
    metadata = {"wsisam.model": "m", "wsisam.prompts": f"[{ask}]"}
    assert provenance.split(metadata) == (None, metadata)


def test_the_scales_of_a_refined_border_are_read_as_the_scripts_write_them():
    metadata = {"wsisam.model": "m", "wsisam.weights": "w", "wsisam.levels": "[[2,1],[0.5,7]]", "mine": "too"}
    (draft,) = read(feature(metadata=metadata)).drafts
    assert draft.content.provenance.levels == (Level(2, 1), Level(0.5, 7))
    assert draft.content.metadata == {"mine": "too"}
    (again,) = round_trip([annotation(draft.content)])
    assert again.content == draft.content
    assert provenance.to_metadata(draft.content.provenance) == {
        key: value for key, value in metadata.items() if key != "mine"
    }
    assert provenance.without(metadata) == {"mine": "too"}


@pytest.mark.parametrize("more", [{}, {"wsisam.score": "0.840"}])
def test_what_the_stores_first_form_kept_of_a_refined_outline_is_read_as_it_is_now(more):
    """It had no scales; with a score that is written otherwise, all metadata stayed as they were."""
    metadata = {"wsisam.model": "m", "wsisam.weights": "w", "wsisam.levels": "[[2,1],[0.5,7]]", "mine": "too", **more}
    (now,) = read(feature(metadata=metadata)).drafts
    made = replace(now.content.provenance, levels=())
    left = metadata if more else {"wsisam.levels": "[[2,1],[0.5,7]]", "mine": "too"}
    then = replace(now.content, provenance=made, metadata=left)
    assert provenance.with_levels(then) == now.content
    assert provenance.with_levels(now.content) == now.content
    other = replace(then, provenance=replace(made, weights_hash="x"), metadata=metadata)
    assert provenance.with_levels(other) == other


@pytest.mark.parametrize(
    "levels", ["[2,1]", "[[2]]", "[[0,1]]", "[[NaN,1]]", "[[1,-1]]", "[[1,Infinity]]", "nonsense{"]
)
def test_scales_that_were_changed_by_hand_are_metadata(levels):
    metadata = {"wsisam.model": "m", "wsisam.levels": levels}
    (draft,) = read(feature(metadata=metadata)).drafts
    assert draft.content.metadata == metadata
    assert draft.content.provenance is None


@pytest.mark.parametrize("prompts", ["nonsense{", "[[1]]", '[{"box":[1,2]}]', '[{"box":[5,5,1,1]}]', "7"])
def test_an_origin_that_was_changed_by_hand_is_metadata(prompts):
    metadata = {"wsisam.model": "m", "wsisam.prompts": prompts}
    (draft,) = read(feature(metadata=metadata)).drafts
    assert draft.content.metadata == metadata
    assert draft.content.provenance is None


# What is refused


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "no JSON"),
        ("<xml/>", "no JSON"),
        ("7", "no GeoJSON"),
        ('{"type": "Topology"}', "no GeoJSON"),
        ("[" * 100_000, "nested too deeply"),
        ('{"type": "FeatureCollection", "features": [', "line 1, column 44"),
    ],
)
def test_texts_that_make_no_sense(text, problem):
    with pytest.raises(FormatError, match=problem):
        read(text)


def test_an_empty_collection_is_empty():
    assert read({"type": "FeatureCollection", "features": []}).drafts == []
    assert json.loads(geojson.write([])) == {"type": "FeatureCollection", "features": []}


# What costs itself only

SQUARE = {"type": "Polygon", "coordinates": [[[0, 0], [100, 0], [100, 100], [0, 100], [0, 0]]]}
HOLE = [[20, 20], [40, 20], [40, 40], [20, 20]]


@pytest.mark.parametrize(
    "geometry",
    [
        {"type": "Polygon", "coordinates": [[[x, y, 7] for x, y in SQUARE["coordinates"][0]]]},
        {"type": "Polygon", "coordinates": [[[0, 0, 1], [100, 0], [100, 100, 1, 1], [0, 100]]]},
        {"type": "Polygon", "coordinates": [[["0", "0,0"], ["100", 0], [100, "1e2"], [0, " 100 "]]]},
        {"type": "Polygon", "coordinates": [*SQUARE["coordinates"], [[5, 5], [6, 6]], []]},
        {"type": "polygon", "coordinates": SQUARE["coordinates"]},
        {"type": "MultiPolygon", "coordinates": [SQUARE["coordinates"], [], [[]], [[[1, 1], [2, 2], [1, 1]]]]},
        {"type": "GeometryCollection", "geometries": [SQUARE, {"type": "LineString", "coordinates": [[0, 0], [1, 1]]}]},
        {
            "type": "GeometryCollection",
            "geometries": [{"type": "GeometryCollection", "geometries": [SQUARE]}, {}, None],
        },
        json.dumps(SQUARE),
    ],
    ids=str,
)
def test_areas_are_taken_whatever_is_beside_them(geometry):
    (draft,) = read(feature(geometry)).drafts
    assert draft.content.shape.geom_type == "Polygon"
    assert not draft.content.shape.has_z
    assert draft.content.shape.area == 10_000


def test_lines_and_points_of_a_collection_without_areas():
    line = {"type": "LineString", "coordinates": [[0, 0], [1, 1]]}
    point = {"type": "Point", "coordinates": [5, 5]}
    found = read([feature({"type": "GeometryCollection", "geometries": some}) for some in ([line, point], [point] * 2)])
    assert [draft.content.shape.geom_type for draft in found.drafts] == ["LineString", "MultiPoint"]
    assert found.ignored == {"lines and points beside the areas of one annotation": 1}


@pytest.mark.parametrize(
    ("geometry", "what"),
    [
        (None, "without a shape"),
        ({}, "without a shape"),
        ({"type": "Polygon"}, "without a shape"),
        ({"type": "Polygon", "coordinates": []}, "without a shape"),
        ({"type": "MultiPolygon", "coordinates": []}, "without a shape"),
        ({"type": "GeometryCollection", "geometries": []}, "without a shape"),
        ({"coordinates": [1, 2]}, "without a shape"),
        ([1, 2], "without a shape"),
        ({"type": "Circle", "coordinates": [1, 2]}, "of the type 'Circle'"),
        ({"type": "Polygon", "coordinates": [[]]}, "too few"),
        ({"type": "Polygon", "coordinates": [[[0, 0], [1, 1]]]}, "too few"),
        ({"type": "Polygon", "coordinates": [[[0, 0], [1, 1], [0, 0], [1, 1]]]}, "too few"),
        ({"type": "MultiPolygon", "coordinates": [[]]}, "too few"),
        ({"type": "LineString", "coordinates": [[0, 0], [0, 0]]}, "too few"),
        ({"type": "Polygon", "coordinates": [[[0, 0], [1, None], [1, 1]]]}, "no number"),
        ({"type": "Polygon", "coordinates": [[[0, 0], [1, float("nan")], [1, 1]]]}, "no number"),
        ({"type": "Polygon", "coordinates": [[[0, 0], [1], [1, 1]]]}, "no number"),
        ({"type": "Polygon", "coordinates": [[0, 0], [1, 0], [1, 1]]}, "no number"),
        ({"type": "Polygon", "coordinates": 7}, "no number"),
        ({"type": "Point", "coordinates": [1, 10**400]}, "no number"),
        ({"type": "Point", "coordinates": [[1, 2]]}, "no number"),
        ({"type": "Point", "coordinates": {"x": 1}}, "no number"),
    ],
    ids=str,
)
def test_a_shape_that_cannot_be_taken_costs_its_feature_only(geometry, what):
    bad = {**feature(name="bad one"), "geometry": geometry}
    found = read([feature(), bad, feature()])
    assert len(found.drafts) == 2
    ((words, count),) = found.left_out.items()
    assert what in words
    assert count == 1
    for problem in found.problems:
        assert problem.startswith(f"feature 2 (id {bad['id']}, 'bad one'): it")


@pytest.mark.parametrize("item", [7, None, "text", [], [[]]], ids=str)
def test_entries_that_are_no_features(item):
    found = read([item, feature()])
    assert len(found.drafts) == 1
    assert found.left_out == {"entries that are no features": 1}


def test_a_number_of_thousands_of_digits_costs_its_feature_only():
    text = json.dumps([feature(), feature()]).replace("1.5", "9" * 5000, 1)
    found = read(text)
    assert (len(found.drafts), found.left_out.total()) == (1, 1)


@pytest.mark.parametrize(
    ("written", "path_class"),
    [
        ({"name": None, "color": [1, 2, 3]}, None),
        ({"name": "", "color": [1, 2, 3]}, None),
        ({"names": []}, None),
        ({"names": [None]}, None),
        ({}, None),
        ([], None),
        ("", None),
        ({"names": ["Tumor", None]}, PathClass("Tumor")),
        (["Tumor", "Positive"], PathClass("Tumor: Positive")),
        ('{"name": "Tumor", "color": [200, 0, 10]}', PathClass("Tumor", 0xC8000A)),
        ("{'name': 'Tumor', 'color': [200, 0, 10]}", PathClass("Tumor", 0xC8000A)),
        ('{"names": ["Tumor", "Positive"]}', PathClass("Tumor: Positive")),
        ("{not JSON}", PathClass("{not JSON}")),
        (0, PathClass("0")),
        ({"name": 3}, PathClass("3")),
        (True, None),
        ({"name": {"a": 1}}, None),
    ],
    ids=str,
)
def test_classes_as_programs_write_them(written, path_class):
    assert read(feature(classification=written)).drafts[0].content.path_class == path_class


@pytest.mark.parametrize(
    ("written", "rgb"),
    [
        ([200, 0, 10], 0xC8000A),
        ([200, 0, 10, 255], 0xC8000A),
        ([200.0, 0.0, 10.0], 0xC8000A),
        ([1.0, 0.0, 0.5], 0xFF0080),
        ([1, 0.5, 0], 0xFF8000),
        ([1, 1, 0], 0x010100),
        ("#F00", 0xFF0000),
        ("#c8000a", 0xC8000A),
        ("#C8000AFF", 0xC8000A),
        ("rgb(200, 0, 10)", 0xC8000A),
        ("rgba(200,0,10,0.5)", 0xC8000A),
        ("200,0,10", 0xC8000A),
        ("[200, 0, 10]", 0xC8000A),
        ({"r": 200, "g": 0, "b": 10}, 0xC8000A),
        (-3670006, 0xC8000A),
        ("-3670006", 0xC8000A),
        (-3670006.0, 0xC8000A),
        (0, 0),
        (None, None),
        ("", None),
    ],
    ids=str,
)
def test_colours_as_programs_write_them(written, rgb):
    found = read(feature(color=written))
    assert found.drafts[0].content.rgb == rgb
    assert not found.ignored


@pytest.mark.parametrize(
    "written",
    ["#", "#GG0000", "#12345", "red", "rgb(1,2)", "rgb(300,0,0)", [1, 2], [1, 2, 300], [-1, 0, 0], [1, 2, "3"],
     [None] * 3, [], {}, True, 2**40, 0.5, float("nan"), [float("nan")] * 3],
    ids=str,
)  # fmt: skip
def test_a_colour_that_is_none_costs_itself_only(written):
    found = read(feature(color=written, name="mine"))
    (draft,) = found.drafts
    assert (draft.content.rgb, draft.content.name) == (None, "mine")
    assert found.ignored == {"colours that are none": 1}
    assert read(feature(classification={"name": "T", "color": written})).drafts[0].content.path_class == PathClass("T")


@pytest.mark.parametrize(
    ("written", "locked"),
    [(True, True), (False, False), ("true", True), ("false", False), ("False", False), ("", False), (None, False),
     (0, False), (1, True), ("0", False), ("no", False)],
)  # fmt: skip
def test_locks_as_programs_write_them(written, locked):
    assert read(feature(isLocked=written)).drafts[0].content.locked is locked


@pytest.mark.parametrize(
    ("written", "name"), [(None, ""), (0, "0"), (12, "12"), (1.5, "1.5"), (False, "false"), ("a\nb", "a\nb"), ([], "")]
)
def test_names_as_programs_write_them(written, name):
    assert read(feature(name=written)).drafts[0].content.name == name


@pytest.mark.parametrize("bad", ["half \ud83d pair", "nul \0 x"])
def test_a_name_or_class_that_is_no_text_costs_its_feature(bad):
    found = read([feature(name=bad), feature(classification=bad), feature()])
    assert len(found.drafts) == 1
    assert found.left_out == {"annotations whose name or class is no text": 2}


def test_metadata_are_texts():
    metadata = {"n": 5, "null": None, "list": [1, 2], "b": True, "o": {"x": "ü"}, "t": "", "bad": "\0"}
    found = read([feature(metadata=metadata), feature(metadata=json.dumps({"a": "b"})), feature(metadata=[1])])
    assert [draft.content.metadata for draft in found.drafts] == [
        {"n": "5", "list": "[1, 2]", "b": "true", "o": '{"x": "ü"}', "t": ""},
        {"a": "b"},
        {},
    ]
    assert found.ignored == {"metadata that are no texts": 2}


def test_a_measurement_that_is_no_number_costs_itself_only():
    bad = {"a": "-", "b": "", "c": "1,5", "d": 10**400, "e": [1], "f": True, "good": "2.5", "missing": "NaN"}
    found = read([feature(measurements=bad), feature(measurements=[{"name": "g", "value": 1}, {"value": 2}, 3])])
    assert [draft.content.measurements for draft in found.drafts] == [{"good": 2.5}, {"g": 1.0}]
    assert found.ignored == {"measurements that are no numbers": 7}
    assert any("the measurement 'c': it is no number: '1,5'" in problem for problem in found.problems)


def test_a_score_that_is_no_number_is_metadata():
    metadata = {"wsisam.model": "m", "wsisam.score": "NaN"}
    (draft,) = read(feature(metadata=metadata)).drafts
    assert (draft.content.provenance, draft.content.metadata) == (None, metadata)


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ({"type": "detection"}, 0),
        ({"type": "PathCellObject"}, 0),
        ({"type": "annotation"}, 1),
        ({"type": "gland"}, 1),  # another program's word
        ({"objectType": "Detection"}, 0),
        ({"objectType": "PathAnnotationObject"}, 1),
        ({"objectType": "annotation", "type": "detection"}, 1),
        ({"objectType": None}, 1),
    ],
    ids=str,
)
def test_what_is_no_annotation(said, kept):
    assert len(read({**feature(), "properties": said}).drafts) == kept


@pytest.mark.parametrize("properties", [None, [], "text", 7, '{"name": "a"}'], ids=str)
def test_properties_that_are_none(properties):
    assert len(read({**feature(), "properties": properties}).drafts) == 1


def test_an_id_that_became_a_property():
    own = str(uuid.uuid4())
    said = {**feature(), "properties": {"id": own}}
    del said["id"]
    assert str(read(said).drafts[0].id) == own


# Hierarchies


def nested():
    return feature(
        SQUARE, name="parent", childObjects=[feature(name="child", childObjects=[feature(name="grandchild")])]
    )


@pytest.mark.parametrize(
    "wrap",
    [
        lambda one: one,
        lambda one: {"type": "FeatureCollection", "features": [one]},
        lambda one: {"type": "Feature", "geometry": {}, "properties": {"objectType": "root", "childObjects": [one]}},
        lambda one: {"root": {"type": "Feature", "properties": {"objectType": "root", "childObjects": [one]}}},
        lambda one: {"type": "Feature", "id": "PathRootObject", "geometry": None, "childObjects": [one]},
        lambda one: [{"type": "FeatureCollection", "features": [one]}],
        lambda one: feature(objectType="tma_core", childObjects={"type": "FeatureCollection", "features": [one]}),
        lambda one: feature(objectType="tma_core", childObjects=json.dumps([one])),
    ],
)
def test_what_lies_below_others_is_read(wrap):
    assert [draft.content.name for draft in read(wrap(nested())).drafts] == ["parent", "child", "grandchild"]


def test_a_bare_collection_of_geometries():
    (draft,) = read({"type": "GeometryCollection", "geometries": [SQUARE]}).drafts
    assert draft.content.shape.area == 10_000
