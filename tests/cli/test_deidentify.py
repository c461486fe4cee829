"""`--deidentify`: no name, path or file of a patient or colleague is in what leaves the lab, byte by byte."""

import json
import logging
import os
import re
import shutil
import struct
import uuid
from datetime import datetime, timezone

import pytest
import shapely
from click.testing import CliRunner
from PIL import Image, PngImagePlugin

from support.server import write_picture
from wsisam_server.annotations.formats import deidentifying
from wsisam_server.annotations.store import Content, Draft, PathClass, Provenance, SlideRecord, open_store
from wsisam_server.annotations.sync.model import Image as EntryImage
from wsisam_server.annotations.sync.report import ImageReport, Outcome, Report
from wsisam_server.cli import main
from wsisam_server.core.geometry import Box, SlideSize
from wsisam_server.core.prompt import SlidePrompt
from wsisam_server.core.pseudonyms import Pseudonyms, SaltError, read_salt
from wsisam_server.service.interceptors import LogContext
from wsisam_server.slides import fingerprint

PICTURE = SlideSize(900, 700)
PATIENT = "Müller, Anna *1957"
IDENTIFYING = ("Müller", "M%C3%BCller", "M\\u00fcller", "Anna", "1957", "schulze", "H24-01234", "Klinik", "2.25.4711")
"""What must be nowhere: a patient, a pathologist, a case, a project, an id of an old record."""


@pytest.fixture
def patients(tmp_path):
    """A folder that is named after a patient, as in a lab's archive."""
    folder = tmp_path / "archive" / PATIENT
    folder.mkdir(parents=True)
    return folder


@pytest.fixture
def slide(patients):
    """A slide whose name and header say whose it is."""
    path = patients / "H24-01234 HE.png"
    write_picture(path)
    said = PngImagePlugin.PngInfo()
    said.add_text("Comment", f"Patient {PATIENT}, Klinik, 2.25.4711")
    exif = Image.Exif()
    exif[0x010E] = "H24-01234 Anna"
    with Image.open(path) as image:
        image.load()
        image.save(path, pnginfo=said, exif=exif)
    return path


@pytest.fixture
def place(tmp_path, slide):
    return stored(tmp_path / "Klinik.sqlite", [slide])


def stored(path, slides, size=PICTURE):
    made = Provenance("wsisam-lite", "ab" * 32, SlidePrompt(box=Box(100, 100, 160, 160)), score=0.9)
    with open_store(str(path)) as store:
        for slide in slides:
            record = SlideRecord(fingerprint(slide), (slide.as_uri(), str(slide)), size)
            contents = [
                Content(record.slide_id, shapely.box(100, 100, 160, 160), PathClass("Gland"), name="H24-01234 gland 1",
                        project="Klinik Colon", provenance=made, metadata={"patient": PATIENT, "comment": "ask schulze"}),
                Content(record.slide_id, shapely.box(300, 300, 400, 380), PathClass("Tumor"), name="gland 2",
                        measurements={"Area": 8000.0}),
            ]  # fmt: skip
            drafts = [Draft(uuid.uuid4(), content) for content in contents]
            store.save(drafts[:1], author="anna.schulze", request_id=uuid.uuid4().hex, slides=[record])
            store.save(drafts[1:], author="qupath:anna.schulze", request_id=uuid.uuid4().hex)
    return path


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "home"))

    def call(*words, status=0):
        done = CliRunner().invoke(main, [str(word) for word in words])
        assert done.exit_code == status, done.output
        return done

    return call


def assert_nobody_is_in(path, more=()):
    """Reads names and bytes of a file, or of all below a folder."""
    files = [path] if path.is_file() else sorted(one for one in path.rglob("*") if one.is_file())
    assert files
    for file in files:
        said = f"{file.relative_to(path.parent)}".encode() + b"\n" + file.read_bytes()
        for word in (*IDENTIFYING, *more):
            assert word.lower().encode() not in said.lower(), (file, word)
        if file.suffix == ".png":
            assert set(chunks(file)) == {b"IHDR", b"IDAT", b"IEND"}


