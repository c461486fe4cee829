"""COCO's JSON, as programs read it: filled, its borders are the shapes."""

import json

import numpy as np
import pytest
import shapely
from PIL import Image, ImageDraw

from formats.test_geojson import annotation
from store.examples import HOLED, SLIDE, content
from wsisam_server.formats import FormatError, coco
from wsisam_server.geometry import SlideSize
from wsisam_server.store import PathClass, SlideRecord

RECORD = SlideRecord(SLIDE, ("file:///old.svs", "file:///slides/case%207.svs"), SlideSize(1000, 800))


def write(*said, slides=(RECORD,)):
    text, left_out = coco.write([annotation(one) for one in said], slides)
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
