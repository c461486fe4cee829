"""`wsisam import`, `export` and `db`, on a store and on a server."""

import json
import re
import sqlite3
import uuid
from dataclasses import replace

import pytest
import shapely
from click.testing import CliRunner

from support.annotations import Serving
from support.self_crossing import zigzags
from support.server import write_picture
from wsisam_server.annotations.formats import geojson as format_
from wsisam_server.annotations.store import AnnotationFilter, Content, Draft, PathClass, SlideRecord, Target, open_store
from wsisam_server.cli import main
from wsisam_server.core.geometry import SlideSize
from wsisam_server.core.settings import Limits

pytestmark = pytest.mark.slow

BOWTIE = [[0, 0], [10, 10], [10, 0], [0, 10], [0, 0]]


@pytest.fixture
def place(tmp_path, monkeypatch):
    path = tmp_path / "annotations.sqlite"
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


def run(*arguments, status=0):
    done = CliRunner().invoke(main, [str(argument) for argument in arguments])
    assert done.exit_code == status, done.output
    assert "Traceback" not in done.output
    return done.output


def square(x, annotation_id=None, **properties):
    ring = [[x, 0], [x + 10, 0], [x + 10, 10.37], [x, 10.37], [x, 0]]
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


def test_what_is_imported_is_exported_as_it_was(where, slide, geojson, tmp_path):
    tumor = {"name": "Tumor", "color": [200, 0, 0]}
    features = [square(0, classification=tumor, name="a"), square(50, measurements={"Area": 103.7})]
    shown = run("import", geojson(*features), "--slide", slide, "--project", "P", *where)
    assert "2 new annotations, 0 changed, 0 as they were" in shown
    out = tmp_path / "out.geojson"
    assert "2 annotations" in run("export", out, "--slide", slide, *where)
    assert json.loads(out.read_text())["features"] == features
    # Once more, both change nothing.
    before = out.read_bytes()
    assert "0 new annotations, 0 changed, 2 as they were" in run(
        "import", out, "--slide", slide, "--project", "P", *where
    )
    run("export", out, "--slide", slide, *where)
    assert out.read_bytes() == before


def test_a_refined_outline_that_the_stores_first_form_took_is_as_it_was(where, slide, geojson, place):
    """That form left the scales of its border in the metadata."""
    said = {"wsisam.model": "m", "wsisam.weights": "ab" * 32, "wsisam.levels": "[[2,1],[1,7]]"}
    path = geojson(square(0, metadata=said))
    run("import", geojson(square(50), name="other.geojson"), "--slide", slide, *where)
    with open_store(str(place)) as store:
        (known,) = store.listing(AnnotationFilter(), after=0, limit=9).annotations
        (draft,) = format_.read(path.read_text(), known.content.slide_id, "").drafts
        levels = {"wsisam.levels": said["wsisam.levels"]}
        then = replace(draft.content, provenance=replace(draft.content.provenance, levels=()), metadata=levels)
        store.save([replace(draft, content=then)], author="anna", request_id=uuid.uuid4().hex)
    for _ in range(2):
        assert "0 new annotations, 0 changed, 1 as they were" in run("import", path, "--slide", slide, *where)


def test_the_slide_is_known_by_its_content(where, slide, geojson, tmp_path):
    run("import", geojson(square(0)), "--slide", slide, *where)
    moved = slide.rename(tmp_path / "moved.png")
    run("export", tmp_path / "out.geojson", "--slide", moved, *where)
    assert len(json.loads((tmp_path / "out.geojson").read_text())["features"]) == 1


def test_a_file_that_says_something_else_is_refused_until_it_may_win(where, slide, geojson, place):
    same = str(uuid.uuid4())
    run("import", geojson(square(0, same, name="old"), square(70)), "--slide", slide, *where)
    changed = geojson(square(0, same, name="new"), square(90))
    shown = run("import", changed, "--slide", slide, *where, status=1)
    assert "1 of 2 annotations are in the store with another content" in shown
    assert same in shown
    assert "--update" in shown
    with open_store(str(place)) as store:
        assert store.head() == 2
        assert store.get(uuid.UUID(same)).content.name == "old"
    shown = run("import", changed, "--slide", slide, "--update", "--author", "ben", *where)
    assert "1 new annotations, 1 changed, 0 as they were" in shown
    with open_store(str(place)) as store:
        found = store.get(uuid.UUID(same))
        assert (found.content.name, found.author, found.revision) == ("new", "ben", 3)
        assert len(store.history(found.id, after=0, limit=5).annotations) == 2


