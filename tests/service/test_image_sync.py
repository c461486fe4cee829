"""Sync of an image that a client holds, over a real socket: the rules are those of `wsisam sync`."""

import uuid

import pytest
import shapely

from support.annotations import SLIDE, Caller, Serving, area, drawn, new, path_class
from support.self_crossing import zigzags
from wsisam.v1 import annotations_pb2 as pb
from wsisam_server.client import ServerError
from wsisam_server.core.settings import Limits

BIGGER = area(10, 20, 90, 90)


@pytest.fixture
def serving(tmp_path):
    served = Serving(str(tmp_path / "annotations.sqlite"), Limits())
    yield served
    served.stop()


@pytest.fixture
def caller(serving):
    called = Caller(serving.target)
    yield called
    called.close()


class Image:
    """A client with an image, that does its part as it is told."""

    def __init__(self, caller, author="qupath:ben"):
        self.caller, self.author = caller, author
        self.held, self.synced, self.store_id = {}, [], ""

    def draw(self, shape=None, **more):
        one = new(shape=shape or area(), **more)
        self.held[one.id] = one
        return one.id

    def sync(self, **more):
        request = pb.AnnotationsSyncRequest(
            author=self.author,
            slide=pb.AnnotatedSlide(slide_id=SLIDE, uris=["file:///s.svs"]),
            project="Colon",
            annotations=self.held.values(),
            synced=self.synced,
            store_id=self.store_id,
            **more,
        )
        whole = pb.AnnotationsSyncResponse()
        for message in self.caller.stream("Sync", request):
            whole.MergeFrom(message)
        if not request.dry_run:
            self.held.update({one.id: one for one in whole.put})
            for one in whole.remove:
                del self.held[one]
            self.synced, self.store_id = list(whole.synced), whole.store_id
        return {action.id: action.action for action in whole.actions}, whole


@pytest.fixture
def image(caller):
    return Image(caller)


def test_what_is_new_on_one_side_comes_to_the_other_and_then_nothing(image, caller):
    mine = image.draw(path_class=path_class("Tumor"), measurements={"Area": 4.0}, metadata={"note": "x"})
    theirs = caller.save(new(name="from a colleague")).saved[0].id
    done, _ = image.sync()
    assert done == {mine: "add to store", theirs: "add to project"}
    stored = caller.get(mine).annotation
    assert (stored.author, stored.project, stored.path_class.name) == ("qupath:ben", "Colon", "Tumor")
    assert (dict(stored.measurements), dict(stored.metadata)) == ({"Area": 4.0}, {"note": "x"})
    assert image.held[theirs].name == "from a colleague"
    done, whole = image.sync()
    assert (done, whole.unchanged, len(whole.put)) == ({}, 2, 0)
    assert caller.get(theirs).annotation.revision == 1


def test_changes_and_deletions_go_both_ways(image, caller):
    ones = [image.draw() for _ in range(4)]
    image.sync()
    image.held[ones[0]].shape.CopyFrom(BIGGER)
    del image.held[ones[1]]
    there = caller.get(ones[2]).annotation
    there.name = "renamed"
    caller.save(there)
    caller.delete(ones[3], caller.get(ones[3]).annotation.revision)
    done, _ = image.sync()
    assert done == dict(
        zip(ones, ("revise in store", "delete in store", "update in project", "remove from project"), strict=True)
    )
    assert caller.get(ones[0]).annotation.shape == BIGGER
    assert caller.get(ones[1]).annotation.change == pb.CHANGE_KIND_DELETED
    assert image.held[ones[2]].name == "renamed"
    assert set(image.held) == {ones[0], ones[2]}
    done, whole = image.sync()
    assert (done, whole.unchanged) == ({}, 2)


def test_conflicts_change_nothing_until_they_are_settled(image, caller):
    one = image.draw()
    image.sync()
    there = caller.get(one).annotation
    there.name = "theirs"
    caller.save(there)
    image.held[one].name = "mine"
    head = caller.get(one).annotation.revision
    done, whole = image.sync()
    assert done == {one: "conflict"}
    assert whole.actions[0].conflict
    assert (image.held[one].name, caller.get(one).annotation.name) == ("mine", "theirs")
    assert caller.get(one).annotation.revision == head
    image.sync(resolve=pb.SYNC_SIDE_STORE)
    assert image.held[one].name == caller.get(one).annotation.name == "theirs"
    assert "mine" in [revision.name for revision in caller.history(one)]
    assert image.sync()[0] == {}


