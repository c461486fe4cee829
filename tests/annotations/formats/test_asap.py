"""ASAP's XML."""

import pytest
import shapely

from wsisam_server.annotations.formats import FormatError, asap
from wsisam_server.annotations.store import PathClass

SLIDE = "5e" * 32


def read(text):
    return asap.read(text, SLIDE, "P")


def xml(*annotations, groups=""):
    return (
        f'<?xml version="1.0"?><ASAP_Annotations><Annotations>{"".join(annotations)}</Annotations>'
        f"<AnnotationGroups>{groups}</AnnotationGroups></ASAP_Annotations>"
    )


def element(kind, *vertices, group="None", name="a"):
    marks = "".join(f'<Coordinate Order="{n}" X="{x}" Y="{y}" />' for n, x, y in vertices)
    return (
        f'<Annotation Name="{name}" Type="{kind}" PartOfGroup="{group}"><Coordinates>{marks}</Coordinates></Annotation>'
    )


@pytest.mark.parametrize(
    ("name", "kind"),
    [("asap-polygon.xml", "Polygon"), ("asap-pointset.xml", "MultiPoint"), ("asap-dot.xml", "Point")],
)
def test_real_files_of_each_type(shared_data, name, kind):
    found = read((shared_data / "asap_xml/wsidicom" / name).read_text())
    (draft,) = found.drafts
    assert draft.content.shape.geom_type == kind
    assert draft.content.name == "Annotation 0"
    assert draft.content.path_class is None
    assert (draft.content.slide_id, draft.content.project) == (SLIDE, "P")
    assert not found.left_out


def test_real_vertices_are_kept_exactly(shared_data):
    (draft,) = read((shared_data / "asap_xml/wsidicom/asap-polygon.xml").read_text()).drafts
    assert shapely.get_coordinates(draft.content.shape).tolist()[:2] == [
        [22851.3281, 16551.1797],
        [22693.1875, 16669.7832],
    ]


def test_groups_are_classes_with_their_colours(shared_data):
    text = (shared_data / "asap_xml/wsiprocess_CMU-1/CMU-1_segmentation.xml").read_text()
    found = read(text)
    assert {draft.content.path_class for draft in found.drafts} == {
        PathClass("malignant", 0x64FE2E),
        PathClass("benign", 0x64FE2E),
    }
    assert [draft.id for draft in found.drafts] == [draft.id for draft in read(text).drafts]


def test_rectangles_are_rectangles(shared_data):
    drafts = read((shared_data / "asap_xml/wsiprocess_CMU-1/CMU-1_detection.xml").read_text()).drafts
    areas = [draft.content.shape for draft in drafts if draft.content.shape.geom_type == "Polygon"]
    boxes = [shape for shape in areas if len(shape.exterior.coords) == 5]
    assert len(boxes) > 10
    assert all(box.area == pytest.approx(shapely.box(*box.bounds).area, rel=0.01) for box in boxes)


@pytest.mark.parametrize("case", ["001", "005", "016", "101", "102", "110"])
def test_camelyon(shared_data, case):
    path = shared_data / f"camelyon16_annotations/asap_xml_derived/tumor_{case}.xml"
    text = path.read_text()
    found = read(text)
    assert not found.left_out
    assert len(found.drafts) == text.count("<Annotation ")
    assert {draft.content.path_class.name for draft in found.drafts} <= {"Tumor", "Exclusion"}
    # ASAP's file has every vertex once, ours repeats a ring's first.
    assert text.count("<Coordinate ") == sum(len(d.content.shape.exterior.coords) - 1 for d in found.drafts)


def test_vertices_come_in_their_order():
    (draft,) = read(xml(element("Polygon", (2, 5, 5), (0, 0, 0), (1, 5, 0)))).drafts
    assert shapely.get_coordinates(draft.content.shape).tolist() == [[0, 0], [5, 0], [5, 5], [0, 0]]


def test_numbers_with_a_decimal_comma():
    (draft,) = read(xml(element("Polygon", (0, "10,5", "10,25"), (1, "110,5", "10,25"), (2, "1e1", " 7 ")))).drafts
    assert shapely.get_coordinates(draft.content.shape).tolist() == [
        [10.5, 10.25],
        [110.5, 10.25],
        [10, 7],
        [10.5, 10.25],
    ]


