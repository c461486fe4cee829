"""The stream: exactly one answer for each revision, the latest wins, and nothing superseded reaches the model."""

import contextlib
import queue
import threading
import time
import uuid

import grpc
import pytest

from support.dark_parts import DarkParts
from support.server import around, clicks, iou, point
from support.waiting import until
from wsisam.v1 import geometry_pb2 as geo
from wsisam.v1 import segmentation_pb2 as pb
from wsisam_server.client import ServerError, geometry, status_error


class Stream:
    """One Interact stream, written and read step by step."""

    def __init__(self, client, slide, session_id=None, *, start=True, **start_fields):
        self._out = queue.Queue()
        self.session_id = session_id or uuid.uuid4().hex
        if start:
            self._out.put(
                pb.InteractRequest(start=pb.Start(session_id=self.session_id, slide_id=slide.slide_id, **start_fields))
            )
        self.call = client.stub.Interact(iter(self._out.get, None), timeout=120)

    def prompt(self, object_id, revision, prompt, **more):
        self._out.put(
            pb.InteractRequest(prompt=pb.PromptRevision(object_id=object_id, revision=revision, prompt=prompt, **more))
        )

    def send(self, **message):
        self.put(pb.InteractRequest(**message))

    def put(self, message):
        self._out.put(message)

    def finish(self):
        self._out.put(None)

    def next(self, *kinds):
        """The next message of one of the kinds; only the greeting and progress may come before it."""
        for message in self.call:
            kind = message.WhichOneof("message")
            if kind in kinds:
                return getattr(message, kind)
            assert kind in ("started", "progress"), message
        raise AssertionError("the stream ended")

    def answers(self):
        """All answers until the end of the stream, by (object, revision)."""
        found = {}
        for message in self.call:
            kind = message.WhichOneof("message")
            if kind in ("outline", "error"):
                value = getattr(message, kind)
                key = (value.object_id, value.revision)
                assert key not in found
                found[key] = status_error(value.error).reason if kind == "error" else value.outline
        return found


@pytest.fixture
def stream(client, slide):
    stream = Stream(client, slide)
    assert stream.next("started").model == DarkParts.name
    yield stream
    stream.call.cancel()


def fails(stream):
    with pytest.raises(grpc.RpcError) as caught:
        list(stream.call)
    from wsisam_server.client import server_error

    return server_error(caught.value)


def test_objects_are_refined_revision_by_revision(stream):
    stream.prompt("disc", 1, around("a"))
    first = stream.next("outline")
    assert (first.object_id, first.revision) == ("disc", 1)
    assert iou(geometry(first.outline.geometry), "a") > 0.9
    refined = around("a")
    refined.points.add(position=geo.Point(x=200, y=200), label=pb.POINT_LABEL_POSITIVE)
    stream.prompt("disc", 2, refined)
    second = stream.next("outline")
    assert second.revision == 2
    assert second.outline.field == first.outline.field
    assert second.outline.timings.encoder_runs == 0


def test_the_last_answer_is_fed_back_while_the_prompt_only_grows(stream, model, monkeypatch):
    masks, decode = [], model.decode
    monkeypatch.setattr(
        model, "decode", lambda high, low, prompt, **how: masks.append(prompt.mask) or decode(high, low, prompt, **how)
    )
    grown = around("a")
    grown.points.append(point(200, 200))
    more = pb.Prompt()
    more.CopyFrom(grown)
    more.points.append(point(30, 30, positive=False))
    taken_back = around("a")
    outlines = []
    for revision, prompt in enumerate((around("a"), grown, more, taken_back)):
        stream.prompt("disc", revision + 1, prompt)
        outlines.append(stream.next("outline").outline)
    assert model.settings.mask_feedback
    # in another field there is nothing to feed back: the box is answered there again, and that is
    third = [True] if outlines[2].field == outlines[1].field else [False, True]
    assert [mask is not None for mask in masks] == [False, True, *third, False]
    assert iou(geometry(outlines[1].geometry), "a") > 0.85


