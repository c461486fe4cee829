"""COCO's JSON, as programs read it: filled, its borders are the shapes."""

import json

import numpy as np
import pytest
import shapely
from PIL import Image, ImageDraw

from annotations.formats.test_geojson import annotation
from annotations.store.examples import HOLED, SLIDE, content
from wsisam_server.annotations.formats import FormatError, categories, coco
from wsisam_server.annotations.store import PathClass, SlideRecord
from wsisam_server.core.geometry import SlideSize

RECORD = SlideRecord(SLIDE, ("file:///old.svs", "file:///slides/case%207.svs"), SlideSize(1000, 800))


def write(*said, slides=(RECORD,), ids=None):
    text, left_out = coco.write([annotation(one) for one in said], slides, ids)
    return json.loads(text), left_out


def filled(segmentation, side=200):
    """What a program that fills each border draws."""
    image = Image.new("1", (4 * side, 4 * side))
    for border in segmentation:
        ImageDraw.Draw(image).polygon([4 * value for value in border], fill=1)
    return np.asarray(image)


def truth(shape, side=200):
    y, x = (np.mgrid[: 4 * side, : 4 * side] + 0.5) / 4
    return shapely.contains_xy(shape, x, y)


def test_the_whole_file():
    tumor = PathClass("Tumor", 1)
    written, left_out = write(
        content(path_class=tumor),
        content(),
        content(path_class=tumor, shape=shapely.MultiPolygon([shapely.box(0, 0, 2, 3), shapely.box(10, 10, 12, 11)])),
    )
    assert not left_out
    assert written["images"] == [{"id": 1, "file_name": "case 7.svs", "width": 1000, "height": 800, "slide_id": SLIDE}]
    assert written["categories"] == [{"id": 1, "name": "Tumor"}, {"id": 2, "name": "unclassified"}]
    first, second, third = written["annotations"]
    assert [one["id"] for one in written["annotations"]] == [1, 2, 3]
    assert (first["image_id"], first["category_id"], first["iscrowd"], second["category_id"]) == (1, 1, 0, 2)
    assert first["bbox"] == [10, 20, 20.03125, 20]
    assert first["area"] == pytest.approx(20.03125 * 20)
    assert len(third["segmentation"]) == 2
    assert (third["area"], third["bbox"]) == (8, [0, 0, 12, 11])


@pytest.mark.parametrize(
    "shape",
    [
        HOLED,
        shapely.box(10, 10, 190, 190).difference(
            shapely.union_all([shapely.Point(x, y).buffer(9) for x in (40, 80, 120) for y in (50, 100, 150)])
        ),
        shapely.MultiPolygon([HOLED, shapely.box(120, 120, 190, 190)]),
        shapely.Point(100, 100).buffer(80).difference(shapely.Point(100, 100).buffer(79)),
    ],
    ids=["one hole", "nine holes", "parts", "ring"],
)
def test_filled_borders_have_the_holes(shape):
    written, _ = write(content(shape=shape))
    (one,) = written["annotations"]
    assert one["area"] == pytest.approx(shape.area)
    wrong = filled(one["segmentation"]) != truth(shape)
    # Only along the borders, whose pixels programs fill or not.
    assert not (wrong & ~truth(shape.boundary.buffer(0.6))).any()


def test_points_and_lines_are_left_out_and_counted():
    written, left_out = write(content(shape=shapely.Point(1, 2)), content(shape=shapely.LineString([(0, 0), (1, 1)])))
    assert written["annotations"] == []
    assert left_out == {"points and lines, which COCO does not have": 2}


def test_several_slides():
    other = SlideRecord("other", (), SlideSize(100, 100))
    written, _ = write(content(), content(slide_id="other"), slides=(RECORD, other))
    assert [image["file_name"] for image in written["images"]] == ["case 7.svs", "other"]
    assert [one["image_id"] for one in written["annotations"]] == [1, 2]


def test_a_slide_of_unknown_size_is_refused():
    with pytest.raises(FormatError, match="--slide"):
        write(content(), slides=(SlideRecord(SLIDE, ("Z:\\case 7.svs",)),))


