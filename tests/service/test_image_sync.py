"""Sync of an image that a client holds, over a real socket: the rules are those of `wsisam sync`."""

import asyncio
import time
import uuid
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest
import shapely
from google.rpc import error_details_pb2

from support.annotations import SLIDE, Caller, Serving, area, drawn, new, path_class
from support.self_crossing import zigzags
from wsisam.v1 import annotations_pb2 as pb
from wsisam_server.annotations.store import AsyncStore
from wsisam_server.annotations.sync.plan import ALL_GONE
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
            request_id=uuid.uuid4().hex,
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
        if not request.validate_only:
            self.held.update({one.id: one for one in whole.put})
            for one in whole.remove:
                del self.held[one]
            self.synced, self.store_id = list(whole.synced), whole.store_id
        return {action.id: action.verb for action in whole.actions}, whole


def info_of(action):
    """The ErrorInfo of a refusal."""
    info = error_details_pb2.ErrorInfo()
    assert action.refusal.details[0].Unpack(info)
    return info


@pytest.fixture
def image(caller):
    return Image(caller)


def test_what_is_new_on_one_side_comes_to_the_other_and_then_nothing(image, caller):
    mine = image.draw(path_class=path_class("Tumor"), measurements={"Area": 4.0}, metadata={"note": "x"})
    theirs = caller.save(new(name="from a colleague")).saved[0].id
    done, _ = image.sync()
    assert done == {mine: pb.SYNC_VERB_ADD_TO_STORE, theirs: pb.SYNC_VERB_ADD_TO_CLIENT}
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
        zip(
            ones,
            (
                pb.SYNC_VERB_UPDATE_IN_STORE,
                pb.SYNC_VERB_DELETE_IN_STORE,
                pb.SYNC_VERB_UPDATE_IN_CLIENT,
                pb.SYNC_VERB_REMOVE_FROM_CLIENT,
            ),
            strict=True,
        )
    )
    assert caller.get(ones[0]).annotation.shape == BIGGER
    assert caller.get(ones[1]).annotation.change == pb.CHANGE_KIND_DELETED
    assert image.held[ones[2]].name == "renamed"
    assert set(image.held) == {ones[0], ones[2]}
    done, whole = image.sync()
    assert (done, whole.unchanged) == ({}, 2)


def test_what_both_sides_deleted_is_named_once(image, caller):
    one = image.draw(name="Gland 3")
    image.sync()
    caller.delete(one, caller.get(one).annotation.revision)
    del image.held[one]
    done, whole = image.sync()
    assert done == {one: pb.SYNC_VERB_KEEP}
    (action,) = whole.actions
    deleted = (pb.SYNC_CHANGE_DELETED, pb.SYNC_CHANGE_DELETED)
    assert (action.outcome, action.client_change, action.store_change) == (pb.SYNC_OUTCOME_DONE, *deleted)
    assert (action.label, action.store_author) == ("Gland 3", "anna")
    assert image.sync()[0] == {}


def test_conflicts_change_nothing_until_they_are_settled(image, caller):
    one = image.draw()
    image.sync()
    there = caller.get(one).annotation
    there.name = "theirs"
    caller.save(there)
    image.held[one].name = "mine"
    head = caller.get(one).annotation.revision
    done, whole = image.sync()
    assert done == {one: pb.SYNC_VERB_KEEP}
    (action,) = whole.actions
    assert action.outcome == pb.SYNC_OUTCOME_CONFLICT
    assert (action.client_change, action.store_change) == (pb.SYNC_CHANGE_CHANGED, pb.SYNC_CHANGE_CHANGED)
    assert list(action.client_fields.paths) == list(action.store_fields.paths) == ["name"]
    assert not action.HasField("refusal")
    latest = caller.get(one).annotation
    assert (action.label, action.store_author, action.store_update_time) == ("mine", latest.author, latest.update_time)
    assert (image.held[one].name, caller.get(one).annotation.name) == ("mine", "theirs")
    assert caller.get(one).annotation.revision == head
    image.sync(resolve=pb.SYNC_SIDE_STORE)
    assert image.held[one].name == caller.get(one).annotation.name == "theirs"
    assert "mine" in [revision.name for revision in caller.history(one)]
    assert image.sync()[0] == {}


