"""A sync that is killed after any of its steps: the project opens, nothing is missing, the next sync finishes the work."""

import shutil
import signal
import subprocess
import sys
import uuid
from dataclasses import dataclass
from pathlib import Path

import pytest
import shapely

from sync.killed import OPTIONS
from sync.worlds import World
from wsisam_server.store import open_store
from wsisam_server.sync.likeness import same_shape
from wsisam_server.sync.steps import Step
from wsisam_server.sync.syncing import sync

PROGRAM = Path(__file__).with_name("killed.py")


def box(number, size=8):
    return shapely.box(12 * number, 10, 12 * number + size, 40)


@dataclass
class Scene:
    """A project and a store with every kind of work to do, and what comes of it."""

    folder: Path
    names: dict
    steps: list
    result: object

    def copy(self, target):
        shutil.copytree(self.folder, target)
        return target


def prepare(world, store):
    """One of each: both sides changed in every way, one conflict, and an image whose objects have no saved ids."""
    names = {}
    for number, name in enumerate(("same", "edited", "changed", "deleted here", "deleted there", "both", "locked")):
        names[name] = world.save(box(number), name=name)
    world.sync(images="first*")
    names["drawn"] = world.draw(box(8), name="drawn")
    names["new"] = world.save(box(9), name="new")
    world.edit(names["edited"], shape=box(1, 9))
    world.change(names["changed"], shape=box(2, 9))
    world.delete(names["deleted here"])
    world.discard(names["deleted there"])
    world.edit(names["both"], shape=box(5, 9))
    world.change(names["both"], shape=box(5, 10))
    world.edit(names["locked"], locked=True)
    world.change(names["locked"], name="renamed")
    names["old"] = world.draw(box(1), image="2", name="old")
    world.tools.editor.forget_ids(str(world.project), "2")
    names["new on the second"] = world.save(box(3), image="2", name="second")
    store.close()
    return names


@pytest.fixture(scope="module", params=["double", pytest.param("qupath", marks=pytest.mark.qupath)])
def scene(request, tmp_path_factory, slides):
    tools = request.getfixturevalue("real_tools" if request.param == "qupath" else "double_tools")
    folder = tmp_path_factory.mktemp(f"scene-{request.param}")
    store = open_store(str(folder / "annotations.sqlite"))
    project = tools.editor.create(str(folder / "Colon"), [str(path) for path in slides])
    world = World(tools, Path(project), store, slides)
    scene = Scene(folder, prepare(world, store), [], None)
    done = scene.copy(tmp_path_factory.mktemp("done") / "copy")
    out = run(tools, done, "", "")
    assert out.returncode == 0, out.stderr
    scene.steps = [tuple(line.split(",")) for line in out.stdout.split()]
    with open_store(str(done / "annotations.sqlite")) as store:
        scene.result = state(World(tools, done / "Colon/project.qpproj", store, slides), scene.names)
    return tools, scene


def run(tools, folder, step, image):
    arguments = [folder / "Colon/project.qpproj", folder / "annotations.sqlite", step, image, *tools.command]
    return subprocess.run(
        [sys.executable, PROGRAM, *map(str, arguments)], capture_output=True, text=True, timeout=280, check=False
    )


def state(world, names):
    """What both sides hold, with names in place of ids that are made anew."""
    known = {one: name for name, one in names.items() if name != "old"}
    stored = {
        known.get(one, "old"): (item.content.name, item.content.locked, item.content.shape)
        for one, item in world.stored().items()
    }
    shown = {}
    for image in ("1", "2"):
        for one, item in world.shown(image).items():
            shown[known.get(one, "old")] = (item["name"], item["locked"], shapely.from_wkb(item["shape"]))
    return stored, shown


def equal(first, second):
    return first.keys() == second.keys() and all(
        first[name][:2] == second[name][:2] and same_shape(first[name][2], second[name][2]) for name in first
    )


def test_the_work_is_every_kind_of_work(scene):
    _, scene = scene
    stored, shown = scene.result
    assert equal(stored, shown)
    assert stored.keys() == {"same", "edited", "changed", "both", "locked", "drawn", "new", "old", "new on the second"}
    assert same_shape(stored["both"][2], box(5, 10))
    assert stored["locked"][:2] == ("renamed", True)
    # At least these many places to be killed at.
    assert {Step[name] for name, _ in scene.steps} == set(Step)
    assert len(set(scene.steps)) >= 40


PLACES = [(step.name, image) for step in Step for image in ("", "1", "2")]


@pytest.mark.slow
@pytest.mark.parametrize("place", PLACES, ids=lambda place: "-".join(filter(None, place)))
def test_killed(scene, place, tmp_path, slides):
    tools, scene = scene
    if place not in scene.steps:
        return  # this step is not one of that image
    folder = scene.copy(tmp_path / "copy")
    killed = run(tools, folder, *place)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    with open_store(str(folder / "annotations.sqlite")) as store:
        world = World(tools, folder / "Colon/project.qpproj", store, slides)
        nothing_is_missing(world, scene.names)
        report = sync(world.project, store, tools.process(), OPTIONS, author="qupath:tester")
        assert report.status == 0, report.as_json()
        for found, wanted in zip(state(world, scene.names), scene.result, strict=True):
            assert equal(found, wanted)
        before, head = world.files(), store.head()
        assert sync(world.project, store, tools.process(), OPTIONS, author="qupath:tester").status == 0
        assert (world.files(), store.head()) == (before, head)


def nothing_is_missing(world, names):
    """The project opens, and whatever nobody deleted is on one side at least; QuPath's version of the conflict, too."""
    here, there = world.shown("1"), world.stored(deleted=True)
    for name, one in names.items():
        if name not in ("old", "new on the second", "deleted here", "deleted there"):
            assert one in here or not there[one].deleted, name
    assert len(world.shown("2")) >= 1
    assert not there[names["new on the second"]].deleted
    versions = [shapely.from_wkb(here[names["both"]]["shape"])] if names["both"] in here else []
    versions += [item.content.shape for item in world.store.history(names["both"], after=0, limit=99).annotations]
    for wanted in (box(5, 9), box(5, 10)):
        assert any(same_shape(shape, wanted) for shape in versions)
    assert isinstance(names["both"], uuid.UUID)
