"""`wsisam sync`, on the double of QuPath and on a real one."""

import json

import pytest
import shapely
from click.testing import CliRunner

from support.annotations import Serving
from wsisam_server.annotations.store import PathClass, open_store
from wsisam_server.cli import main
from wsisam_server.cli import sync as command
from wsisam_server.core.settings import Limits

SQUARE = shapely.box(10, 10, 60, 50)
BIGGER = shapely.box(10, 10, 80, 50)


@pytest.fixture(autouse=True)
def _no_store_of_the_environment(monkeypatch):
    monkeypatch.delenv("WSISAM_STORE", raising=False)


@pytest.fixture
def run(world, tmp_path, monkeypatch):
    """Runs the command on the world's project and store; returns what click says."""
    monkeypatch.setattr(command, "QuPathProcess", lambda **_: world.tools.process())
    monkeypatch.setenv("COLUMNS", "200")

    def run(*arguments, store=tmp_path / "annotations.sqlite"):
        return CliRunner().invoke(main, ["sync", str(world.project), "--store", str(store), *map(str, arguments)])

    return run


def test_both_ways_then_nothing(world, run, tmp_path):
    stored, drawn = world.save(SQUARE), world.draw(BIGGER)
    done = run("--json", tmp_path / "report.json", "--author", "qupath:eve")
    assert done.exit_code == 0, done.output
    assert [line.split() for line in done.output.splitlines() if "first.png" in line] == [
        ["first.png", "1", "new", "1", "new"]
    ]
    assert "to project" in done.output
    assert "to store" in done.output
    assert done.output.splitlines()[-1] == "in sync"
    assert world.store.get(drawn).author == "qupath:eve"
    report = json.loads((tmp_path / "report.json").read_text())
    assert (report["status"], report["conflicts"], report["dry_run"]) == (0, 0, False)
    first = report["images"][0]
    assert (first["name"], first["outcome"], first["slide_id"]) == ("first.png", "synced", world.slide_id())
    assert {one["id"]: one["action"] for one in first["annotations"]} == {
        str(stored): "add to project",
        str(drawn): "add to store",
    }
    assert first["counts"]["add to store"] == 1
    again = run()
    assert again.exit_code == 0
    assert again.output.splitlines() == ["2 images with nothing new on either side", "in sync"]


def test_who_is_the_author_if_nobody_says(world, run, monkeypatch):
    monkeypatch.setenv("LOGNAME", "frida")
    one = world.draw(SQUARE)
    run()
    assert world.store.get(one).author == "qupath:frida"


def test_a_dry_run(world, run):
    world.draw(SQUARE)
    done = run("--dry-run")
    assert done.exit_code == 0
    assert "would be done" in done.output
    assert "nothing was changed" in done.output
    assert world.stored() == {}


def test_a_dry_run_with_a_store_that_is_not_there_makes_none(world, run, tmp_path):
    world.draw(SQUARE)
    before = sorted(tmp_path.iterdir())
    done = run("--dry-run", store=tmp_path / "new.sqlite")
    assert done.exit_code == 0, done.output
    assert "1 new" in done.output
    assert sorted(tmp_path.iterdir()) == before
    assert "there is no folder" in run("--dry-run", store=tmp_path / "none" / "new.sqlite").output


def test_images_of_one_name_are_told_apart(world, run):
    world.project.write_text(world.project.read_text().replace('"imageName": "second.png"', '"imageName": "first.png"'))
    world.draw(SQUARE)
    world.draw(SQUARE, image="2")
    rows = [line.split("  ")[0].strip() or line.strip() for line in run().output.splitlines() if "first.png" in line]
    assert any("first.png (number 1)" in row for row in rows)
    assert any("first.png (number 2)" in row for row in rows)


def test_a_conflict_is_named_with_the_way_to_settle_it(world, run, tmp_path):
    one = world.save(SQUARE, path_class=PathClass("Tumor"))
    run()
    world.edit(one, name="mine")
    world.change(one, name="hers")
    done = run("--json", tmp_path / "report.json")
    assert done.exit_code == 1
    assert (
        f"conflict {one} (mine, Tumor) on first.png: changed in QuPath (name) and in the store (name by alice, "
        in done.output
    )
    assert "--resolve qupath:UUID" in done.output
    (told,) = json.loads((tmp_path / "report.json").read_text())["images"][0]["annotations"]
    assert (told["differs"], told["name"], told["class"]) == (["name"], "mine", "Tumor")
    done = run("--resolve", f"qupath:{one}")
    assert done.exit_code == 0, done.output
    assert world.store.get(one).content.name == "mine"