def test_a_dry_run_changes_nothing_and_a_direction_holds_the_other_side(image, caller):
    mine, theirs = image.draw(), caller.save(new()).saved[0].id
    done, whole = image.sync(validate_only=True)
    assert done == {mine: pb.SYNC_VERB_ADD_TO_STORE, theirs: pb.SYNC_VERB_ADD_TO_CLIENT}
    assert not whole.put
    assert not whole.synced
    assert caller.ids() == [theirs]
    _, whole = image.sync(direction=pb.SYNC_DIRECTION_TO_STORE)
    assert {action.id: action.outcome for action in whole.actions} == {
        mine: pb.SYNC_OUTCOME_DONE,
        theirs: pb.SYNC_OUTCOME_WAITING,
    }
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
    assert image.sync()[0] == {ones[0]: pb.SYNC_VERB_ADD_TO_CLIENT}
    # Nor does what another store had in common with it count.
    del image.held[ones[0]]
    image.store_id = str(uuid.uuid4())
    assert image.sync()[0] == {ones[0]: pb.SYNC_VERB_ADD_TO_CLIENT}


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
    done, whole = image.sync(excluded_ids=[away])
    assert done == {speck: pb.SYNC_VERB_KEEP, good: pb.SYNC_VERB_ADD_TO_STORE}
    (refused,) = [action for action in whole.actions if action.outcome == pb.SYNC_OUTCOME_REFUSED]
    assert (refused.id, info_of(refused).reason) == (speck, "INVALID_SHAPE")
    assert info_of(refused).metadata["annotation_id"] == speck
    assert caller.ids() == [good]


def test_a_shape_that_would_take_minutes_is_left_alone(image, caller):
    ring = shapely.get_coordinates(zigzags(1000, 900, 700))[:-1].ravel()
    tangle = image.draw(shape=drawn(pb.SHAPE_KIND_AREAS, [ring]))
    crossed = image.draw(shape=drawn(pb.SHAPE_KIND_AREAS, [[0, 0, 10, 10, 10, 0, 0, 10]]))
    done, whole = image.sync()
    assert done == {tangle: pb.SYNC_VERB_KEEP, crossed: pb.SYNC_VERB_ADD_TO_STORE}
    (refused,) = [action for action in whole.actions if action.outcome == pb.SYNC_OUTCOME_REFUSED]
    assert "crosses itself too often" in refused.refusal.message
    assert refused.refusal.code == grpc.StatusCode.INVALID_ARGUMENT.value[0]
    assert caller.ids() == [crossed]


@pytest.mark.parametrize("field", ["request_id", "long request_id", "author", "slide", "twice", "direction"])
def test_bad_requests_name_the_field(caller, field):
    one = new()
    request = pb.AnnotationsSyncRequest(
        request_id="r", author="a", slide=pb.AnnotatedSlide(slide_id=SLIDE), annotations=[one]
    )
    expected = {
        "request_id": "request_id",
        "long request_id": "request_id",
        "author": "author",
        "slide": "slide.slide_id",
        "twice": "annotations[1].id",
        "direction": "direction",
    }
    if field == "twice":
        request.annotations.append(one)
    elif field == "direction":
        request.direction = 9
    elif field == "long request_id":
        request.request_id = "r" * 129
    else:
        request.ClearField(field)
    with pytest.raises(ServerError) as failed:
        caller.stream("Sync", request)
    assert (failed.value.reason, failed.value.details["field"]) == ("INVALID_FIELD", expected[field])