def test_bad_shapes_are_told_left_out_and_can_be_repaired(where, slide, geojson, place):
    bad = square(0, name="crossed")
    bad["geometry"]["coordinates"] = [BOWTIE]
    path = geojson(bad, square(50))
    shown = run("import", path, "--slide", slide, *where)
    assert f"feature 1 (id {bad['id']}, 'crossed'): its outline crosses itself at (5, 5)" in shown
    assert "left out: 1 of 2 annotations" in shown
    assert "--repair" in shown
    assert "1 new annotations, 0 changed, 0 as they were, 1 left out" in shown
    shown = run("import", path, "--slide", slide, "--repair", *where)
    assert "1 shapes were made valid" in shown
    assert "1 new annotations, 0 changed, 1 as they were" in shown
    with open_store(str(place)) as store:
        kept = {
            one.content.name: one.content.shape
            for one in store.listing(AnnotationFilter(), after=0, limit=5).annotations
        }
    assert kept["crossed"].is_valid
    assert kept["crossed"].area == 50
    assert kept["crossed"].geom_type == "MultiPolygon"


@pytest.mark.parametrize(
    ("rings_of_parts", "area"),
    [
        ([[(0, 100)], [(50, 150)]], 17_500),
        ([[(0, 100)], [(0, 100)]], 10_000),
        ([[(0, 100), (20, 50), (40, 70)]], 8300),
    ],
    ids=["parts", "the same part twice", "holes"],
)
def test_parts_and_holes_that_lie_over_each_other_are_united(place, slide, geojson, rings_of_parts, area):
    """Each square from one coordinate to another, along both axes."""
    bad = square(0)
    parts = [
        [[[x, y] for x, y in shapely.box(a, a, b, b).exterior.coords] for a, b in rings] for rings in rings_of_parts
    ]
    bad["geometry"] = {"type": "MultiPolygon", "coordinates": parts}
    run("import", geojson(bad), "--slide", slide, "--repair")
    with open_store(str(place)) as store:
        (one,) = store.listing(AnnotationFilter(), after=0, limit=5).annotations
    assert one.content.shape.area == area


def test_a_shape_that_cannot_be_repaired_is_told_and_left_out(where, slide, geojson, place):
    bad = square(0)
    bad["geometry"] = shapely.geometry.mapping(zigzags(1000, 900, 700))
    shown = run("import", geojson(bad, square(50)), "--slide", slide, "--repair", *where)
    assert "1 left out: nothing was left, or they cross themselves too often" in shown
    with open_store(str(place)) as store:
        assert store.head() == 1


def test_more_than_fits_into_one_request(where, slide, geojson, place):
    features = [square(20 * number) for number in range(2500)]  # most beyond the slide's right edge
    shown = run("import", geojson(*features), "--slide", slide, "--outside", "keep", *where)
    assert "2500 new annotations" in shown
    with open_store(str(place)) as store:
        assert store.head() == 2500


def test_asap_by_its_name_and_several_files(where, slide, tmp_path, geojson):
    xml = tmp_path / "in.xml"
    xml.write_text(
        '<ASAP_Annotations><Annotations><Annotation Name="a" Type="Dot" PartOfGroup="Tumor">'
        '<Coordinates><Coordinate Order="0" X="5" Y="6"/></Coordinates></Annotation></Annotations>'
        '<AnnotationGroups><Group Name="Tumor" Color="#64FE2E"/></AnnotationGroups></ASAP_Annotations>'
    )
    left_out = square(80, objectType="detection")
    shown = run("import", xml, geojson(square(0), left_out), "--slide", slide, *where)
    assert "2 new annotations" in shown
    assert "left out: 1 objects that are no annotations" in shown
    run("export", tmp_path / "out.geojson", "--class", "Tumor", *where)
    (one,) = json.loads((tmp_path / "out.geojson").read_text())["features"]
    assert one["geometry"] == {"type": "Point", "coordinates": [5, 6]}