@pytest.mark.parametrize("value", ["here", "", "nan", "inf", "1,2,3", "1.234,5"])
def test_a_vertex_that_is_no_number_costs_its_annotation_only(value):
    found = read(xml(element("Dot", (0, value, 1), name="bad"), element("Dot", (0, 1, 1))))
    assert len(found.drafts) == 1
    assert found.left_out == {"annotations with a vertex that is no number": 1}
    (problem,) = found.problems
    assert problem.startswith("annotation 1 ('bad'): its vertex 1 ")


def test_coordinates_without_a_usable_order_are_taken_as_they_are_written():
    text = xml(element("Polygon", (0, 0, 0), ("", 5, 0), (1, 5, 5)))
    (draft,) = read(text).drafts
    assert shapely.get_coordinates(draft.content.shape).tolist() == [[0, 0], [5, 0], [5, 5], [0, 0]]


@pytest.mark.parametrize("vertices", [[(0, 1, 1), (1, 1, 1), (2, 1, 1)], [(0, 1, 1), (1, 5, 1), (2, 5, 1), (3, 1, 1)]])
def test_areas_of_less_than_three_different_vertices_are_left_out(vertices):
    assert read(xml(element("Polygon", *vertices))).left_out == {"annotations with too few vertices": 1}


@pytest.mark.parametrize(
    ("color", "rgb", "ignored"),
    [("#64FE2E", 0x64FE2E, 0), ("#64FE2EFF", 0x64FE2E, 0), ("", None, 0)]
    + [(color, None, 1) for color in ["#", "#GG0000", "#F00", "red", "64FE2E", "#+12345"]],
)
def test_colours_of_groups(color, rgb, ignored):
    found = read(xml(element("Dot", (0, 1, 1), group="G"), groups=f'<Group Name="G" Color="{color}"/>'))
    assert found.drafts[0].content.path_class == PathClass("G", rgb)
    assert found.ignored.total() == ignored


def test_it_counts_from_the_corner_of_the_whole_frame():
    text = xml(element("Polygon", (0, 700, 500), (1, 800, 500), (2, 800, 600)))
    (draft,) = asap.read(text, SLIDE, origin=(512, 256)).drafts
    assert shapely.get_coordinates(draft.content.shape)[0].tolist() == [188, 244]


@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "ISO-8859-1", "windows-1252", "UTF-16", "utf-16-le", "GB18030"]
)
def test_the_encoding_that_it_declares(encoding):
    text = xml(element("Dot", (0, 1, 1), name="Drüse")).replace("1.0", f'1.0" encoding="{encoding}', 1)
    text = text.replace("utf-8-sig", "utf-8")
    assert read(text.encode(encoding)).drafts[0].content.name == "Drüse"


def test_utf_8_that_is_declared_as_utf_16():
    text = xml(element("Dot", (0, 1, 1), name="Drüse")).replace("1.0", '1.0" encoding="UTF-16', 1)
    assert read(text.encode()).drafts[0].content.name == "Drüse"


def test_a_namespace_is_no_matter():
    text = xml(element("Dot", (0, 1, 1))).replace("<ASAP_Annotations", '<ASAP_Annotations xmlns="http://x"')
    assert len(read(text).drafts) == 1


def test_what_is_not_known_is_left_out_and_counted():
    found = read(xml(element("Hexagon", (0, 1, 1)), element("Polygon", (0, 1, 1), (1, 2, 2)), element("Dot")))
    assert found.drafts == []
    assert found.left_out == {"annotations of the type 'Hexagon'": 1, "annotations with too few vertices": 2}


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "no XML"),
        ("{}", "no XML"),
        (b'<?xml version="1.0" encoding="klingon"?><ASAP_Annotations/>', "klingon"),
        (b"<ASAP_Annotations>\xfc</ASAP_Annotations>", "UTF-8"),
        ("<ASAP_Annotations><Annotations>", "line 1"),
        ("<Annotations/>", "ImageScope"),
        ("<html/>", "not ASAP's"),
        ('<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><ASAP_Annotations>&b;</ASAP_Annotations>', "no XML"),
    ],
)
def test_texts_that_make_no_sense(text, problem):
    with pytest.raises(FormatError, match=problem):
        read(text)
