"""A sync that is killed after any of its steps: the project opens, nothing is missing, the next sync finishes the work."""

import json
import shutil
import signal
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import shapely

from annotations.sync.killed import OPTIONS
from annotations.sync.worlds import World
from wsisam_server.annotations.store import open_store
from wsisam_server.annotations.sync.likeness import same_shape
from wsisam_server.annotations.sync.steps import Step

PROGRAM = Path(__file__).with_name("killed.py")
PROJECT, STORE = "Colon/project.qpproj", "annotations.sqlite"

OF_THE_PROJECT = {
    Step.LOCKED,
    Step.RECORD_READ,
    Step.QUPATH_STARTED,
    Step.IMAGES_LISTED,
    Step.PROJECT_RECORDED,
    Step.QUPATH_ENDED,
}
OF_ONE_IMAGE = {
    Step.KEPT_IN_HISTORY: "1",
    Step.STORE_SETTLED: "1",
    Step.DELETED_IN_STORE: "1",
    Step.IDS_SAVED: "2",
}
PLACES = {step: [""] if step in OF_THE_PROJECT else list(OF_ONE_IMAGE.get(step, "12")) for step in Step}
"""In which images each step comes."""

REAL = pytest.param("qupath", marks=pytest.mark.qupath)


def places():
    """After each step once; with a real QuPath, in each image."""
    for step in Step:
        yield pytest.param("double", step.name, PLACES[step][0], id=f"double-{step.name}")
        for image in PLACES[step]:
            yield pytest.param(*REAL.values, step.name, image, id=f"qupath-{step.name}-{image}", marks=REAL.marks)


def box(number, size=8):
    return shapely.box(12 * number, 10, 12 * number + size, 40)


@dataclass
class Scene:
    """A project and a store with every kind of work to do, and what comes of it."""

    folder: Path
    tools: object
    names: dict
    killing: object
    steps: list = field(default_factory=list)
    result: object = None

    def copy(self, target):
        shutil.copytree(self.folder, target)
        return target


def prepare(world):
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
    return names


class Killing:
    """The program that is killed, see `killed`.

    Args:
        command: QuPath's.
    """

    def __init__(self, command):
        self._process = subprocess.Popen(
            [sys.executable, str(PROGRAM), *command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def sync(self, folder, step="", image=""):
        """Syncs the project in a folder; returns how it ended, and the steps that it had done."""
        said = {"project": str(folder / PROJECT), "store": str(folder / STORE), "step": step, "image": image}
        self._process.stdin.write(f"{json.dumps(said)}\n")
        self._process.stdin.flush()
        steps = []
        for line in self._process.stdout:
            if line.startswith("ended "):
                return int(line.split()[1]), steps
            steps.append(tuple(line.strip().split(",")))
        raise AssertionError("the program that is killed has ended")

    def close(self):
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()


@pytest.fixture(scope="module")
def scene(request, tmp_path_factory, slides):
    tools = request.getfixturevalue("real_tools" if request.param == "qupath" else "double_tools")
    folder = tmp_path_factory.mktemp(f"scene-{request.param}")
    with open_store(str(folder / STORE)) as store:
        project = tools.editor.create(str(folder / "Colon"), [str(path) for path in slides])
        names = prepare(World(tools, Path(project), store, slides))
    killing = Killing(tools.command)
    scene = Scene(folder, tools, names, killing)
    done = scene.copy(tmp_path_factory.mktemp("done") / "copy")
    status, scene.steps = killing.sync(done)
    assert status == 0
    with open_store(str(done / STORE)) as store:
        scene.result = state(World(tools, done / PROJECT, store, slides), names)
    yield scene
    killing.close()


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


@pytest.mark.parametrize("scene", ["double", REAL], indirect=True)
def test_the_work_is_every_kind_of_work(scene):
    stored, shown = scene.result
    assert equal(stored, shown)
    assert stored.keys() == {"same", "edited", "changed", "both", "locked", "drawn", "new", "old", "new on the second"}
    assert same_shape(stored["both"][2], box(5, 10))
    assert stored["locked"][:2] == ("renamed", True)
    # Every step that there is, in each image in which it comes.
    assert set(scene.steps) == {(step.name, image) for step in Step for image in PLACES[step]}


@pytest.mark.parametrize(("scene", "step", "image"), list(places()), indirect=["scene"])
def test_killed(scene, step, image, tmp_path, slides):
    folder = scene.copy(tmp_path / "copy")
    status, steps = scene.killing.sync(folder, step, image)
    assert (status, steps[-1]) == (-signal.SIGKILL, (step, image))
    with open_store(str(folder / STORE)) as store:
        world = World(scene.tools, folder / PROJECT, store, slides)
        nothing_is_missing(world, scene.names)
        report = world.sync(**OPTIONS)
        assert report.status == 0, report.as_json()
        for found, wanted in zip(state(world, scene.names), scene.result, strict=True):
            assert equal(found, wanted)
        before, head = world.files(), store.head()
        assert world.sync(**OPTIONS).status == 0
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