def test_exports_of_several_slides(where, slide, geojson, tmp_path):
    run("import", geojson(square(0)), "--slide", slide, "--author", "anna", *where)
    run("import", geojson(square(0)), "--slide-id", "file:///x/case%207.png", "--author", "ben", *where)
    run("import", geojson(square(0)), "--slide-id", "file:///y/other.svs", "--author", "ben", *where)
    shown = run("export", tmp_path / "out.geojson", *where, status=2)
    assert "3 slides" in shown
    folder = tmp_path / "out"
    folder.mkdir()
    run("export", folder, *where)
    names = sorted(path.name for path in folder.iterdir())
    assert len(names) == 3
    assert names[2] == "other.svs.geojson"
    assert all(name.startswith("case 7.png-") for name in names[:2])
    run("export", tmp_path / "anna.geojson", "--author", "anna", *where)
    assert len(json.loads((tmp_path / "anna.geojson").read_text())["features"]) == 1
    assert "no such annotations" in run("export", folder, "--project", "Q", *where, status=1)


def collected(path):
    return json.loads(path.read_text())["features"]


def test_what_is_deleted_is_not_in_an_earlier_file_any_more(where, slide, geojson, place, tmp_path):
    one, other = square(0, classification="Gland"), square(50, classification="Tumor")
    run("import", geojson(one), "--slide", slide, *where)
    run("import", geojson(other), "--slide-id", "file:///x/case%207.png", *where)
    folder, out, coco = tmp_path / "out", tmp_path / "out.geojson", tmp_path / "coco.json"
    folder.mkdir()
    to_file = ("export", out, "--slide", slide, *where)
    to_coco = ("export", coco, "--format", "coco", "--slide", slide, *where)
    for arguments in (to_file, to_coco, ("export", folder, *where)):
        run(*arguments)
    before = {path.name: len(collected(path)) for path in folder.iterdir()}
    assert list(before.values()) == [1, 1]
    (folder / "other.geojson").write_text("somebody else's")
    with open_store(str(place)) as store:
        store.delete([Target(uuid.UUID(one["id"]), 1)], author="anna", request_id=uuid.uuid4().hex)
    assert "there are no such annotations" in run(*to_file)
    assert collected(out) == []
    assert "0 annotations" in run(*to_coco)
    written = json.loads(coco.read_text())
    assert (written["annotations"], [image["file_name"] for image in written["images"]]) == ([], ["case 7.png"])
    assert [one["name"] for one in written["categories"]] == ["Gland", "Tumor"]
    # Each slide's file keeps its name, though one has nothing now.
    run("export", folder, *where)
    after = {path.name: len(collected(path)) for path in folder.iterdir() if path.name in before}
    assert sorted(after.values()) == [0, 1]
    assert (folder / "other.geojson").read_text() == "somebody else's"
    # A folder where nothing was written before gets no empty files.
    new = tmp_path / "new"
    new.mkdir()
    run("export", new, *where)
    assert [len(collected(path)) for path in new.iterdir()] == [1]
    run("export", new, "--slide", slide, *where)
    assert sorted(len(collected(path)) for path in new.iterdir()) == [0, 1]


def ids(path):
    written = json.loads(path.read_text())
    return {one["name"]: one["id"] for one in written["categories"]}


