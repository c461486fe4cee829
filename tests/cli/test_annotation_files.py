"""Files of annotations for the commands that look where they are: the same files, read the same way."""

import gzip
import json

import click
import pytest

from support.sparse_slide import sparse_slide
from wsisam_server.cli import everything
from wsisam_server.cli.annotation_files import areas_in, frame_origin, read_annotations

SQUARE = {"type": "Polygon", "coordinates": [[[0, 0], [10, 0], [10, 10], [0, 10], [0, 0]]]}


def feature(geometry=SQUARE, **properties):
    return {"type": "Feature", "geometry": geometry, "properties": {"objectType": "annotation", **properties}}


@pytest.fixture
def xml(tmp_path):
    path = tmp_path / "in.xml"
    corners = [(700, 500), (800, 500), (800, 600), (700, 600)]
    marks = "".join(f'<Coordinate Order="{n}" X="{x}" Y="{y}"/>' for n, (x, y) in enumerate(corners))
    path.write_text(
        '<ASAP_Annotations><Annotations><Annotation Name="a" Type="Polygon" PartOfGroup="None">'
        f"<Coordinates>{marks}</Coordinates></Annotation></Annotations></ASAP_Annotations>"
    )
    return path


def test_a_region_may_be_of_any_format(tmp_path, xml):
    slide = sparse_slide(tmp_path / "sparse.tif")
    assert everything._region(xml, slide).bounds == (188, 244, 288, 344)
    packed = tmp_path / "in.geojson.gz"
    packed.write_bytes(gzip.compress(json.dumps(feature(childObjects=[feature()])).encode("utf-16")))
    assert len(areas_in(packed, slide)) == 2
    assert everything._region(packed, slide).area == 100


def test_a_region_of_the_whole_frame_on_a_slide_that_is_not_here(tmp_path, xml):
    assert frame_origin(tmp_path / "elsewhere.svs") is None
    assert frame_origin(xml) is None
    with pytest.raises(click.ClickException, match="import it with 'wsisam import'"):
        everything._region(xml, tmp_path / "elsewhere.svs")


def test_what_is_left_out_is_said(tmp_path, capsys):
    path = tmp_path / "in.geojson"
    path.write_text(json.dumps([feature(), feature({}), feature(isLocked="perhaps")]))
    entries, left_out = read_annotations(path)
    assert (len(entries), left_out) == (2, 1)
    said = capsys.readouterr().err
    assert f"{path}: left out: 1 annotations without a shape" in said
    assert "feature 3: whether it is locked is neither true nor false: perhaps" in said
    assert "ignored 1 times: locks that are neither true nor false" in said


def test_a_file_that_cannot_be_read(tmp_path):
    with pytest.raises(click.ClickException, match="No such file"):
        read_annotations(tmp_path / "nothing.geojson")