def chunks(path):
    """The kinds of a PNG's chunks: text, EXIF, times and profiles would be ones of their own."""
    data, at = path.read_bytes(), 8
    while at < len(data):
        length, kind = struct.unpack(">I4s", data[at : at + 8])
        yield kind
        at += 12 + length


def test_the_examples_do_identify(run, place, slide, tmp_path):
    """So that the other tests can fail: without the option, all of it is there."""
    run("export", tmp_path / "out.geojson", "--store", place)
    run("dataset", place, tmp_path / "set", "--window", 64)
    said = (tmp_path / "out.geojson").read_text() + "".join(
        f"{path}{path.read_text(errors='replace')}" for path in (tmp_path / "set").rglob("*") if path.is_file()
    )
    assert all(word in said for word in ("Müller", "schulze", "H24-01234", "Klinik"))
    assert set(chunks(slide)) & {b"tEXt", b"iTXt"}
    assert b"eXIf" in set(chunks(slide))


def test_geojson(run, place, tmp_path):
    out = tmp_path / "out.geojson"
    done = run("export", out, "--store", place, "--deidentify")
    assert_nobody_is_in(out)
    first, second = json.loads(out.read_text())["features"]
    assert re.fullmatch("name-[0-9a-f]{16}", first["properties"]["name"])
    assert first["properties"]["name"] != second["properties"]["name"]
    assert first["properties"]["metadata"]["wsisam.model"] == "wsisam-lite"
    assert second["properties"]["measurements"] == {"Area": 8000.0}
    assert "deidentified: left out: comment (1), patient (1)" in done.stderr
    assert "2 name(s)" in done.stderr


def test_names_that_match_a_pattern(run, place, tmp_path):
    out = tmp_path / "out.geojson"
    done = run("export", out, "--store", place, "--deidentify", "--deidentify-names", r"H\d\d-\d+")
    assert_nobody_is_in(out)
    names = [one["properties"]["name"] for one in json.loads(out.read_text())["features"]]
    assert re.fullmatch("name-[0-9a-f]{16}", names[0])
    assert names[1] == "gland 2"
    assert "kept: 1 name(s)" in done.stderr


def test_coco(run, place, tmp_path):
    out = tmp_path / "out.json"
    run("export", out, "--format", "coco", "--store", place, "--deidentify", "--class", "Gland")
    assert_nobody_is_in(out)
    said = json.loads(out.read_text())
    assert deidentifying.SLIDE.fullmatch(said["images"][0]["file_name"])
    assert said["images"][0]["file_name"].endswith(".png")
    # An id counts all classes of the store, whose names stay there.
    assert said["categories"] == [{"id": 1, "name": "Gland"}]


