"""`wsisam sync` and WsiSamSync in turn on one project: nothing is lost, and nothing that was deleted comes back."""

import itertools
import json
import shutil
from pathlib import Path

import pytest
import shapely
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from annotations.sync import double
from annotations.sync.script_double import Script
from annotations.sync.worlds import World
from wsisam_server.annotations.store import open_store
from wsisam_server.annotations.sync.plan import Resolution, Side, Verb

pytestmark = pytest.mark.process  # the double of QuPath is one

WAYS = ("command", "script")
STATES = ("absent", "as base", "changed", "deleted")


def box(number, size=8):
    return shapely.box(12 * number, 10, 12 * number + size, 40)


@pytest.fixture
def world(double_tools, tmp_path, store, slides):
    project = double_tools.editor.create(str(tmp_path / "Colon"), [str(path) for path in slides])
    return World(double_tools, Path(project), store, slides)


def run(world, way, **options):
    """Syncs the first image; which annotations are in conflict."""
    if way == "script":
        verbs = Script(world).sync(**options)
        return {one for one, verb in verbs.items() if verb is Verb.CONFLICT}
    report = world.sync(images="first*", **options)
    assert not report.failed, report.as_json()
    assert not any("without history" in problem for problem in report.images[0].problems)
    return {action.id for action in report.images[0].conflicts}


@pytest.mark.parametrize("ways", list(itertools.product(WAYS, repeat=3)), ids="-".join)
@pytest.mark.parametrize("origin", ["project", "store"])
def test_the_whole_table(world, origin, ways):
    """Every state of an object on either side: synced by one way, then by another, all deleted, and synced again."""
    cases = {}
    for number, (here, there) in enumerate(itertools.product(STATES[1:], repeat=2)):
        cases[here, there] = world.draw(box(number)) if origin == "project" else world.save(box(number))
    assert run(world, ways[0]) == set()
    assert world.shown().keys() == world.stored().keys() == set(cases.values())
    for (here, there), one in cases.items():
        if here == "changed":
            world.edit(one, name="here")
        if here == "deleted":
            world.delete(one)
        if there == "changed":
            world.change(one, name="there")
        if there == "deleted":
            world.discard(one)
    new_here, new_there = world.draw(box(20)), world.save(box(21))
    disputed = {cases[pair] for pair in (("changed", "changed"), ("changed", "deleted"), ("deleted", "changed"))}
    gone = {one for pair, one in cases.items() if "deleted" in pair} - disputed
    kept = {cases[pair] for pair in itertools.product(STATES[1:3], repeat=2)} - disputed | {new_here, new_there}

    assert run(world, ways[1]) == disputed
    assert kept <= world.shown().keys() & world.stored().keys()
    assert not gone & (world.shown().keys() | world.stored().keys())
    names = {one: item["name"] or "" for one, item in world.shown().items()}
    assert names[cases["changed", "as base"]] == "here"
    assert names[cases["as base", "changed"]] == "there"
    assert all(names[one] == world.stored()[one].content.name for one in kept)

    world.delete(*(kept - {new_there}))
    world.discard(new_there)
    assert run(world, ways[2]) == disputed
    for way in (*ways, *WAYS):
        assert run(world, way) == disputed
        left = world.shown().keys() | world.stored().keys()
        assert left == disputed, "nothing comes back"
    for way in ways:
        assert run(world, way, resolution=Resolution(Side.STORE)) == set()
    assert world.shown().keys() == world.stored().keys()


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("both", [True, False], ids=["both records", "the property alone"])
def test_records_as_they_were_kept_at_first_are_carried_over(world, way, both):
    """What each way had brought into the project, and what was deleted since, as the other way never knew."""
    by_command, by_script, stays = (world.save(box(number)) for number in range(3))
    run(world, "command")
    store, slide = world.store.identity, world.slide_id()
    path = world.folder / "data/1/data.qpdata"
    said = double.read_data(path)
    revisions = {one: world.store.get(one).revision for one in (by_command, by_script, stays)}
    known = [by_script, stays] if both else [by_command, by_script, stays]
    lines = [store, *(f"{one} {revisions[one]}" for one in known)]
    said["properties"] |= {"wsisam.synced": "\n".join(lines), "wsisam.synced.image": f"1\n{slide}"}
    double.write_data(path, said)
    shutil.rmtree(world.folder / "wsisam-sync/synced")
    image = world.folder / "wsisam-sync/images/1.json"
    old = json.loads(image.read_text())
    bases = {str(one): [revisions[one], "0f" * 16] for one in (by_command, stays)}
    old |= {"format": 1, "generation": said["properties"]["wsisam.sync"], "writing": None}
    old["stores"][store] |= {"annotations": bases, "settling": {}, "data": None}
    if both:
        image.write_text(json.dumps(old))
    else:
        image.unlink()
    world.delete(by_command, by_script)
    other = WAYS[way == "command"]
    for one in (way, other, way):
        assert run(world, one) == set()
        assert world.shown().keys() == world.stored().keys() == {stays}
    # And what is deleted in the store now stays so, too.
    world.discard(stays)
    for one in (other, way):
        assert run(world, one) == set()
        assert world.shown().keys() == world.stored().keys() == set()