def test_shapes_are_cut_at_the_edge_of_the_image():
    """And what lies outside is left out and counted, as in a data set: an image has no pixels there."""
    written, left_out = write(
        content(shape=shapely.box(-20, -20, 40, 40)),
        content(shape=shapely.box(960, 760, 1040, 840)),
        content(shape=shapely.box(-20, 100, 1020, 110) - shapely.box(500, 90, 510, 120)),
        content(shape=shapely.box(1000, 10, 1040, 50)),
        content(shape=shapely.box(-50, -50, -10, -10)),
    )
    assert [(one["bbox"], one["area"]) for one in written["annotations"]] == [
        ([0, 0, 40, 40], 1600),
        ([960, 760, 40, 40], 1600),
        ([0, 100, 1000, 10], 9900),
    ]
    assert [len(one["segmentation"]) for one in written["annotations"]] == [1, 1, 2]
    assert left_out == {"outside their slide": 2}


@pytest.mark.parametrize(
    ("uris", "names"),
    [
        (["file:///a/slide.png", "file:///b/slide.png"], ["a/slide.png", "b/slide.png"]),
        (
            ["file:///x/one/he.svs", "file:///x/two/he.svs", "file:///x/two/ki.svs"],
            ["one/he.svs", "two/he.svs", "ki.svs"],
        ),
        (["C:\\2025\\1\\he.svs", "D:\\2026\\1\\he.svs"], ["2025/1/he.svs", "2026/1/he.svs"]),
        (["file:///he.svs", "file:///a/he.svs"], ["he.svs", "a/he.svs"]),
        (["C:\\he.svs", "D:\\he.svs"], ["he-aaaaaaaaaaaa.svs", "he-bbbbbbbbbbbb.svs"]),
    ],
    ids=["folders", "three", "deeper", "no folder", "the same place"],
)
def test_no_two_images_have_one_file_name(uris, names):
    slides = [SlideRecord(letter * 64, (uri,), SlideSize(90, 90)) for letter, uri in zip("abc", uris, strict=False)]
    written, _ = write(slides=slides)
    assert [image["file_name"] for image in written["images"]] == names


def test_categories_count_the_names_in_order_or_are_given():
    names = ["Tumor", "Stroma", ""]
    said = [content(path_class=PathClass(name) if name else None) for name in names]
    written, _ = write(*said)
    assert written["categories"] == [
        {"id": 1, "name": "Stroma"},
        {"id": 2, "name": "Tumor"},
        {"id": 3, "name": "unclassified"},
    ]
    assert [one["category_id"] for one in written["annotations"]] == [2, 1, 3]
    ids = categories.numbered(names, {"Tumor": 7, "Gone": 3})
    assert ids == {"Gone": 3, "Tumor": 7, "Stroma": 8, "unclassified": 9}
    written, _ = write(*said, ids=ids)
    assert [one["category_id"] for one in written["annotations"]] == [7, 8, 9]
    assert [one["id"] for one in written["categories"]] == [3, 7, 8, 9]


@pytest.mark.parametrize(
    "text",
    [
        '{"images": [], "categories": [{"id": 2, "name": "Tumor:Positive"}, {"id": 0, "name": "Stroma"}]}',
        '[{"id": 2, "name": "Tumor: Positive"}, {"id": 0, "name": " Stroma"}]',
        '{"Stroma": 0, "Tumor: Positive": 2}',
    ],
    ids=["a file", "a list", "names"],
)
def test_ids_are_read(text):
    assert categories.read(text) == {"Stroma": 0, "Tumor: Positive": 2}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("Stroma=1", "no JSON"),
        ("7", "no categories"),
        ('{"1": "Tumor"}', "no whole number"),
        ('{"Tumor": 1.5}', "no whole number"),
        ('{"Tumor": true}', "no whole number"),
        ('{"Tumor": -1}', "no whole number"),
        ('{" ": 1}', "no name"),
        ('["Tumor"]', "no name and id"),
        ('[{"id": 1}]', "no name"),
        ('{"Tumor": 1, "Stroma": 1}', "several classes have the id 1: Tumor, Stroma"),
        ('{"Tumor": 1, "Tumor": 2}', "twice"),
        ('{"Tumor:A": 1, "Tumor: A": 2}', "twice"),
        ("[" * 100_000, "no JSON"),
    ],
)
def test_ids_that_make_no_sense(text, says):
    with pytest.raises(FormatError, match=says):
        categories.read(text)