def test_a_dry_run_changes_nothing_and_a_direction_holds_the_other_side(image, caller):
    mine, theirs = image.draw(), caller.save(new()).saved[0].id
    done, whole = image.sync(dry_run=True)
    assert done == {mine: "add to store", theirs: "add to project"}
    assert not whole.put
    assert not whole.synced
    assert caller.ids() == [theirs]
    _, whole = image.sync(direction=pb.SYNC_DIRECTION_TO_STORE)
    assert {action.id: action.held for action in whole.actions} == {mine: False, theirs: True}
    assert set(image.held) == {mine}
    image.sync(direction=pb.SYNC_DIRECTION_TO_CLIENT)
    assert set(image.held) == {mine, theirs}


def test_a_client_that_was_cut_off_finds_the_same_on_both_sides(image, caller):
    one = image.draw()
    before = (dict(image.held), list(image.synced), image.store_id)
    image.sync()
    image.held, image.synced, image.store_id = before
    assert image.sync()[0] == {}
    assert caller.get(one).annotation.revision == 1
    assert len(image.synced) == 1


def test_who_forgets_what_was_synced_deletes_nothing(image, caller):
    ones = [image.draw(), image.draw()]
    image.sync()
    del image.held[ones[0]]
    image.synced = []
    assert image.sync()[0] == {ones[0]: "add to project"}
    # Nor does what another store had in common with it count.
    del image.held[ones[0]]
    image.store_id = str(uuid.uuid4())
    assert image.sync()[0] == {ones[0]: "add to project"}


def test_rounding_on_the_clients_side_is_no_change(image, caller):
    theirs = caller.save(new(shape=area(10, 20, 31, 41))).saved[0].id
    image.sync()
    ring = [10.004, 20.003, 30.996, 20, 31, 41.004, 10, 41]
    image.held[theirs].shape.CopyFrom(drawn(pb.SHAPE_KIND_AREAS, [ring]))
    assert image.sync()[0] == {}


def test_what_cannot_be_stored_is_listed_and_does_not_stop_the_rest(image, caller):
    speck = image.draw(shape=drawn(pb.SHAPE_KIND_AREAS, [[0, 0, 1, 1, 2, 2]]))
    good = image.draw()
    away = image.draw()
    del image.held[away]
    done, whole = image.sync(untouchable=[away])
    assert done == {speck: "left alone", good: "add to store"}
    assert [action.id for action in whole.actions if action.refused] == [speck]
    assert caller.ids() == [good]


def test_a_shape_that_would_take_minutes_is_left_alone(image, caller):
    ring = shapely.get_coordinates(zigzags(1000, 900, 700))[:-1].ravel()
    tangle = image.draw(shape=drawn(pb.SHAPE_KIND_AREAS, [ring]))
    crossed = image.draw(shape=drawn(pb.SHAPE_KIND_AREAS, [[0, 0, 10, 10, 10, 0, 0, 10]]))
    done, whole = image.sync()
    assert done == {tangle: "left alone", crossed: "add to store"}
    (refused,) = [action for action in whole.actions if action.refused]
    assert "crosses itself too often" in refused.reason
    assert caller.ids() == [crossed]


@pytest.mark.parametrize("field", ["author", "slide", "twice", "direction"])
def test_bad_requests_name_the_field(caller, field):
    one = new()
    request = pb.AnnotationsSyncRequest(author="a", slide=pb.AnnotatedSlide(slide_id=SLIDE), annotations=[one])
    expected = {"author": "author", "slide": "slide.slide_id", "twice": "annotations[1].id", "direction": "direction"}
    if field == "twice":
        request.annotations.append(one)
    elif field == "direction":
        request.direction = 9
    else:
        request.ClearField(field)
    with pytest.raises(ServerError) as failed:
        caller.stream("Sync", request)
    assert (failed.value.reason, failed.value.details["field"]) == ("INVALID_FIELD", expected[field])


def test_large_images_come_in_parts(image, caller):
    ring = [value for n in range(3000) for value in (n + 0.3, 100.7 if n % 2 else 0.2)]
    big = [new(shape=drawn(pb.SHAPE_KIND_LINES, [ring])) for _ in range(40)]
    caller.save(*big)
    request = pb.AnnotationsSyncRequest(author="a", slide=pb.AnnotatedSlide(slide_id=SLIDE))
    messages = caller.stream("Sync", request)
    assert len(messages) > 1
    assert sum(len(message.put) for message in messages) == 40