def test_box_and_clicks_at_once_are_answered_as_one_after_the_other(stream, client, slide):
    grown = around("a")
    grown.points.append(point(200, 200))
    for revision, prompt in enumerate((around("a"), grown)):
        stream.prompt("disc", revision + 1, prompt)
        last = stream.next("outline").outline
    at_once = client.segment(pb.SegmentRequest(slide_id=slide.slide_id, prompt=grown))
    assert at_once.geometry == last.geometry
    assert at_once.field == last.field


def test_the_stream_ends_when_the_client_is_done_and_all_is_answered(client, slide):
    stream = Stream(client, slide)
    for name in "abc":
        stream.prompt(name, 1, around(name))
    stream.finish()
    answers = stream.answers()
    assert {key: iou(geometry(outline.geometry), key[0]) > 0.9 for key, outline in answers.items()} == {
        (name, 1): True for name in "abc"
    }


def test_the_latest_revision_wins_and_the_others_never_reach_the_model(client, slide, model, monkeypatch):
    decodes, decode = [], model.decode
    monkeypatch.setattr(model, "decode", lambda *args, **more: decodes.append(1) or decode(*args, **more))
    stream = Stream(client, slide)
    for revision in range(1, 31):
        stream.prompt("disc", revision, around("b"), field=pb.FieldChoice(downsample=1.0 + revision / 1000))
    stream.finish()
    answers = stream.answers()
    assert set(answers) == {("disc", revision) for revision in range(1, 31)}
    assert all(answers["disc", revision] == "SUPERSEDED" for revision in range(1, 30))
    assert iou(geometry(answers["disc", 30].geometry), "b") > 0.85
    assert len(decodes) <= 2


def test_an_old_revision_is_refused(stream):
    stream.prompt("disc", 5, around("a"))
    stream.next("outline")
    stream.prompt("disc", 5, around("a"))
    error = stream.next("error")
    assert (error.revision, status_error(error.error).reason) == (5, "STALE_REVISION")
    assert status_error(error.error).details == {"object_id": "disc", "current": "5", "given": "5"}


def test_cancel_answers_the_waiting_prompt(client, slide):
    stream = Stream(client, slide)
    stream.prompt("disc", 1, around("a"), field=pb.FieldChoice(downsample=1.31))
    stream.send(cancel=pb.Cancel(object_id="disc"))
    stream.send(cancel=pb.Cancel(object_id="never seen"))
    stream.finish()
    assert stream.answers() == {("disc", 1): "PROMPT_CANCELLED"}


def test_one_bad_prompt_does_not_end_the_stream(stream):
    stream.prompt("bad", 1, clicks((1e9, 5, True)))
    assert status_error(stream.next("error").error).reason == "PROMPT_OUTSIDE_SLIDE"
    stream.prompt("", 1, around("a"))
    assert status_error(stream.next("error").error).reason == "INVALID_FIELD"
    stream.send(viewport=geo.Viewport(region=geo.Box(x0=5, x1=1, y1=1), downsample=1))
    assert status_error(stream.next("error").error).reason == "INVALID_FIELD"
    stream.prompt("good", 1, around("a"))
    assert stream.next("outline").object_id == "good"


def test_the_viewport_of_the_stream_counts_for_prompts_without_one(stream):
    stream.send(viewport=geo.Viewport(region=geo.Box(x0=100, y0=100, x1=228, y1=228), downsample=0.5))
    stream.prompt("click", 1, clicks((180, 180, True)))
    assert stream.next("outline").outline.field.high.downsample == 0.5


def test_progress_is_told_for_cold_prompts_only(client, slide):
    stages = []
    for _ in range(2):
        stream = Stream(client, slide)
        stream.prompt("disc", 1, around("c"), field=pb.FieldChoice(downsample=1.77))
        stream.finish()
        stages.append([m.progress.stage for m in stream.call if m.WhichOneof("message") == "progress"])
    assert stages == [[pb.STAGE_ENCODING], []]


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (pb.InteractRequest(prompt=pb.PromptRevision(object_id="x", revision=1)), "SESSION_NOT_STARTED"),
        (pb.InteractRequest(), "SESSION_NOT_STARTED"),
    ],
)
def test_a_stream_begins_with_start(client, slide, message, reason):
    stream = Stream(client, slide, start=False)
    stream.put(message)
    assert fails(stream).reason == reason


