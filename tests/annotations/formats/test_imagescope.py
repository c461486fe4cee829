"""Aperio ImageScope's XML."""

import pytest
import shapely

from wsisam_server.annotations.formats import FormatError, imagescope
from wsisam_server.annotations.store import PathClass

SLIDE = "5e" * 32


def read(*layers, **more):
    return imagescope.read(f"<Annotations>{''.join(layers)}</Annotations>", SLIDE, **more)


def layer(*regions, name="Tumor", color=65280, description=""):
    said = f'<Attributes><Attribute Name="Description" Id="0" Value="{description}"/></Attributes>'
    return f'<Annotation Name="{name}" LineColor="{color}">{said}<Regions>{"".join(regions)}</Regions></Annotation>'


def region(*vertices, kind=0, text="", negative=0):
    marks = "".join(f'<Vertex X="{x}" Y="{y}" Z="0"/>' for x, y in vertices)
    return f'<Region Type="{kind}" Text="{text}" NegativeROA="{negative}"><Vertices>{marks}</Vertices></Region>'


def box(x, y, side, **more):
    return region((x, y), (x + side, y), (x + side, y + side), (x, y + side), **more)


def test_a_real_file(shared_data):
    data = (shared_data / "asap_xml/aperio_imagescope/CMU-1-JP2K-33005.xml").read_bytes()
    found = imagescope.read(data, SLIDE)
    assert [draft.content.name for draft in found.drafts] == ["", "Necrosis", "Fold", ""]
    assert [len(draft.content.shape.exterior.coords) for draft in found.drafts][:2] == [11, 5]
    assert not found.left_out


@pytest.mark.parametrize(
    ("color", "rgb"), [(255, 0xFF0000), (65280, 0x00FF00), (16711680, 0x0000FF), ("red", None), (-1, None), ("", None)]
)
def test_a_layer_is_a_class_with_its_colour(color, rgb):
    (draft,) = read(layer(box(0, 0, 10), color=color)).drafts
    assert draft.content.path_class == PathClass("Tumor", rgb)


def test_a_layer_without_a_name_is_its_description_or_no_class():
    found = read(layer(box(0, 0, 10), name="", description="Necrosis"), layer(box(0, 0, 10), name=""))
    assert [draft.content.path_class for draft in found.drafts] == [PathClass("Necrosis", 0x00FF00), None]


def test_negative_regions_are_holes_of_the_smallest_that_they_lie_in():
    found = read(layer(box(0, 0, 100), box(10, 10, 50), box(20, 20, 10, negative=1), box(500, 500, 5, negative=1)))
    assert [draft.content.shape.area for draft in found.drafts] == [10_000, 2_400]
    assert found.left_out == {"negative regions that lie in no other": 1}


def test_two_corners_are_a_rectangle_or_an_ellipse():
    found = read(layer(region((0, 0), (20, 10), kind=1), region((20, 10), (0, 0), kind=2)))
    rectangle, ellipse = (draft.content.shape for draft in found.drafts)
    assert rectangle.equals(shapely.box(0, 0, 20, 10))
    assert ellipse.bounds == (0, 0, 20, 10)
    assert ellipse.area == pytest.approx(3.14159 * 50, rel=0.01)


def test_what_is_no_area_is_left_out_and_counted():
    arrow, ruler = region((0, 0), (5, 5), kind=3), region((0, 0), (5, 5), kind=4)
    found = read(layer(arrow, ruler, region((0, 0), (1, 1)), region((0, "x"), (1, 1)), box(0, 0, 10)))
    assert len(found.drafts) == 1
    assert found.left_out == {
        "regions that are arrows": 1,
        "regions that are rulers": 1,
        "annotations with too few vertices": 1,
        "annotations with a vertex that is no number": 1,
    }


def test_it_counts_from_the_corner_of_the_whole_frame():
    (draft,) = read(layer(box(700, 500, 100)), origin=(512, 256)).drafts
    assert shapely.get_coordinates(draft.content.shape)[0].tolist() == [188, 244]


def test_another_programs_file():
    with pytest.raises(FormatError, match="not ImageScope's"):
        imagescope.read("<ASAP_Annotations/>", SLIDE)