def test_large_images_come_in_parts(image, caller):
    ring = [value for n in range(3000) for value in (n + 0.3, 100.7 if n % 2 else 0.2)]
    big = [new(shape=drawn(pb.SHAPE_KIND_LINES, [ring])) for _ in range(40)]
    caller.save(*big)
    request = pb.AnnotationsSyncRequest(request_id="r", author="a", slide=pb.AnnotatedSlide(slide_id=SLIDE))
    messages = caller.stream("Sync", request)
    assert len(messages) > 1
    assert sum(len(message.put) for message in messages) == 40


def test_a_refusal_of_the_store_has_its_reason(image, caller):
    """As when objects are copied to another image with their ids."""
    elsewhere = caller.save(new(slide_id="another")).saved[0].id
    image.held[elsewhere] = new(elsewhere)
    _, whole = image.sync()
    (action,) = whole.actions
    assert (action.verb, action.outcome) == (pb.SYNC_VERB_ADD_TO_STORE, pb.SYNC_OUTCOME_REFUSED)
    assert info_of(action).reason == "REVISION_CONFLICT"
    assert action.refusal.code == grpc.StatusCode.ABORTED.value[0]
    assert "another slide" in action.refusal.message


def test_what_each_side_did_is_said(image, caller):
    names = ("mine", "theirs", "kept", "changed here", "changed there", "gone here", "gone there", "gone and changed")
    ones = {name: image.draw() for name in names[2:]}
    image.sync()
    ones["mine"] = image.draw()
    ones["theirs"] = caller.save(new()).saved[0].id
    image.held[ones["changed here"]].name = "x"
    image.held[ones["changed here"]].locked = True
    there = caller.get(ones["changed there"]).annotation
    there.shape.CopyFrom(BIGGER)
    caller.save(there)
    del image.held[ones["gone here"]]
    for name in ("gone there", "gone and changed"):
        caller.delete(ones[name], caller.get(ones[name]).annotation.revision)
    image.held[ones["gone and changed"]].rgb = 0xFF
    _, whole = image.sync(validate_only=True)
    none, added, changed, deleted = (
        pb.SYNC_CHANGE_NONE,
        pb.SYNC_CHANGE_ADDED,
        pb.SYNC_CHANGE_CHANGED,
        pb.SYNC_CHANGE_DELETED,
    )
    assert {
        one.id: (one.client_change, list(one.client_fields.paths), one.store_change, list(one.store_fields.paths))
        for one in whole.actions
    } == {
        ones["mine"]: (added, [], none, []),
        ones["theirs"]: (none, [], added, []),
        ones["changed here"]: (changed, ["name", "locked"], none, []),
        ones["changed there"]: (none, [], changed, ["shape"]),
        ones["gone here"]: (deleted, [], none, []),
        ones["gone there"]: (none, [], deleted, []),
        ones["gone and changed"]: (changed, ["rgb"], deleted, []),
    }


def test_an_image_that_has_lost_everything_is_not_believed(image, caller):
    ones = [image.draw() for _ in range(ALL_GONE)]
    image.sync()
    image.held.clear()
    _, whole = image.sync()
    assert {one.outcome for one in whole.actions} == {pb.SYNC_OUTCOME_ALL_MISSING}
    assert sorted(caller.ids()) == sorted(ones)
    _, whole = image.sync(resolve=pb.SYNC_SIDE_CLIENT)
    assert {one.outcome for one in whole.actions} == {pb.SYNC_OUTCOME_DONE}
    assert caller.ids() == []


CHANGES = (
    "nothing",
    "new here",
    "new there",
    "changed here",
    "changed there",
    "both alike",
    "both",
    "gone here",
    "gone",
)