def test_a_property_that_was_copied_with_the_data_does_not_count(world):
    one = world.save(box(1))
    run(world, "command")
    path = world.folder / "data/1/data.qpdata"
    said = double.read_data(path)
    text = f"{world.store.identity}\n{one} 1"
    said["properties"] |= {"wsisam.synced": text, "wsisam.synced.image": f"2\n{world.slide_id()}"}
    double.write_data(path, said)
    shutil.rmtree(world.folder / "wsisam-sync/synced")
    world.delete(one)
    world.sync(images="first*")
    assert world.shown().keys() == {one}, "without a record of its own, nothing is deleted"


class Histories(RuleBasedStateMachine):
    """People on both sides, and syncs in both ways, some of them cut off."""

    tools = slides = folders = None

    @initialize()
    def begin(self):
        folder = next(self.folders)
        self.store = open_store(str(folder / "annotations.sqlite"))
        project = self.tools.editor.create(str(folder / "Colon"), [str(path) for path in self.slides])
        self.world = World(self.tools, Path(project), self.store, self.slides)
        self.here, self.there = {}, {}
        self.alive, self.gone, self.disputed = set(), set(), set()
        self.count = 0

    def teardown(self):
        if hasattr(self, "store"):
            self.store.close()

    def pick(self, data, ones):
        return data.draw(st.sampled_from(sorted(ones, key=str)))

    @rule()
    def draw(self):
        self.count += 1
        one = self.world.draw(box(self.count))
        self.here[one] = "changed"
        self.alive.add(one)

    @rule()
    def save(self):
        self.count += 1
        one = self.world.save(box(self.count))
        self.there[one] = "changed"
        self.alive.add(one)

    @precondition(lambda self: self.world.shown())
    @rule(data=st.data(), deleted=st.booleans())
    def in_qupath(self, data, deleted):
        one = self.pick(data, self.world.shown())
        self.count += 1
        self.world.delete(one) if deleted else self.world.edit(one, name=f"here {self.count}")
        new = one not in self.world.stored(deleted=True)
        if deleted and new and one not in self.disputed:
            self.alive.discard(one)
            self.here.pop(one)
        else:
            self.here[one] = "deleted" if deleted else "changed"

    @precondition(lambda self: self.world.stored())
    @rule(data=st.data(), deleted=st.booleans())
    def in_the_store(self, data, deleted):
        one = self.pick(data, self.world.stored())
        self.count += 1
        self.world.discard(one) if deleted else self.world.change(one, name=f"there {self.count}")
        self.there[one] = "deleted" if deleted else "changed"

    @rule(way=st.sampled_from(WAYS))
    def sync(self, way):
        run(self.world, way)
        self.synced()

    @rule(way=st.sampled_from(WAYS))
    def a_qupath_that_ends_before_it_saves(self, way):
        run(self.world, "script", saved=False)
        run(self.world, way)
        self.synced()

    def synced(self):
        for one in self.here.keys() | self.there.keys():
            here, there = self.here.get(one), self.there.get(one)
            if one in self.disputed:
                continue
            if here and there and (here, there) != ("deleted", "deleted"):
                self.disputed.add(one)
            elif "deleted" in (here, there):
                self.alive.discard(one)
                self.gone.add(one)
        self.here.clear()
        self.there.clear()
        shown, stored = self.world.shown(), self.world.stored()
        for one in self.alive - self.disputed:
            assert one in shown, "lost in the project"
            assert one in stored, "lost in the store"
            assert (shown[one]["name"] or "") == stored[one].content.name
        for one in self.gone - self.disputed:
            assert one not in shown, "back in the project"
            assert one not in stored, "back in the store"

    @invariant()
    def nothing_that_nobody_deleted_is_gone(self):
        if self.alive:
            everything = self.world.shown().keys() | self.world.stored().keys()
            assert self.alive - self.disputed - set(self.here) - set(self.there) <= everything


def test_histories(double_tools, slides, tmp_path_factory):
    class Here(Histories):
        tools, folders = double_tools, iter(lambda: tmp_path_factory.mktemp("history"), None)

    Here.slides = slides
    run_state_machine_as_test(
        Here,
        settings=settings(
            max_examples=25, stateful_step_count=14, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )
