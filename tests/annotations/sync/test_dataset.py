"""`wsisam dataset` of a QuPath project, on the double of QuPath and on a real one."""

import csv
import json
import shutil

import pytest
import shapely
from click.testing import CliRunner

from wsisam_server.cli import dataset as command
from wsisam_server.cli import main
from wsisam_server.learning.datasets import load, objects, read_manifest

RING = shapely.box(100, 100, 180, 160) - shapely.box(120, 120, 140, 140)


@pytest.fixture
def run(world, tmp_path, monkeypatch):
    monkeypatch.setattr(command, "QuPathProcess", world.tools.process)

    def run(*arguments, status=0):
        done = CliRunner().invoke(main, ["dataset", str(world.folder), str(tmp_path / "out"), *map(str, arguments)])
        assert done.exit_code == status, done.output
        return done.output

    return run


def test_what_is_saved_in_a_project_becomes_a_data_set_and_the_project_stays(world, run, tmp_path):
    drawn = {str(world.draw(RING)), str(world.draw(shapely.box(300, 300, 350, 360), image="2"))}
    world.draw(shapely.Point(5, 5))
    before = {path: path.read_bytes() for path in world.folder.rglob("*") if path.is_file()}
    assert "left out: 1 annotations points and lines" in run()
    assert {path: path.read_bytes() for path in world.folder.rglob("*") if path.is_file()} == before
    out = tmp_path / "out"
    rows = read_manifest(out / "manifest.csv")
    assert {row.split for row in rows} == {"train", "val"}
    assert sorted(item.area for row in rows for item in objects(load(row).labels)) == [3000, 4400]
    said = list(csv.DictReader((out / "labels.csv").read_text().splitlines()))
    assert {row["annotation"] for row in said} == drawn
    assert json.loads((out / "dataset.json").read_text())["source"]["project_file"] == str(world.project)


def test_an_image_that_cannot_be_read_does_not_stop_the_rest(world, run):
    world.draw(RING)
    world.draw(RING, image="2")
    (world.folder / "data" / "2" / "data.qpdata").write_bytes(b"damaged")
    assert "left out: the slide second.png: QuPath cannot read its data file" in run().replace("\n", " ")


def test_a_file_of_the_same_name_does_not_stand_in_for_one_that_is_away(world, run, tmp_path):
    away = tmp_path / "slide.png"
    world.project.write_text(world.project.read_text().replace(world.slides[0].as_uri(), away.as_uri()))
    world.draw(RING)
    shutil.copy(world.slides[1], world.folder / "slide.png")
    said = " ".join(run(status=1).split())
    assert "its file is not on this machine" in said
    assert not (tmp_path / "out" / "manifest.csv").exists()


def copied(world, *, first=False):
    """A copy of the first entry with its data, as QuPath makes it for a second reader; it has a drawing of its own."""
    said = json.loads(world.project.read_text())
    said["images"].insert(0 if first else 2, said["images"][0] | {"entryID": 3, "imageName": "reader 2"})
    world.project.write_text(json.dumps(said))
    shutil.copytree(world.folder / "data/1", world.folder / "data/3")
    return str(world.draw(shapely.box(500, 500, 560, 560), image="3"))


def labelled(out):
    return {row["annotation"] for row in csv.DictReader((out / "labels.csv").read_text().splitlines())}


@pytest.mark.parametrize("first", [False, True])
def test_of_an_entry_and_its_copy_the_one_that_is_synced_is_used(world, run, tmp_path, first):
    one, two = str(world.draw(RING)), str(world.draw(RING, image="2"))
    world.sync()
    copied(world, first=first)
    said = " ".join(run().split())
    assert (
        "left out: the image reader 2: it shows the same slide as first.png (number 1); only that one is used" in said
    )
    assert labelled(tmp_path / "out") == {one, two}
    assert json.loads((tmp_path / "out" / "dataset.json").read_text())["duplicate_images"].keys() == {"reader 2"}


def test_of_several_entries_that_were_never_synced_the_first_is_used(world, run, tmp_path):
    one, two = str(world.draw(RING)), str(world.draw(RING, image="2"))
    other = copied(world, first=True)
    assert "left out: the image first.png: it shows the same slide as reader 2 (number 3)" in " ".join(run().split())
    assert labelled(tmp_path / "out") == {one, two, other}


def test_an_entry_of_a_copied_file_is_of_the_same_slide(world, run, tmp_path):
    one, two = str(world.draw(RING)), str(world.draw(RING, image="2"))
    copied(world)
    said = json.loads(world.project.read_text())
    shutil.copy(world.slides[0], tmp_path / "copied.png")
    said["images"][2]["serverBuilder"] = said["images"][2]["serverBuilder"] | {
        "uri": (tmp_path / "copied.png").as_uri()
    }
    world.project.write_text(json.dumps(said))
    assert "left out: the image reader 2: it shows the same slide as first.png" in " ".join(run().split())
    assert labelled(tmp_path / "out") == {one, two}


def test_what_lies_on_other_planes_is_said_to(world, run):
    world.draw(RING)
    world.draw(RING, image="2")
    world.draw(RING, plane=[2, 0])
    assert "1 annotations on other planes than the first" in run().replace("\n", " ")


def test_what_only_a_store_knows_cannot_be_asked_of_a_project(run):
    assert "--author chooses among a store's annotations" in run("--author", "anna", status=2)


def test_no_such_class(world, run, tmp_path):
    world.draw(RING)
    assert "no such annotations" in run("--class", "Gland", status=1)
    assert not (tmp_path / "out").exists()


def test_a_lost_data_file_is_not_an_image_without_objects(world, run):
    world.draw(RING)
    world.draw(RING, image="2")
    world.sync()
    for path in (world.folder / "data" / "1").iterdir():
        path.unlink()  # with what QuPath writes beside it, by which it is known otherwise
    said = "".join(run().split())  # the path may be broken across lines
    assert f"leftout:theslidefirst.png:itsdatafile{world.folder / 'data' / '1' / 'data.qpdata'}ismissing" in said