@pytest.mark.parametrize("resolve", [pb.SYNC_SIDE_UNSPECIFIED, pb.SYNC_SIDE_CLIENT, pb.SYNC_SIDE_STORE])
@pytest.mark.parametrize("direction", [pb.SYNC_DIRECTION_BOTH, pb.SYNC_DIRECTION_TO_CLIENT, pb.SYNC_DIRECTION_TO_STORE])
def test_a_repeated_sync_leaves_the_same_to_do_and_does_nothing_again(image, caller, direction, resolve):
    """The client heard no answer, and asks once more what it asked."""
    ones = {change: image.draw() for change in CHANGES if not change.startswith("new")}
    image.sync()
    image.draw()
    caller.save(new())
    for change in ("changed here", "both alike", "both"):
        image.held[ones[change]].name = "x"
    for change, name in (("changed there", "y"), ("both alike", "x"), ("both", "z")):
        caller.save(
            pb.Annotation(id=ones[change], revision=caller.get(ones[change]).annotation.revision, name=name),
            fields=["name"],
        )
    for change in ("gone here", "gone"):
        del image.held[ones[change]]
    caller.delete(ones["gone"], caller.get(ones["gone"]).annotation.revision)
    before = dict(image.held), list(image.synced), image.store_id
    _, first = image.sync(direction=direction, resolve=resolve)
    told = {one.id: one.revision for one in first.synced}
    done = {one.id: (one.revision, one.name, one.change) for one in caller.listed(include_deleted=True)[0].annotations}
    image.held, image.synced, image.store_id = before
    _, again = image.sync(direction=direction, resolve=resolve)
    settled = {ones["both"]} if resolve == pb.SYNC_SIDE_STORE and direction == pb.SYNC_DIRECTION_BOTH else set()
    assert {one.id: (one.name, one.shape) for one in again.put} == {one.id: (one.name, one.shape) for one in first.put}
    assert sorted(again.remove) == sorted(first.remove)
    assert {one.id: one.revision for one in again.synced if one.id not in settled} == {
        one: revision for one, revision in told.items() if one not in settled
    }
    after = {one.id: (one.revision, one.name, one.change) for one in caller.listed(include_deleted=True)[0].annotations}
    assert {one: after[one] for one in after.keys() - settled} == {one: done[one] for one in done.keys() - settled}
    # What was settled is as it was; its history alone is longer.
    assert {after[one][1] for one in settled} == {done[one][1] for one in settled}


class Held:
    """A store whose work waits until it is let go."""

    def __init__(self, store):
        self._work, self.running, self.free = store.work, 0, asyncio.Event()

    async def work(self, call):
        self.running += 1
        await self.free.wait()
        return await self._work(call)


def test_a_sync_that_is_repeated_while_it_runs_is_run_once(serving, caller, monkeypatch):
    held = Held(serving.store)
    monkeypatch.setattr(AsyncStore, "work", lambda _, call: held.work(call))
    request = pb.AnnotationsSyncRequest(
        request_id="once", author="a", slide=pb.AnnotatedSlide(slide_id=SLIDE), annotations=[new()]
    )
    other = pb.AnnotationsSyncRequest(request_id="once", author="b", slide=pb.AnnotatedSlide(slide_id=SLIDE))
    with ThreadPoolExecutor(3) as threads:
        first = threads.submit(caller.stream, "Sync", request)
        while not held.running:
            time.sleep(0.01)
        second = threads.submit(caller.stream, "Sync", request)
        with pytest.raises(ServerError) as failed:
            caller.stream("Sync", other)
        assert (failed.value.status, failed.value.reason) == ("ALREADY_EXISTS", "REQUEST_ID_REUSED")
        other.validate_only = True  # a trial's id is not looked for
        trial = threads.submit(caller.stream, "Sync", other)
        while held.running < 2:
            time.sleep(0.01)
        serving.call_soon(held.free.set)
        assert first.result(20) == second.result(20)
        trial.result(20)
    assert held.running == 2, "the first and the trial"
    other.validate_only = False
    caller.stream("Sync", other)  # the id is free again: a Sync is idempotent, not remembered
