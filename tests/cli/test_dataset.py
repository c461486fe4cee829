"""`wsisam dataset`, from annotations in a store to a manifest that `wsisam evaluate` reads."""

import csv
import json
import uuid

import pytest
from click.testing import CliRunner

from support.annotations import Serving
from support.drawn import square
from support.server import write_picture
from wsisam_server.annotations.store import (
    AnnotationFilter,
    Content,
    Draft,
    PathClass,
    Provenance,
    SlideRecord,
    Target,
    open_store,
)
from wsisam_server.cli import main
from wsisam_server.core.geometry import Box
from wsisam_server.core.prompt import SlidePrompt
from wsisam_server.core.settings import Limits
from wsisam_server.learning.datasets import read_manifest
from wsisam_server.slides import fingerprint

pytestmark = pytest.mark.slow


def run(*arguments, status=0):
    done = CliRunner().invoke(main, ["dataset", *map(str, arguments)])
    assert done.exit_code == status, done.output
    assert "Traceback" not in done.output
    return done.output


@pytest.fixture
def place(tmp_path):
    """A store with glands and nuclei of two authors on two slides."""
    path = tmp_path / "annotations.sqlite"
    made = Provenance("wsisam-lite", "ab" * 32, SlidePrompt(box=Box(0, 0, 9, 9)))
    with open_store(str(path)) as store:
        for seed, author in enumerate(("anna", "ben")):
            slide = tmp_path / f"case-{seed}.png"
            write_picture(slide, seed)
            record = SlideRecord(fingerprint(slide), (slide.as_uri(),))
            shapes = {"Gland": square(100, 100, 90).shape, "Nucleus": square(400, 300, 20).shape}
            drafts = [
                Draft(uuid.uuid4(), Content(record.slide_id, shape, PathClass(name), project="P", provenance=made))
                for name, shape in shapes.items()
            ]
            store.save(drafts, author=author, request_id=uuid.uuid4().hex, slides=[record])
        gone = Draft(uuid.uuid4(), Content(record.slide_id, square(600, 300, 20).shape, PathClass("Gland")))
        (saved,) = store.save([gone], author="ben", request_id="gone")
        store.delete([Target(gone.id, saved.revision)], author="ben", request_id="and away")
    return path


@pytest.mark.parametrize("served", [False, True])
def test_from_a_store_or_a_server(place, tmp_path, served):
    out = tmp_path / "out"
    if served:
        serving = Serving(str(place), Limits())
    try:
        shown = run(serving.target if served else place, out)
    finally:
        if served:
            serving.stop()
    assert "manifest.csv" in shown
    assert {row.split for row in read_manifest(out / "manifest.csv")} == {"train", "val"}
    said = list(csv.DictReader((out / "labels.csv").read_text().splitlines()))
    assert sorted(row["version"] for row in said) == ["1", "2", "3", "4"]
    assert {row["model"] for row in said} == {"wsisam-lite"}
    assert json.loads((out / "dataset.json").read_text())["source"]["revision"] == 6


@pytest.mark.parametrize(
    ("options", "versions"),
    [
        (["--class", "Gland"], "13"),
        (["--class", "Gland", "--class", "Nucleus"], "1234"),
        (["--author", "ben"], "34"),
        (["--since", "1"], "234"),
        (["--project", "P", "--since", "3"], "4"),
    ],
)
def test_filters(place, tmp_path, options, versions):
    run(place, tmp_path / "out", *options)
    said = csv.DictReader((tmp_path / "out" / "labels.csv").read_text().splitlines())
    assert "".join(sorted(row["version"] for row in said)) == versions


@pytest.fixture
def ignored(place):
    """A region and something to be ignored, on the last slide."""
    with open_store(str(place)) as store:
        (last,) = store.listing(AnnotationFilter(author="ben"), after=2, limit=1).annotations
        drafts = [
            Draft(uuid.uuid4(), Content(last.content.slide_id, square(50 * n, 550, 40).shape, PathClass(name)))
            for n, name in enumerate(("Region*", "Ignore*", "Gland: Other*", "5* hotel"))
        ]
        store.save(drafts, author="ben", request_id=uuid.uuid4().hex)


@pytest.mark.parametrize(
    ("options", "count", "left_out"),
    [
        ([], 5, 3),
        (["--keep-ignored"], 8, 0),
        (["--class", "Region*"], 1, 0),
        (["--class", " Gland ", "--class", "Gland:Other*"], 3, 0),
    ],
)
def test_what_qupath_ignores_is_left_out_and_counted(place, ignored, tmp_path, options, count, left_out):
    shown = run(place, tmp_path / "out", *options)
    said = list(csv.DictReader((tmp_path / "out" / "labels.csv").read_text().splitlines()))
    assert len(said) == count
    assert (f"left out: {left_out} annotations of a class that QuPath ignores" in shown) is bool(left_out)
    record = json.loads((tmp_path / "out" / "dataset.json").read_text())
    assert sum(record["left_out"].values()) == left_out


def test_a_data_set_of_nothing_is_no_earlier_one(place, tmp_path):
    out = tmp_path / "out"
    run(place, out)
    assert "no such annotations" in run(place, out, "--class", "Stroma", status=1)
    assert (out / "manifest.csv").read_text() == "image,mask,mpp,split,slide,x,y,downsample\n"
    assert json.loads((out / "dataset.json").read_text())["source"]["classes"] == ["Stroma"]
    run(place, out)
    assert len(read_manifest(out / "manifest.csv")) == 2
    # Slides that are away are no empty result.
    for slide in tmp_path.glob("case-*.png"):
        slide.rename(tmp_path / f"{slide.name}.away")
    before = (out / "manifest.csv").read_text()
    assert "not on this machine" in run(place, out, status=1)
    assert (out / "manifest.csv").read_text() == before


def test_slides_that_moved_are_looked_for(place, tmp_path):
    away = tmp_path / "archive" / "2026"
    away.mkdir(parents=True)
    for slide in tmp_path.glob("case-*.png"):
        slide.rename(away / slide.name)
    assert "not on this machine" in run(place, tmp_path / "out", status=1)
    assert not (tmp_path / "out").exists()
    run(place, tmp_path / "out", "--slides", tmp_path / "archive")


@pytest.mark.parametrize(
    ("arguments", "status", "text"),
    [
        (["gone.sqlite", "out"], 1, "there is no such store and no such project"),
        (["mysql://h/d", "out"], 1, "a store is a SQLite file or a postgresql:// URL"),
        (["127.0.0.1:1", "out"], 1, "No server answers at"),
        (["{place}", "out", "--class", "Stroma"], 1, "no such annotations"),
        (["{place}", "out", "--window", "63"], 2, "even number of pixels"),
        (["{place}", "out", "--val", "1"], 2, "the share that validates"),
        (["{place}", "out", "--case", "case"], 1, "all 2 slides are of one case"),
        (["{place}", "out", "--case", "("], 1, "no regular expression"),
        (["{place}", "out", "--mpp", "0.5"], 1, "does not say how large its pixels are"),
    ],
)
def test_what_cannot_be_done_is_said(place, tmp_path, monkeypatch, arguments, status, text):
    monkeypatch.chdir(tmp_path)
    before = place.read_bytes()
    assert text in run(*(word.format(place=place) for word in arguments), status=status).replace("\n", " ")
    assert not (tmp_path / "out").exists()
    assert place.read_bytes() == before


def test_a_data_set_that_is_stopped_goes_on_where_it_was(place, tmp_path, monkeypatch):
    from wsisam_server.learning.dataset_export import making

    real, done = making._Writer.write, []

    def write(self, *arguments):
        if done:
            raise KeyboardInterrupt
        done.append(real(self, *arguments))

    with monkeypatch.context() as patch:
        patch.setattr(making._Writer, "write", write)
        said = run(place, tmp_path / "out", status=130)
    assert "the same command goes on from there" in said.lower()
    assert not (tmp_path / "out" / "manifest.csv").exists()
    assert "files were there already" in run(place, tmp_path / "out")
