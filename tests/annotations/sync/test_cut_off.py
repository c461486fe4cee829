"""What was just sent when a sync is cut off, and a QuPath that has an older state of an image in memory."""

import os
import time

import pytest

from annotations.sync import double
from annotations.sync.script_double import Script
from annotations.sync.test_two_ways import WAYS, box, run, world
from wsisam_server.annotations.sync import image_sync
from wsisam_server.annotations.sync.plan import Resolution, Side
from wsisam_server.annotations.sync.steps import NoListener, Step

pytestmark = pytest.mark.process
__all__ = ["world"]


class Cut(BaseException):
    """A sync ends here, as if killed: nothing of it catches this."""


class CutAt(NoListener):
    def __init__(self, step):
        self._at = step

    def step(self, step, image=None):
        if step is self._at:
            raise Cut


def cut_off(world, way):
    """A sync that has just brought to the store what is new in QuPath, and is killed."""
    if way == "script":
        Script(world).sync(cut_off="after")
    else:
        with pytest.raises(Cut):
            world.sync(images="first*", listener=CutAt(Step.SAVED_TO_STORE))


@pytest.mark.parametrize("next_way", WAYS)
@pytest.mark.parametrize("way", WAYS)
def test_what_was_sent_before_a_kill_and_is_deleted_then_stays_deleted(world, way, next_way):
    stays, gone, edited = (world.draw(box(number)) for number in range(3))
    synced = world.save(box(5))
    run(world, "command")
    world.edit(synced, name="by me")
    new, another, kept = (world.draw(box(number)) for number in (6, 7, 8))
    cut_off(world, way)
    assert {new, another, kept} <= world.stored().keys()
    world.delete(gone, new, synced)
    world.edit(another, name="edited since")
    for one in (next_way, *WAYS):
        assert run(world, one) == set()
        assert world.shown().keys() == world.stored().keys() == {stays, edited, another, kept}
    assert world.stored()[another].content.name == "edited since"


@pytest.mark.parametrize("way", WAYS)
def test_what_a_colleague_made_of_it_after_the_kill_counts(world, way):
    deleted, changed, both = (world.draw(box(number)) for number in range(3))
    cut_off(world, way)
    world.discard(deleted)
    world.change(changed, name="theirs")
    world.change(both, name="theirs")
    world.delete(both)
    assert run(world, way) == {both}
    assert world.shown().keys() == {changed}
    assert world.shown()[changed]["name"] == "theirs"


@pytest.mark.parametrize("way", WAYS)
def test_what_was_never_sent_is_not_in_common(world, way):
    one = world.draw(box(1))
    if way == "script":
        Script(world).sync(cut_off="before")
    else:
        with pytest.raises(Cut):
            world.sync(images="first*", listener=CutAt(Step.SWAP_FLUSHED))
    assert not world.stored()
    world.delete(one)
    for each in WAYS:
        run(world, each)
        assert not world.stored(deleted=True)
    assert not world.shown()


class Window:
    """Another QuPath, which holds the image as it was when it was opened there."""

    def __init__(self, world):
        self._path = world.folder / "data/1/data.qpdata"
        self._said = double.read_data(self._path)

    def save(self):
        """Over whatever was saved meanwhile."""
        double.write_data(self._path, self._said)
        later = time.time_ns() + 10**9
        os.utime(self._path, ns=(later, later))


@pytest.mark.parametrize("brings", WAYS)
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("seen", [True, False], ids=["seen as open", "not seen"])
def test_an_older_state_in_another_window_deletes_nothing(world, brings, way, seen, monkeypatch):
    """One draws, saves and syncs. The other, who opened the image before, syncs what is in memory there."""
    shared, edited, gone = (world.draw(box(number)) for number in range(3))
    run(world, "command")
    window = Window(world)
    drawn = world.draw(box(7))
    world.edit(edited, name="edited")
    world.delete(gone)
    if seen:
        monkeypatch.setattr(image_sync, "noted", lambda _: "QuPath has this project open")
    run(world, brings)
    monkeypatch.undo()
    window.save()
    for one in (way, *WAYS):
        run(world, one)
        assert {shared, edited, drawn} <= world.stored().keys()
        assert world.stored()[edited].content.name == "edited"
        assert gone not in world.stored()
    disputed = run(world, way)
    assert disputed <= {drawn}
    assert run(world, way, resolution=Resolution(Side.STORE)) == set()
    assert world.shown().keys() == world.stored().keys() == {shared, edited, drawn}
    assert world.shown()[edited]["name"] == "edited"


@pytest.mark.parametrize("way", WAYS)
def test_what_is_in_doubt_goes_when_that_is_what_was_meant(world, way):
    world.draw(box(0))
    run(world, "command")
    window = Window(world)
    drawn = world.draw(box(7))
    run(world, "command")
    window.save()
    assert run(world, way) == {drawn}
    assert run(world, way, resolution=Resolution(Side.QUPATH)) == set()
    assert drawn not in world.stored()
    assert drawn not in world.shown()