def test_a_folder_of_geojson(run, place, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    run("export", out, "--store", place, "--deidentify")
    (file,) = out.iterdir()
    assert_nobody_is_in(out)
    run("export", out, "--store", place, "--deidentify")
    assert [*out.iterdir()] == [file], "the same name again"
    (out / "H24-01234 HE.png.geojson").write_text("{}")
    assert "name an empty folder" in run("export", out, "--store", place, "--deidentify", status=1).stderr


def test_a_data_set(run, place, tmp_path):
    out = tmp_path / "set"
    done = run("dataset", place, out, "--window", 64, "--case", "(H24)", "--author", "anna.schulze", "--deidentify")
    assert_nobody_is_in(out)
    record = json.loads((out / "dataset.json").read_text())
    assert record["deidentified"]["replaced"] == {"author": 1, "slide": 1}
    assert str(tmp_path) not in (out / "dataset.json").read_text()
    assert record["source"]["author"].startswith("author-")
    assert "deidentified: replaced: 1 author(s)" in done.stderr
    before = {path: path.read_bytes() for path in out.rglob("*.png")}
    run("dataset", place, out, "--window", 64, "--deidentify")
    assert before.keys() <= {*out.rglob("*.png")}, "the same salt, the same names"
    telling = tmp_path / "telling"
    run("dataset", place, telling, "--window", 64)
    assert "name an empty folder" in run("dataset", place, telling, "--window", 64, "--deidentify", status=1).stderr


def test_an_author_is_one_whichever_way_they_came(run, place, tmp_path):
    run("dataset", place, tmp_path / "set", "--window", 64, "--deidentify")
    table = (tmp_path / "set" / "labels.csv").read_text()
    assert len(set(re.findall(r"author-[0-9a-f]{16}", table))) == 1
    assert len(re.findall(r"qupath:author-[0-9a-f]{16}", table)) == 1


@pytest.mark.slow
def test_headers_of_real_slides_do_not_travel(run, real_slides, patients, tmp_path):
    """Aperio's description, DICOM's UIDs and the label images of scanners stay where they are."""
    svs = patients / "H24-01234.svs"
    svs.symlink_to(real_slides / "CMU-1-Small-Region.svs")
    dicom = patients / "H24-01234 dicom"
    shutil.copytree(real_slides / "CMU-1-Small-Region-dicom", dicom)
    one = min(dicom.iterdir())
    place = stored(tmp_path / "Klinik.sqlite", [svs, one], SlideSize(2220, 2967))
    run("dataset", place, tmp_path / "set", "--window", 256, "--deidentify", "--val", 0)
    names = [path.stem for path in dicom.iterdir()]
    assert_nobody_is_in(tmp_path / "set", ("Aperio", "ScanScope", "CMU", "1.2.826", *names, str(tmp_path)))
    assert len([*(tmp_path / "set" / "images").iterdir()]) == 2


def test_a_report_of_a_sync(tmp_path):
    deidentifier = deidentifying.Deidentifier(Pseudonyms(b"s" * 32))
    image = EntryImage("1", f"{PATIENT} H24-01234.svs", (f"file:///archive/{PATIENT}/H24-01234.svs",))
    done = ImageReport(image, Outcome.SYNCED, "slide", problems=[f"'{PATIENT}' is on another plane"], gone=["Anna"])
    report = Report(f"/Klinik/{PATIENT}/project.qpproj", "schulze@db", dry_run=False, images=[done], notes=["Klinik"])
    said = report.as_json()
    said["images"][0]["annotations"] = [
        {"id": str(uuid.UUID(int=1, version=4)), "name": "H24-01234 gland", "store_author": "anna.schulze",
         "reason": "changed in QuPath (name) and in the store (name, by anna.schulze)", "action": "conflict"},
        {"id": str(uuid.uuid5(uuid.NAMESPACE_URL, PATIENT)), "name": "", "store_author": None, "reason": "new", "action": "add"},
    ]  # fmt: skip
    out = tmp_path / "report.json"
    out.write_text(json.dumps(deidentifier.sync_report(said), ensure_ascii=False))
    assert_nobody_is_in(out)
    cleaned = json.loads(out.read_text())
    assert [one["action"] for one in cleaned["images"][0]["annotations"]] == ["conflict", "add"]
    assert "changed in QuPath (name) and in the store (name, by author-" in out.read_text()
    assert deidentifier.left_out == {"texts": 3}
    ids = [one["id"] for one in cleaned["images"][0]["annotations"]]
    assert ids[0] == str(uuid.UUID(int=1, version=4))
    assert ids[1] != str(uuid.uuid5(uuid.NAMESPACE_URL, PATIENT))


def test_ids_that_are_made_of_names_are_replaced(run, slide, tmp_path):
    """An import without ids makes them of all that the object says, without a secret: names could be tried."""
    ring = [[10, 10], [90, 10], [90, 90], [10, 10]]
    one = {"type": "Feature", "geometry": {"type": "Polygon", "coordinates": [ring]}, "properties": {"name": PATIENT}}
    drawn, store = tmp_path / "drawn.geojson", tmp_path / "a.sqlite"
    drawn.write_text(json.dumps(one))
    run("import", drawn, "--slide", slide, "--store", store)
    ids = {}
    for more in ([], ["--deidentify"], ["--deidentify"]):
        run("export", tmp_path / "out.geojson", "--store", store, *more)
        (feature,) = json.loads((tmp_path / "out.geojson").read_text())["features"]
        ids.setdefault(bool(more), set()).add(feature["id"])
        run("dataset", store, tmp_path / f"set {len(more)}", "--window", 64, *more)
        assert feature["id"] in (tmp_path / f"set {len(more)}" / "labels.csv").read_text()
    assert len(ids[True]) == len(ids[False]) == 1
    assert not ids[True] & ids[False]
    assert {uuid.UUID(one).version for one in ids[True]} == {4}


def test_versions_that_are_digests_of_names_are_replaced():
    deidentifier = deidentifying.Deidentifier(Pseudonyms(b"s" * 32))
    assert deidentifier.version("17") == "17"
    assert re.fullmatch("version-[0-9a-f]{16}", deidentifier.version("02093be3333afdf371294e1ca742d0b2"))


def test_a_sync_hides_nothing_without_a_report(run, tmp_path):
    assert "--json" in run("sync", tmp_path / "a.qpproj", "--deidentify", status=2).stderr


@pytest.mark.parametrize("words", [["--deidentify-salt", "s"], ["--deidentify-names", "x"]])
def test_options_that_do_nothing_alone_are_refused(run, place, tmp_path, words):
    assert "go with --deidentify" in run("export", tmp_path / "o.geojson", "--store", place, *words, status=2).stderr


def test_no_pattern(run, place, tmp_path):
    words = ("export", tmp_path / "o.geojson", "--store", place, "--deidentify", "--deidentify-names", "(")
    assert "no regular expression" in run(*words, status=2).stderr


def test_the_salt_is_made_once_for_its_owner_alone(run, place, tmp_path):
    out, salt = tmp_path / "out.geojson", tmp_path / "folder" / "salt"
    run("export", out, "--store", place, "--deidentify", "--deidentify-salt", salt)
    first, made = out.read_text(), salt.read_bytes()
    if os.name == "posix":
        assert salt.stat().st_mode & 0o777 == 0o600
    run("export", out, "--store", place, "--deidentify", "--deidentify-salt", salt)
    assert (out.read_text(), salt.read_bytes()) == (first, made)
    run("export", out, "--store", place, "--deidentify", "--deidentify-salt", tmp_path / "another")
    assert out.read_text() != first
    run("export", out, "--store", place, "--deidentify")
    assert (tmp_path / "home" / "wsisam" / "deidentify.salt").is_file()


def test_a_salt_that_can_be_guessed_is_refused(tmp_path):
    (tmp_path / "salt").write_text("secret\n")
    with pytest.raises(SaltError, match="6 characters"):
        read_salt(tmp_path / "salt")
    with pytest.raises(SaltError, match="cannot be read"):
        read_salt(tmp_path)


def test_replacements_are_hmac_sha256():
    import hashlib
    import hmac

    expected = hmac.new(b"salt", b"author\0anna", hashlib.sha256).hexdigest()[:16]
    pseudonyms = Pseudonyms(b"salt")
    assert pseudonyms.of("author", "anna") == f"author-{expected}"
    assert pseudonyms.of("slide", "anna") != f"slide-{expected}"
    assert pseudonyms.of("author", "") == ""
    assert Pseudonyms(b"other").of("author", "anna") != pseudonyms.of("author", "anna")
    assert Pseudonyms().of("author", "anna") != Pseudonyms().of("author", "anna")


def test_the_log_has_pseudonyms_of_users_and_paths(monkeypatch):
    from wsisam_server.service.identity import Role, User
    from wsisam_server.service.interceptors import log_records

    monkeypatch.setattr(log_records, "current_user", lambda: User("anna.schulze", Role.ANNOTATOR, ()))
    path = f"/archive/{PATIENT}/H24-01234.svs"
    record = logging.LogRecord("x", logging.INFO, "", 0, "a call of %s: %s", ("ben.schulze", path), None)
    record.path, record.about_user = path, "ben.schulze"
    record.created = datetime.now(timezone.utc).timestamp()
    LogContext(hide_paths=True, hide_users=True, pseudonyms=Pseudonyms(b"s" * 32)).filter(record)
    line = logging.Formatter("%(user)s %(message)s %(path)s %(about_user)s").format(record)
    assert not [word for word in IDENTIFYING if word.lower() in line.lower()]
    assert line.startswith(f"{Pseudonyms(b's' * 32).of('author', 'anna.schulze')} a call of author-")
