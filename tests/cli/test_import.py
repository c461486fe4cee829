"""`wsisam import`: what is left out and said, whose ids are others', and files of other slides."""

import gzip
import json
import os
import re
import shutil
import uuid
from pathlib import Path

import pytest
from click.testing import CliRunner
from PIL import Image

from support.annotations import Serving
from support.damaged_files import made
from support.server import write_picture
from support.sparse_slide import sparse_slide
from wsisam_server.annotations.store import AnnotationFilter, open_store
from wsisam_server.cli import main
from wsisam_server.core.settings import Limits

pytestmark = pytest.mark.slow

REPOSITORY = Path(__file__).resolve().parents[2]
BOWTIE = [[0, 0], [10, 10], [10, 0], [0, 10], [0, 0]]


@pytest.fixture(scope="module")
def empty(tmp_path_factory):
    """An empty store: to copy one is faster than to make one."""
    path = tmp_path_factory.mktemp("store") / "empty.sqlite"
    open_store(str(path)).close()
    return path


@pytest.fixture
def place(tmp_path, monkeypatch, empty):
    path = tmp_path / "annotations.sqlite"
    shutil.copy(empty, path)
    monkeypatch.setenv("WSISAM_STORE", str(path))
    return path


@pytest.fixture(params=["store", "server"])
def where(request, place):
    """The options that say where annotations are: none, or a server."""
    if request.param == "store":
        yield []
        return
    serving = Serving(str(place), Limits())
    yield ["--server", serving.target]
    serving.stop()


@pytest.fixture
def slide(tmp_path):
    path = tmp_path / "case 7.png"
    write_picture(path)
    return path


@pytest.fixture
def other(tmp_path):
    path = tmp_path / "case 8.png"
    Image.new("RGB", (900, 700), (200, 150, 180)).save(path)
    return path


@pytest.fixture
def faults():
    """The folder of small inputs out of reports about other programs."""
    folder = Path(os.environ.get("WSISAM_SHARED", REPOSITORY.parent / "shared")) / "faults"
    if not folder.is_dir():
        pytest.skip("needs ../shared/faults")
    return folder


def run(*arguments, status=0):
    done = CliRunner().invoke(main, [str(argument) for argument in arguments])
    assert done.exit_code == status, done.output
    assert "Traceback" not in done.output
    return done.output


def stored(place):
    with open_store(str(place)) as store:
        return list(store.listing(AnnotationFilter(), after=0, limit=10_000).annotations)


def square(x, annotation_id=None, y=0, **properties):
    ring = [[x, y], [x + 10, y], [x + 10, y + 10], [x, y + 10], [x, y]]
    return {
        "type": "Feature",
        "id": annotation_id or str(uuid.uuid4()),
        "geometry": {"type": "Polygon", "coordinates": [ring]},
        "properties": {"objectType": "annotation", **properties},
    }


@pytest.fixture
def geojson(tmp_path):
    def write(*features, name="in.geojson"):
        path = tmp_path / name
        path.write_text(json.dumps({"type": "FeatureCollection", "features": features}))
        return path

    return write


def asap(path, *vertices):
    marks = "".join(f'<Coordinate Order="{n}" X="{x}" Y="{y}"/>' for n, (x, y) in enumerate(vertices))
    path.write_text(
        '<ASAP_Annotations><Annotations><Annotation Name="a" Type="Polygon" PartOfGroup="None">'
        f"<Coordinates>{marks}</Coordinates></Annotation></Annotations></ASAP_Annotations>"
    )
    return path


# What cannot be stored is left out


def test_each_of_some_bad_ones_costs_itself_only(where, slide, geojson, place):
    far = square(2.0**27)
    crossed = {**square(0), "geometry": {"type": "Polygon", "coordinates": [BOWTIE]}}
    class_name = square(30, classification="x" * 513)
    path = geojson(square(0), {**square(0), "geometry": {}}, crossed, class_name, square(0, metadata=7), far)
    shown = run("import", path, "--slide", slide, "--repair", *where)
    assert "3 new annotations, 0 changed, 0 as they were, 3 left out" in shown
    assert f"feature 4 (id {class_name['id']}): the name of its class: it has 513 characters" in shown
    assert f"feature 6 (id {far['id']}): its shape cannot be stored: a coordinate is no number, or beyond" in shown
    assert "left out: 1 annotations without a shape" in shown
    assert "ignored 1 times: metadata that are no texts" in shown
    assert len(stored(place)) == 3


