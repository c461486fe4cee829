"""Sync of an image that a client holds, over a real socket: the rules are those of `wsisam sync`."""

import asyncio
import threading
import time
import uuid
from concurrent.futures import ThreadPoolExecutor

import grpc
import numpy as np
import pytest
import shapely
from google.rpc import error_details_pb2

from support.annotations import SLIDE, Caller, Serving, area, drawn, new, path_class, sync_requests
from support.self_crossing import zigzags
from support.waiting import until
from wsisam.v1 import annotations_pb2 as pb
from wsisam_server.annotations.store import AsyncStore
from wsisam_server.annotations.sync.plan import ALL_GONE
from wsisam_server.client import ServerError
from wsisam_server.core.errors import WsiSamServerError
from wsisam_server.core.settings import Limits
from wsisam_server.service.servicers.sync_intake import SyncIntake

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
    """A client with an image and its record, that does its part as it is told."""

    def __init__(self, caller, author="qupath:ben"):
        self.caller, self.author = caller, author
        self.held, self.record, self.store_id = {}, {}, ""
        self.sent = []

    def draw(self, shape=None, **more):
        one = new(shape=shape or area(), **more)
        self.held[one.id] = one
        return one.id

    def requests(self, excluded_ids=(), **more):
        """The messages of a sync."""
        here = {one: held for one, held in self.held.items() if one not in excluded_ids}
        as_it_was = {one for one, held in here.items() if one in self.record and self.record[one][1] == digest(held)}
        changed = []
        for one in here.keys() - as_it_was:
            annotation = pb.Annotation()
            annotation.CopyFrom(here[one])
            annotation.revision = self.record.get(one, (0, None))[0]
            changed.append(annotation)
        self.sent = [one.id for one in changed]
        gone = self.record.keys() - here.keys() - set(excluded_ids)
        return list(
            sync_requests(
                changed,
                [(one, self.record[one][0]) for one in as_it_was],
                [(one, self.record[one][0]) for one in gone],
                excluded_ids,
                author=self.author,
                slide=pb.AnnotatedSlide(slide_id=SLIDE, uris=["file:///s.svs"]),
                project="Colon",
                store_id=self.store_id,
                **more,
            )
        )

    def sync(self, **more):
        whole = pb.AnnotationsSyncResponse()
        for message in self.caller.stream("Sync", iter(self.requests(**more))):
            whole.MergeFrom(message)
        if not more.get("validate_only"):
            self.held.update({one.id: one for one in whole.put})
            for one in whole.remove:
                del self.held[one]
            for one in whole.synced:
                self.record[one.id] = (one.revision, digest(self.held[one.id]))
            for one in whole.forgotten:
                self.record.pop(one, None)
            self.store_id = whole.store_id
        return {action.id: action.verb for action in whole.actions}, whole


def digest(annotation):
    """Of what the image holds of an annotation."""
    seen = pb.Annotation()
    seen.CopyFrom(annotation)
    seen.ClearField("revision")
    return seen.SerializeToString(deterministic=True)


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
    before = (dict(image.held), dict(image.record), image.store_id)
    image.sync()
    image.held, image.record, image.store_id = before
    assert image.sync()[0] == {}
    assert caller.get(one).annotation.revision == 1
    assert len(image.record) == 1


def test_who_forgets_what_was_synced_deletes_nothing(image, caller):
    ones = [image.draw(), image.draw()]
    image.sync()
    del image.held[ones[0]]
    image.record = {}
    assert image.sync()[0] == {ones[0]: pb.SYNC_VERB_ADD_TO_CLIENT}


def test_what_another_store_had_in_common_does_not_count(image, caller):
    """As after a backup was restored, or with another server: then all is sent in full, and nothing is deleted."""
    ones = [image.draw(), image.draw()]
    image.sync()
    del image.held[ones[0]]
    image.store_id = str(uuid.uuid4())
    with pytest.raises(ServerError) as failed:
        image.sync()
    assert (failed.value.status, failed.value.reason) == ("FAILED_PRECONDITION", "SYNC_BASE_UNKNOWN")
    image.record = {one: (revision, None) for one, (revision, _) in image.record.items()}
    assert image.sync()[0] == {ones[0]: pb.SYNC_VERB_ADD_TO_CLIENT}
    assert image.sync()[0] == {}


@pytest.mark.parametrize("ahead", [True, False])
def test_a_revision_that_the_store_does_not_have_is_asked_for_in_full(image, caller, ahead):
    one, other = image.draw(), image.draw()
    image.sync()
    # The store's later one, or one that is another annotation's.
    image.record[one] = (99 if ahead else image.record[other][0], image.record[one][1])
    head = caller.call("GetStore", pb.AnnotationsGetStoreRequest()).revision
    with pytest.raises(ServerError, match="Send all annotations"):
        image.sync()
    assert caller.call("GetStore", pb.AnnotationsGetStoreRequest()).revision == head
    image.record = {known: (revision, None) for known, (revision, _) in image.record.items()}
    image.sync()
    assert image.sync()[1].unchanged == 2