def test_an_image_without_a_slide_does_not_count_as_in_sync(world, run):
    world.project.write_text(world.project.read_text().replace("first.png", "gone.png"))
    done = run()
    assert done.exit_code == 0
    assert "left out gone.png: its file is not on this machine" in done.output
    assert done.output.splitlines()[-1] == "in sync, but for 1 image without a slide"


def test_what_waits_for_another_direction_is_said(world, run):
    world.draw(SQUARE)
    done = run("--direction", "to-project")
    assert done.exit_code == 0
    assert "1 waiting for another direction" in done.output


def test_a_failure_is_told_from_a_conflict(world, run):
    world.draw(SQUARE)
    world.tools.editor.poison(str(world.project), "1")
    done = run()
    assert done.exit_code == 2
    assert "failed first.png: QuPath cannot read its data file" in done.output
    assert done.output.splitlines()[-1].startswith("not in sync")


def test_only_some(world, run):
    one, two = world.draw(SQUARE, **{"class": "Tumor"}), world.draw(BIGGER, **{"class": "Stroma"})
    three = world.draw(SQUARE, image="2", **{"class": "Tumor"})
    run("--images", "first*", "--class", "Tumor")
    assert world.stored().keys() == {one}
    run()
    assert world.stored().keys() == {one, two, three}
    assert "no image is named x*" in run("--images", "x*").output


@pytest.mark.parametrize(
    ("arguments", "status", "text"),
    [
        (["--resolve", "mine"], 2, "write store or qupath"),
        (["--resolve", "store:1"], 2, "write store or qupath"),
        (["--resolve", "store", "--resolve", "qupath"], 2, "not with both"),
        (["--direction", "up"], 2, "to-project"),
        (["--server", "127.0.0.1:1"], 2, "not both"),
        (["--json", "/no/such/folder/x.json"], 2, "no folder"),
        (["--time-limit", "0"], 2, "--time-limit"),
    ],
)
def test_mistakes_are_explained(run, arguments, status, text):
    done = run(*arguments)
    assert done.exit_code == status
    assert text in done.output
    assert "Traceback" not in done.output


def test_trouble_has_status_2(world, tmp_path, monkeypatch):
    def invoke(*arguments):
        done = CliRunner().invoke(main, ["sync", *map(str, arguments)])
        assert done.exit_code == 2, done.output
        return done.output

    store = tmp_path / "annotations.sqlite"
    assert "there is no project" in invoke(tmp_path / "nothing.qpproj", "--store", store)
    assert "is a folder" in invoke(world.project, "--store", tmp_path)
    assert "No server answers at" in invoke(world.project, "--server", "127.0.0.1:1")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "empty"))
    assert "--server HOST:PORT" in invoke(world.project)
    assert not (tmp_path / "empty").exists()


def test_with_a_running_server(world, tmp_path, monkeypatch):
    """The same through the contract: the real service over a real socket."""
    monkeypatch.setattr(command, "QuPathProcess", lambda **_: world.tools.process())
    serving = Serving(str(tmp_path / "served.sqlite"), Limits())
    try:

        def run(*arguments):
            return CliRunner().invoke(main, ["sync", str(world.project), "--server", serving.target, *arguments])

        drawn = world.draw(SQUARE, name="by hand")
        done = run()
        assert done.exit_code == 0, done.output
        with open_store(str(tmp_path / "served.sqlite")) as served:
            assert served.get(drawn).content.name == "by hand"
            world.store, local = served, world.store
            new = world.save(BIGGER)
            world.edit(drawn, name="edited")
            assert run().exit_code == 0
            assert world.shown().keys() == {drawn, new}
            assert served.get(drawn).content.name == "edited"
            world.edit(drawn, name="mine")
            world.change(drawn, name="hers")
            world.discard(new)
            assert run().exit_code == 1
            assert run("--resolve", "store").exit_code == 0
            assert world.shown()[drawn]["name"] == "hers"
            before, head = world.files(), served.head()
            assert run().exit_code == 0
            assert (world.files(), served.head()) == (before, head)
            world.store = local
    finally:
        serving.stop()