def test_one_with_too_many_vertices_costs_itself_only(slide, geojson, place):
    many = square(0)
    many["geometry"]["coordinates"] = [[[n % 700, n // 700] for n in range(500_500)]]
    shown = run("import", geojson(many, square(0)), "--slide", slide)
    assert f"feature 1 (id {many['id']}): it has 500,501 vertices, and 500,000 are the most" in shown
    assert "1 new annotations, 0 changed, 0 as they were, 1 left out" in shown


def test_a_server_may_have_other_limits(slide, geojson, place):
    """What only the server refuses is left out, too, one by one."""
    serving = Serving(str(place), Limits(vertices_per_annotation=8))
    try:
        round_ = {**square(0), "geometry": {"type": "LineString", "coordinates": [[n, n % 2] for n in range(20)]}}
        path = geojson(square(0), round_, square(50), {**round_, "id": str(uuid.uuid4())})
        shown = run("import", path, "--slide", slide, "--server", serving.target)
    finally:
        serving.stop()
    assert f"feature 2 (id {round_['id']}): its shape cannot be stored: it has 20 vertices" in shown
    assert "2 new annotations, 0 changed, 0 as they were, 2 left out" in shown
    assert len(stored(place)) == 2


def test_nothing_that_can_be_stored_is_an_error(where, slide, geojson, place):
    shown = run("import", geojson({**square(0), "geometry": {}}), "--slide", slide, *where, status=1)
    assert "nothing was stored, 1 left out" in shown
    assert stored(place) == []


def test_damaged_files(place, tmp_path):
    """As in tests/annotations/formats, through the command: each count is said, and is what the store has."""
    path = tmp_path / "in.file"
    succeeded = 0
    for number in range(7, 1000, 33):
        file = made(number)
        path.write_bytes(file.data)
        options = ["--slide-id", f"slide {number}", "--offset", "0,0", "--repair"]
        done = CliRunner().invoke(main, ["import", str(path), *options])
        assert done.exception is None or isinstance(done.exception, SystemExit), number
        assert done.exit_code in {0, 1}
        kept = [one.content for one in stored(place) if one.content.slide_id == f"slide {number}"]
        counts = re.search(r"(\d+) new annotations, 0 changed, 0 as they were(?:, (\d+) left out)?\n", done.output)
        assert (done.exit_code == 0) is (counts is not None)
        assert len(kept) == (int(counts[1]) if counts else 0)
        if file.objects is not None:
            assert len(kept) + int(counts[2] or 0) == file.objects
            assert file.good <= {one.name for one in kept}
        succeeded += done.exit_code == 0
    assert succeeded > 20


def test_packed_files_say_which_of_them_it_is(slide, tmp_path, place):
    packed = tmp_path / "in.geojson.gz"
    packed.write_bytes(gzip.compress(json.dumps([square(0), {**square(0), "geometry": None}]).encode()))
    shown = run("import", packed, "--slide", slide)
    assert "in.geojson.gz: left out: 1 annotations without a shape" in shown
    assert "1 new annotations, 0 changed, 0 as they were, 1 left out" in shown


# Ids that others have


def test_an_id_that_is_there_twice(where, slide, geojson, place):
    same = str(uuid.uuid4())
    path = geojson(square(0, same), square(50, same), square(50, same), square(90))
    shown = run("import", path, "--slide", slide, *where)
    assert f"feature 2 (id {same}): its id is there twice" in shown
    assert "--new-ids" in shown
    assert "2 new annotations, 0 changed, 0 as they were, 2 left out" in shown
    # The two others say the same of one place: they are one.
    shown = run("import", path, "--slide", slide, "--new-ids", *where)
    assert "1 new annotations, 0 changed, 2 as they were, 1 left out" in shown
    assert "0 new annotations, 0 changed, 3 as they were, 1 left out" in run(
        "import", path, "--slide", slide, "--new-ids", *where
    )
    assert {one.content.shape.bounds[0] for one in stored(place)} == {0, 50, 90}


def test_ids_that_lie_on_another_slide(where, slide, other, geojson, place):
    """As of a project's entry that was duplicated, or of a slide that was scanned again."""
    copied = [square(20 * number) for number in range(30)]
    run("import", geojson(*copied), "--slide", slide, *where)
    path = geojson(*copied, square(0, y=50))
    for update in ([], ["--update"]):
        shown = run("import", path, "--slide", other, *update, *where)
        assert "left out: 30 annotations whose ids the store has on another slide (case 7.png)" in shown
        assert "--new-ids" in shown
        assert "30 left out" in shown
    assert len(stored(place)) == 31
    assert "30 new annotations, 0 changed, 1 as they were" in run("import", path, "--slide", other, "--new-ids", *where)
    assert "0 new annotations, 0 changed, 31 as they were" in run("import", path, "--slide", other, "--new-ids", *where)
    # A changed file is the same annotations, changed.
    copied[0]["properties"]["name"] = "changed"
    shown = run("import", geojson(*copied), "--slide", other, "--new-ids", *where, status=1)
    assert "1 of 30 annotations are in the store with another content" in shown
    shown = run("import", geojson(*copied), "--slide", other, "--new-ids", "--update", *where)
    assert "0 new annotations, 1 changed, 29 as they were" in shown
    assert len(stored(place)) == 61


def test_all_ids_on_another_slide_is_an_error(where, slide, other, geojson, place):
    path = geojson(square(0))
    run("import", path, "--slide", slide, *where)
    assert "nothing was stored" in run("import", path, "--slide", other, *where, status=1)


# Files of other slides


def test_a_file_of_another_slide(where, slide, geojson, place):
    path = geojson(square(0), square(5000), square(0, y=5000))
    shown = run("import", path, "--slide", slide, *where, status=1)
    assert "2 of 3 annotations lie wholly outside the slide (900 x 700 px)" in shown
    assert "nothing was stored" in shown
    assert "--outside keep" in shown
    assert "3 new" in run("import", path, "--slide", slide, "--outside", "keep", *where)
    # One whose file is not here, but of which the store knows the size.
    slide_id = stored(place)[0].content.slide_id
    path = geojson(square(5000), name="again.geojson")
    assert "--outside" in run("import", path, "--slide-id", slide_id, *where, status=1)


def test_a_few_outside_are_kept_and_said(where, slide, geojson, place):
    away = square(5000)
    shown = run("import", geojson(square(0), away), "--slide", slide, *where)
    assert "1 of 2 annotations lie wholly outside the slide" in shown
    assert away["id"] in shown
    assert "2 new annotations" in shown


def test_where_the_slide_is_not_known_by_its_size_nothing_is_outside(where, geojson, place):
    assert "1 new" in run("import", geojson(square(5000)), "--slide-id", "x", *where)


# Formats that count from the corner of the whole frame


def test_the_whole_frame_of_a_slide_that_is_not_here(where, tmp_path, place):
    path = asap(tmp_path / "in.xml", (700, 500), (800, 500), (800, 600))
    shown = run("import", path, "--slide-id", "x", *where, status=1)
    assert "ASAP counts from the corner of the whole scanned frame" in shown
    assert "--offset" in shown
    run("import", path, "--slide-id", "x", "--offset", "512,256", *where)
    (one,) = stored(place)
    assert one.content.shape.exterior.coords[0] == (188, 244)


def test_the_file_knows_better_where_the_slide_begins(slide, tmp_path, place):
    path = asap(tmp_path / "in.xml", (70, 50), (80, 50), (80, 60))
    assert "begins at 0,0" in run("import", path, "--slide", slide, "--offset", "5,5", status=2)
    assert "X,Y" in run("import", path, "--slide", slide, "--offset", "5", status=2)
    run("import", path, "--slide", slide, "--offset", "0,0")
    assert stored(place)[0].content.shape.exterior.coords[0] == (70, 50)


@pytest.mark.parametrize("kind", ["asap", "imagescope"])
def test_a_slide_with_bounds(where, kind, tmp_path, place):
    """MIRAX, Leica, Hamamatsu and sparse TIFF place the scan within a larger frame."""
    corners = [(700, 500), (800, 500), (800, 600)]
    path = asap(tmp_path / "in.xml", *corners)
    if kind == "imagescope":
        marks = "".join(f'<Vertex X="{x}" Y="{y}"/>' for x, y in corners)
        path.write_text(
            f"<Annotations><Annotation><Regions><Region><Vertices>{marks}</Vertices></Region></Regions></Annotation>"
            "</Annotations>"
        )
    run("import", path, "--slide", sparse_slide(tmp_path / "sparse.tif"), *where)
    (one,) = stored(place)
    assert one.content.shape.exterior.coords[0] == (188, 244)


def test_a_slide_with_bounds_out_of_a_report(faults, place):
    folder = faults / "28-asap-bounds"
    run("import", folder / "a.xml", "--slide", folder / "bounds.tif")
    (one,) = stored(place)
    assert one.content.shape.exterior.coords[0] == (188, 244)


# Commands that only read


def test_a_mistyped_store_is_not_made(tmp_path):
    wrong = tmp_path / "anotations.sqlite"
    assert "there is no store at" in run("export", tmp_path / "out.geojson", "--store", wrong, status=1)
    assert "there is no store at" in run("replay", "--store", wrong, status=1)
    assert not wrong.exists()


# Files of reports about other programs


@pytest.mark.parametrize(
    ("name", "kept", "left_out"),
    [
        ("01-gzip/a.geojson.gz", 1, 0),
        ("02-zip/a.zip", 1, 0),
        ("03-childobjects/a.geojson", 2, 0),
        ("03-childobjects/root.geojson", 2, 0),
        ("03-childobjects/hierarchy.json", 2, 0),
        ("04-z-coordinate/a.geojson", 2, 0),
        ("06-geometrycollection/a.geojson", 2, 0),
        *((f"07-class-null/{letter}.geojson", 2 if letter == "a" else 1, 0) for letter in "abcde"),
        ("11-metadata/a.geojson", 1, 0),
        ("12-names/a.geojson", 4, 0),
        ("12-names/b.geojson", 0, 1),
        ("12-names/c.geojson", 0, 1),
        ("13-class-names/a.geojson", 6, 0),
        ("14-duplicate-ids/a.geojson", 2, 1),
        ("17-asap-decimal-comma/a.xml", 1, 0),
        ("19-asap-groups/a.xml", 5, 3),
        *((f"19c-asap-colour/{letter}.xml", 1, 0) for letter in "abcd"),
        ("20-asap-attributes/a.xml", 1, 1),
        ("20-asap-attributes/b.xml", 1, 0),
        ("20-asap-attributes/bowtie.xml", 2, 0),
        ("20-asap-attributes/c.xml", 0, 0),
        ("20-asap-attributes/dupclose.xml", 1, 2),
        ("20-asap-attributes/namespace.xml", 1, 0),
        ("20-asap-attributes/noext", 1, 0),
        ("20-asap-attributes/upper.XML", 1, 0),
        ("31-ellipse/a.geojson", 1, 0),
        ("34-no-roi/a.geojson", 0, 1),
        ("35-empty-part/a.geojson", 1, 0),
    ],
)
def test_files_out_of_reports(name, kept, left_out, faults, tmp_path, place):
    large = tmp_path / "large.png"
    Image.new("1", (2000, 1500)).save(large)
    shown = run("import", faults / name, "--slide", large, "--repair", status=0 if kept else 1)
    assert f"{kept} new annotations" in shown if kept else "nothing was stored" in shown
    assert (f"{left_out} left out" in shown) is bool(left_out)
    found = [one.content for one in stored(place)] if kept else []
    assert len(found) == kept
    assert not any(one.path_class and one.path_class.name in {"None", ""} for one in found)
    if name.startswith("11"):
        assert found[0].metadata == {"n": "5", "list": "[1, 2]", "b": "true", "o": '{"x": 1}'}
    if name == "12-names/a.geojson":
        assert [one.name for one in found[1:]] == ["0", "false", "12"]
    if name.startswith("17"):
        assert found[0].shape.bounds == (10.5, 10.25, 110.5, 110.25)
    if name.startswith("19c"):
        assert found[0].path_class.rgb == (0x64FE2E if name.endswith("b.xml") else None)


def test_a_copied_id_out_of_a_report(faults, slide, other, place):
    path = faults / "15-same-id-two-slides/a.geojson"
    run("import", path, "--slide", slide)
    assert "--new-ids" in run("import", path, "--slide", other, status=1)
    assert "1 new" in run("import", path, "--slide", other, "--new-ids")
    assert len({one.id for one in stored(place)}) == 2