def test_of_an_image_as_it_was_nothing_is_sent_in_full(image, caller):
    for number in range(30):
        image.draw(shape=area(x0=number, x1=number + 50))
    caller.save(*(new(name=str(number)) for number in range(20)))
    assert image.sync()[1].unchanged == 0
    assert len(image.sent) == 30
    _, whole = image.sync(per_batch=7)
    assert (image.sent, whole.unchanged) == ([], 50)
    told = pb.AnnotationsSyncResponse(store_id=image.store_id, unchanged=50)
    assert whole == told


def test_only_what_changed_is_sent_in_full(image, caller):
    ones = [image.draw() for _ in range(6)]
    image.sync()
    image.held[ones[0]].name = "here"
    there = caller.get(ones[1]).annotation
    there.name, there.measurements["Area"] = "there", 4.0
    caller.save(there)
    caller.delete(ones[2], caller.get(ones[2]).annotation.revision)
    _, whole = image.sync()
    assert image.sent == [ones[0]]
    assert [(one.id, one.name, dict(one.measurements)) for one in whole.put] == [(ones[1], "there", {"Area": 4.0})]
    assert {one.id for one in whole.synced} == {ones[0], ones[1]}
    assert (list(whole.forgotten), list(whole.remove), whole.unchanged) == ([ones[2]], [ones[2]], 3)
    assert image.sync()[0] == {}


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


@pytest.mark.parametrize(
    ("start", "field"),
    [
        ({"request_id": ""}, "start.request_id"),
        ({"request_id": "r" * 129}, "start.request_id"),
        ({"author": ""}, "start.author"),
        ({"slide": None}, "start.slide.slide_id"),
        ({"direction": 9}, "start.direction"),
        ({"resolve": 9}, "start.resolve"),
    ],
)
def test_a_bad_start_names_the_field(caller, start, field):
    with pytest.raises(ServerError) as failed:
        caller.stream("Sync", sync_requests([new()], **start))
    assert (failed.value.reason, failed.value.details["field"]) == ("INVALID_FIELD", field)
    assert caller.ids() == []


ONE = str(uuid.uuid4())
START = pb.AnnotationsSyncRequest(
    start=pb.SyncStart(request_id="r", author="a", slide=pb.AnnotatedSlide(slide_id=SLIDE))
)
END = pb.AnnotationsSyncRequest(end=pb.SyncEnd())


def batch(**lists):
    return pb.AnnotationsSyncRequest(batch=pb.SyncBatch(**lists))


GOOD = batch(changed=[new()])
KNOWN = pb.BaseRevision(id=ONE, revision=1)


@pytest.mark.parametrize(
    ("messages", "field"),
    [
        ([], "end"),
        ([START, GOOD], "end"),
        ([GOOD, END], "batch"),
        ([END], "end"),
        ([START, START, GOOD, END], "start"),
        ([START, GOOD, START, END], "start"),
        ([START, GOOD, END, GOOD], "batch"),
        ([START, GOOD, END, END], "end"),
        ([START, GOOD, pb.AnnotationsSyncRequest(), END], "message"),
        ([START, GOOD, GOOD, END], "batch.changed[0].id"),
        ([START, GOOD, batch(changed=[new(ONE), new(ONE)]), END], "batch.changed[1].id"),
        ([START, GOOD, batch(changed=[new(ONE)], missing=[KNOWN]), END], "batch.changed[0].id"),
        ([START, GOOD, batch(unchanged=[KNOWN], missing=[KNOWN]), END], "batch.missing[0].id"),
        ([START, GOOD, batch(unchanged=[KNOWN], excluded_ids=[ONE.upper()]), END], "batch.excluded_ids[0]"),
        ([START, GOOD, batch(unchanged=[pb.BaseRevision(id="x", revision=1)]), END], "batch.unchanged[0].id"),
        ([START, GOOD, batch(missing=[pb.BaseRevision(id=ONE)]), END], "batch.missing[0].revision"),
        ([START, GOOD, batch(unchanged=[pb.BaseRevision(id=ONE, revision=-1)]), END], "batch.unchanged[0].revision"),
        ([START, GOOD, batch(changed=[new(ONE, revision=-1)]), END], "batch.changed[0].revision"),
        ([START, GOOD, batch(changed=[pb.Annotation(id=ONE)]), END], "batch.changed[0].shape"),
    ],
)
def test_messages_that_make_no_sync_change_nothing_and_name_the_field(caller, messages, field):
    with pytest.raises(ServerError) as failed:
        caller.stream("Sync", iter(messages))
    assert (failed.value.reason, failed.value.details["field"]) == ("INVALID_FIELD", field)
    assert caller.ids() == []