def test_a_stream_without_any_message_is_told_so(client, slide):
    stream = Stream(client, slide, start=False)
    stream.finish()
    assert fails(stream).reason == "SESSION_NOT_STARTED"


def test_a_second_start_ends_the_stream(stream):
    stream.send(start=pb.Start(session_id="again"))
    assert fails(stream).reason == "SESSION_ALREADY_STARTED"


def test_a_message_of_an_unknown_kind_is_refused_and_the_stream_goes_on(stream):
    stream.put(pb.InteractRequest())
    error = stream.next("error")
    assert (error.object_id, status_error(error.error).reason) == ("", "INVALID_FIELD")
    stream.prompt("disc", 1, around("a"))
    assert stream.next("outline")


def test_an_over_long_id_is_not_echoed_whole(stream):
    stream.prompt("x" * 100_000, 1, around("a"))
    error = stream.next("error")
    assert status_error(error.error).reason == "INVALID_FIELD"
    assert len(error.object_id) == 128


def test_a_client_that_reads_late_hears_of_each_prompt(client, slide):
    stream = Stream(client, slide)
    refused = 3000
    for revision in range(refused):
        stream.prompt("disc", revision, clicks((1e9, 5, True)))
    stream.finish()
    time.sleep(1)
    answers = stream.answers()
    assert len(answers) == refused


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"slide_id": "nothing"}, "UNKNOWN_SLIDE_ID"),
        ({"model": "nothing"}, "UNKNOWN_MODEL"),
        ({"model": "wsisam-tiny"}, "MODEL_UNAVAILABLE"),
    ],
)
def test_a_start_that_names_nothing_known_fails(client, slide, fields, reason):
    start = {"session_id": uuid.uuid4().hex, "slide_id": slide.slide_id, **fields}
    stream = Stream(client, slide, start=False)
    stream.send(start=pb.Start(**start))
    assert fails(stream).reason == reason


def test_a_start_without_an_id_fails(client, slide):
    stream = Stream(client, slide, start=False)
    stream.send(start=pb.Start(slide_id=slide.slide_id))
    assert fails(stream).reason == "INVALID_FIELD"


def test_two_streams_cannot_share_a_session_id(client, slide, stream):
    second = Stream(client, slide, session_id=stream.session_id)
    error = fails(second)
    assert (error.status, error.reason) == ("ALREADY_EXISTS", "SESSION_IN_USE")
    # The first goes on, and when it ends the id is free.
    stream.prompt("disc", 1, around("a"))
    stream.next("outline")
    stream.finish()
    assert list(stream.call) == []
    third = Stream(client, slide, session_id=stream.session_id)
    assert third.next("started")
    third.finish()
    assert list(third.call) == []


def test_a_client_that_disappears_frees_its_session(client, slide):
    stream = Stream(client, slide)
    stream.next("started")
    stream.prompt("disc", 1, around("a"), field=pb.FieldChoice(downsample=1.43))
    stream.call.cancel()

    def free():
        again = Stream(client, slide, session_id=stream.session_id)
        with contextlib.suppress(grpc.RpcError):
            assert again.next("started")
            again.call.cancel()
            return True

    until(free, 5, pause=0.1)


def test_many_streams_at_once(client, slide):
    failures = []

    def annotate(name):
        try:
            stream = Stream(client, slide)
            for revision in (1, 2):
                stream.prompt(name, revision, around(name))
                assert iou(geometry(stream.next("outline").outline.geometry), name) > 0.9
            stream.finish()
            list(stream.call)
        except BaseException as error:  # noqa: BLE001 - reported by the test
            failures.append(error)

    threads = [threading.Thread(target=annotate, args=(name,)) for name in "abcabcabc"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


def test_the_python_client_speaks_the_stream(client, slide):
    requests = [
        pb.InteractRequest(prompt=pb.PromptRevision(object_id="disc", revision=1, prompt=around("a"))),
    ]
    replies = list(client.interact(pb.Start(slide_id=slide.slide_id), requests))
    assert [reply.WhichOneof("message") for reply in replies if reply.WhichOneof("message") != "progress"] == [
        "started",
        "outline",
    ]
    with pytest.raises(ServerError) as caught:
        list(client.interact(pb.Start(slide_id="nothing"), []))
    assert caught.value.reason == "UNKNOWN_SLIDE_ID"