def test_a_class_has_the_same_id_in_every_export(where, slide, geojson, place, tmp_path):
    train, val = tmp_path / "train.json", tmp_path / "val.json"
    gone = square(90, classification="Adipose")
    run("import", geojson(square(0, classification="Tumor"), gone), "--slide", slide, *where)
    run("import", geojson(square(50, classification="Stroma")), "--slide-id", "file:///x/b.png", *where)
    with open_store(str(place)) as store:  # a size, as a server that opened it would have said
        slides = [SlideRecord("file:///x/b.png", (), SlideSize(900, 700))]
        draft = Draft(uuid.uuid4(), Content("file:///x/b.png", shapely.Point(1, 1)))
        store.save([draft], author="a", request_id="size", slides=slides)
    export = ("--format", "coco", *where)
    run("export", train, "--slide", slide, *export)
    run("export", val, "--slide-id", "file:///x/b.png", *export)
    assert ids(train) == ids(val) == {"Adipose": 1, "Stroma": 2, "Tumor": 3, "unclassified": 4}
    with open_store(str(place)) as store:
        found = store.get(uuid.UUID(gone["id"]))
        content = replace(found.content, path_class=PathClass("Tumor"))
        store.save([Draft(found.id, content, found.revision)], author="a", request_id="edit")
    run("export", val, *export)
    assert ids(val) == ids(train)
    # A new class moves what follows it, unless the ids are given.
    run("import", geojson(square(200, classification="Gland")), "--slide", slide, *where)
    run("export", val, *export)
    assert ids(val)["Tumor"] == 4
    shown = run("export", val, "--categories", train, *export)
    assert ids(val) == {**ids(train), "Gland": 5}
    assert "does not have 'Gland', which got the id 5" in shown
    fixed = tmp_path / "fixed.json"
    fixed.write_text('{"Stroma": 9}')
    run("export", val, "--categories", fixed, "--class", " Stroma ", *export)
    assert ids(val) == {"Stroma": 9}


def test_ids_that_cannot_be_read_are_said_before_anything_is_written(place, slide, geojson, tmp_path):
    run("import", geojson(square(0)), "--slide", slide)
    out, fixed = tmp_path / "coco.json", tmp_path / "ids.json"
    fixed.write_text('{"Tumor": "one"}')
    assert "no whole number" in run("export", out, "--format", "coco", "--categories", fixed, status=1)
    assert not out.exists()
    assert "goes with --format coco" in run("export", tmp_path / "o.geojson", "--categories", fixed, status=2)


def test_classes_that_qupath_takes_for_one_are_one(where, slide, geojson, tmp_path):
    names = ["Tumor: Positive", "Tumor:Positive", {"name": " Tumor : Positive "}, " Stroma ", "Stroma", " : "]
    run(
        "import",
        geojson(*(square(20 * n, classification=one) for n, one in enumerate(names))),
        "--slide",
        slide,
        *where,
    )
    out = tmp_path / "coco.json"
    run("export", out, "--format", "coco", *where)
    assert ids(out) == {"Stroma": 1, "Tumor: Positive": 2, "unclassified": 3}
    for name in ("Tumor: Positive", "Tumor:Positive"):
        assert "3 annotations" in run("export", tmp_path / "o.geojson", "--class", name, *where)
    assert {one["properties"]["classification"] for one in collected(tmp_path / "o.geojson")} == {"Tumor: Positive"}


def test_coco_says_which_classes_are_none_to_train_on(place, slide, geojson, tmp_path):
    run("import", geojson(square(0, classification="Region*"), square(20)), "--slide", slide)
    shown = run("export", tmp_path / "coco.json", "--format", "coco")
    assert "note: 1 are of classes that QuPath ignores when it trains: Region*" in shown


def test_coco(where, slide, geojson, tmp_path):
    run("import", geojson(square(0, classification="Gland"), square(50)), "--slide", slide, *where)
    out = tmp_path / "coco.json"
    assert "2 annotations" in run("export", out, "--format", "coco", *where)
    written = json.loads(out.read_text())
    assert (written["images"][0]["width"], written["images"][0]["height"]) == (900, 700)
    assert written["images"][0]["file_name"] == "case 7.png"
    assert {one["name"] for one in written["categories"]} == {"Gland", "unclassified"}
    run("import", geojson(square(0)), "--slide-id", "of unknown size", *where)
    assert "--slide" in run("export", out, "--format", "coco", *where, status=1)
    assert json.loads(out.read_text()) == written