def test_a_line_that_is_cut_changes_nothing(caller):
    sent, cut = threading.Event(), threading.Event()

    def messages():
        yield from (START, GOOD)
        sent.set()
        cut.wait(20)

    call = caller.stub.Sync(messages())
    assert sent.wait(20)
    call.cancel()
    cut.set()
    with pytest.raises(grpc.RpcError):
        list(call)
    caller.stream("Sync", sync_requests([new(ONE)]))
    assert caller.ids() == [ONE]


def test_a_call_has_a_time_and_the_work_is_done_all_the_same(serving, caller, monkeypatch):
    held = Held(serving.store)
    monkeypatch.setattr(AsyncStore, "work", lambda _, call: held.work(call))
    with pytest.raises(grpc.RpcError) as failed:
        list(caller.stub.Sync(sync_requests([new(ONE)]), timeout=0.5))
    assert failed.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    serving.call_soon(held.free.set)
    until(lambda: caller.ids() == [ONE])


@pytest.mark.parametrize(
    ("limits", "words"),
    [({"annotations_per_sync": 20}, "20 annotations"), ({"sync_bytes": 2000}, "2000 bytes")],
)
def test_more_than_a_sync_may_have_is_refused(tmp_path, limits, words):
    served = Serving(str(tmp_path / "a.sqlite"), Limits(**limits))
    caller = Caller(served.target)
    try:
        with pytest.raises(ServerError, match=words) as failed:
            caller.stream("Sync", sync_requests([new() for _ in range(21)], per_batch=5))
        assert (failed.value.status, failed.value.reason) == ("RESOURCE_EXHAUSTED", "SYNC_TOO_LARGE")
        assert caller.ids() == []
    finally:
        caller.close()
        served.stop()


def test_so_many_ids_are_refused_within_seconds():
    intake = SyncIntake(Limits(annotations_per_sync=100_000))
    intake.take(START)
    ids = [f"{number:08x}-0000-0000-0000-000000000000" for number in range(10**6)]
    started = time.process_time()
    with pytest.raises(WsiSamServerError, match="100000 annotations"):
        intake.take(batch(excluded_ids=ids))
    assert time.process_time() - started < 10


def test_an_image_may_be_larger_than_a_message(image, caller):
    for number in range(24):
        xy = np.c_[np.arange(50_000) + 0.1, np.full(50_000, number + 0.3)]
        image.draw(shape=drawn(pb.SHAPE_KIND_LINES, [xy.ravel().tolist()]))
    requests = image.requests(per_batch=1)
    assert sum(request.ByteSize() for request in requests) > Limits().message_bytes
    assert len(image.sync(per_batch=1)[0]) == 24
    other = Image(caller)
    done, whole = other.sync()
    assert set(done.values()) == {pb.SYNC_VERB_ADD_TO_CLIENT}
    assert whole.ByteSize() > Limits().message_bytes
    assert (other.sync()[1].unchanged, other.sent) == (24, [])


def test_large_images_come_in_parts(image, caller):
    ring = [value for n in range(3000) for value in (n + 0.3, 100.7 if n % 2 else 0.2)]
    big = [new(shape=drawn(pb.SHAPE_KIND_LINES, [ring])) for _ in range(40)]
    caller.save(*big)
    messages = caller.stream("Sync", sync_requests())
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
    before = dict(image.held), dict(image.record), image.store_id
    _, first = image.sync(direction=direction, resolve=resolve)
    told = dict(image.record)
    done = {one.id: (one.revision, one.name, one.change) for one in caller.listed(include_deleted=True)[0].annotations}
    image.held, image.record, image.store_id = before
    _, again = image.sync(direction=direction, resolve=resolve)
    settled = {ones["both"]} if resolve == pb.SYNC_SIDE_STORE and direction == pb.SYNC_DIRECTION_BOTH else set()
    assert {one.id: (one.name, one.shape) for one in again.put} == {one.id: (one.name, one.shape) for one in first.put}
    assert sorted(again.remove) == sorted(first.remove)
    assert {one: known for one, known in image.record.items() if one not in settled} == {
        one: known for one, known in told.items() if one not in settled
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
    request = list(sync_requests([new()], request_id="once"))
    other = list(sync_requests(request_id="once"))
    with ThreadPoolExecutor(3) as threads:
        first = threads.submit(caller.stream, "Sync", iter(request))
        until(lambda: held.running == 1)
        second = threads.submit(caller.stream, "Sync", iter(request))
        with pytest.raises(ServerError) as failed:
            caller.stream("Sync", iter(other))
        assert (failed.value.status, failed.value.reason) == ("ALREADY_EXISTS", "REQUEST_ID_REUSED")
        # A trial's id is not looked for.
        trial = threads.submit(caller.stream, "Sync", sync_requests(request_id="once", validate_only=True))
        until(lambda: held.running == 2)
        serving.call_soon(held.free.set)
        assert first.result(20) == second.result(20)
        trial.result(20)
    assert held.running == 2, "the first and the trial"
    caller.stream("Sync", iter(other))  # the id is free again: a Sync is idempotent, not remembered