@pytest.mark.parametrize(
    ("arguments", "status", "says"),
    [
        (["import", "{file}"], 2, "--slide-id"),
        (["import", "{file}", "--slide", "{slide}", "--slide-id", "x"], 2, "not both"),
        (["import", "{file}", "--slide", "/nothing.svs"], 1, "--slide-id"),
        (["import", "{file}", "--slide", "{file}"], 1, "cannot be read as an image"),
        (["import", "{slide}", "--slide", "{slide}"], 1, "case 7.png"),
        (["import", "{file}", "--slide", "{slide}", "--format", "asap"], 1, "no XML"),
        (["import", "{file}", "--slide", "{slide}", "--server", "h:1", "--store", "x"], 2, "not both"),
        (["import", "{file}", "--slide", "{slide}", "--server", "127.0.0.1:1"], 1, "No server answers at"),
        (["import", "{file}", "--slide", "{slide}", "--store", "none"], 2, "needs a store"),
        (["import", "{file}", "--slide", "{slide}", "--author", "x" * 200], 1, "author"),
        (["import", "{file}", "--slide", "{slide}", "--store", "mysql://x/y"], 1, "postgresql://"),
        (["export", "{folder}/no/folder.geojson", "--store", "{full}"], 2, "there is no folder"),
        (["export", "{folder}", "--format", "coco", "--store", "{full}"], 2, "name a file"),
    ],
    ids=str,
)
def test_what_is_refused(arguments, status, says, slide, geojson, tmp_path, place):
    full = tmp_path / "full.sqlite"
    file = geojson(square(0))
    run("import", file, "--slide", slide, "--store", full)
    given = [
        text.format(file=file, slide=slide, folder=tmp_path, full=full) if "{" in text else text for text in arguments
    ]
    assert says in run(*given, status=status)


def test_annotations_that_say_the_same_twice_are_stored_once(place, slide, geojson):
    file = geojson(square(0))
    assert "1 new annotations, 0 changed, 0 as they were, 1 left out" in run("import", file, file, "--slide", slide)


# wsisam db


def test_db_check_and_backup(place, slide, geojson, tmp_path):
    run("import", geojson(square(0), square(20)), "--slide", slide)
    assert "2 annotations, 0 deleted, 2 revisions\nno problems" in run("db", "check")
    copy = tmp_path / "copy.sqlite"
    assert str(copy) in run("db", "backup", copy)
    assert "no problems" in run("db", "check", "--store", copy)
    assert "never overwrites" in run("db", "backup", copy, status=1)
    assert "already" in run("db", "upgrade")


@pytest.mark.usefixtures("place")
def test_db_check_tells_a_history_that_is_not_the_one_of_an_earlier_check(slide, geojson):
    run("import", geojson(square(0), square(20)), "--slide", slide)
    newest = run("db", "check").splitlines()[-1].removeprefix("newest digest: ")
    assert re.fullmatch("2:[0-9a-f]{64}", newest)
    assert "no problems" in run("db", "check", "--kept", newest)
    failed = run("db", "check", "--kept", "2:" + "0" * 64, status=1)
    assert "up to revision 2" in failed
    assert "write it as an earlier check did" in run("db", "check", "--kept", "2", status=2)


def test_db_check_says_what_is_wrong(place, slide, geojson):
    run("import", geojson(square(0)), "--slide", slide)
    connection = sqlite3.connect(place)
    with connection:
        connection.execute("UPDATE revision SET name = 'forged'")
    connection.close()
    shown = run("db", "check", status=1)
    assert "PROBLEM revision 1" in shown
    assert "restore the last backup" in shown


def test_db_of_nothing(place, tmp_path):
    for arguments in (["check"], ["upgrade"], ["restored"], ["backup", tmp_path / "b.sqlite"]):
        assert "no store at" in run("db", *arguments, status=1)
    assert not place.exists()


def test_db_backup_of_postgresql_says_how(postgres, tmp_path):
    url = postgres()
    open_store(url).close()
    assert "pg_dump" in run("db", "backup", tmp_path / "b.sqlite", "--store", url, status=1)


@pytest.mark.parametrize("subcommand", ["upgrade", "check", "backup", "restored"])
def test_every_command_of_db_has_help_with_an_example(subcommand):
    assert "Example: wsisam db" in run("db", subcommand, "--help")


def test_a_machine_that_is_to_have_no_store_uses_a_servers(where, slide, geojson, tmp_path, monkeypatch):
    """As where an administrator sets WSISAM_STORE=none, so that nobody keeps annotations beside the lab's."""
    monkeypatch.setenv("WSISAM_STORE", "none")
    status = 0 if where else 2
    said = run("import", geojson(square(0)), "--slide", slide, *where, status=status)
    assert ("1 new" if where else "this command needs a store") in said
    said = run("export", tmp_path / "out.geojson", *where, status=status)
    assert ("1 annotations" if where else "this command needs a store") in said
