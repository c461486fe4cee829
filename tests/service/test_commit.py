"""Outlines that are stored before they are answered: by Segment, SegmentBatch and Interact, by a whole server."""

import asyncio
import queue
import threading
import uuid

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from PIL import Image

from support.annotations import Caller, path_class
from support.server import around, clicks, iou, picture, start, write_picture
from wsisam.v1 import annotations_pb2 as ann
from wsisam.v1 import segmentation_pb2 as pb
from wsisam_server.annotations.store import AsyncStore
from wsisam_server.client import Client, ServerError, geometry, status_error


@pytest.fixture(scope="module")
def keeping(model, tmp_path_factory):
    root = tmp_path_factory.mktemp("slides")
    write_picture(root / "discs.png")
    running, stop = start(model, root, store=str(tmp_path_factory.mktemp("store") / "annotations.sqlite"))
    yield running
    stop()


@pytest.fixture
def client(keeping):
    with Client(keeping.target, timeout=120) as client:
        yield client


@pytest.fixture
def caller(keeping):
    caller = Caller(keeping.target)
    yield caller
    caller.close()


@pytest.fixture
def slide(client, keeping):
    return client.open_slide(str(keeping.root / "discs.png"))


def commit(**more):
    fields = {"annotation_id": str(uuid.uuid4()), "author": "anna", **more}
    return pb.Commit(**fields)


def test_segment_keeps_what_it_answers(client, caller, slide):
    wanted = commit(
        path_class=path_class("Disc", 0x112233), name="a", project="P", uri="file:///discs.png", metadata={"k": "v"}
    )
    outline = client.segment(pb.SegmentRequest(slide_id=slide.slide_id, prompt=around("a"), commit=wanted))
    assert (outline.saved.id, outline.saved.unchanged) == (wanted.annotation_id, False)
    reply = caller.get(wanted.annotation_id)
    kept = reply.annotation
    assert kept.revision == outline.saved.revision
    assert kept.shape.area == outline.geometry
    assert iou(geometry(kept.shape.area), "a") > 0.9
    assert (kept.author, kept.name, kept.project, kept.path_class) == ("anna", "a", "P", path_class("Disc", 0x112233))
    assert dict(kept.metadata) == {"k": "v"}
    assert (kept.provenance.model, kept.provenance.weights_hash) == (outline.model, outline.weights_hash)
    assert kept.provenance.prompt == around("a")
    assert kept.provenance.field == outline.field
    assert kept.provenance.score == pytest.approx(outline.score)
    assert reply.slide == ann.AnnotatedSlide(slide_id=slide.slide_id, uris=["file:///discs.png"], width=900, height=700)


def test_without_a_commit_nothing_is_kept(client, caller, slide):
    before = caller.listed()[-1].revision
    outline = client.segment(pb.SegmentRequest(slide_id=slide.slide_id, prompt=around("a")))
    assert not outline.HasField("saved")
    assert caller.listed()[-1].revision == before


def test_a_prompt_that_is_sent_again_makes_no_second_annotation(client, caller, slide):
    request = pb.SegmentRequest(slide_id=slide.slide_id, prompt=around("b"), commit=commit())
    first, second = client.segment(request), client.segment(request)
    assert (first.saved.unchanged, second.saved.unchanged) == (False, True)
    assert first.saved.revision == second.saved.revision
    assert len(caller.history(first.saved.id)) == 1


def test_an_annotation_is_made_again_with_another_prompt(client, caller, slide):
    wanted = commit()
    client.segment(pb.SegmentRequest(slide_id=slide.slide_id, prompt=around("b"), commit=wanted))
    with pytest.raises(ServerError) as caught:
        client.segment(pb.SegmentRequest(slide_id=slide.slide_id, prompt=around("c"), commit=wanted))
    assert (caught.value.status, caught.value.reason) == ("ABORTED", "REVISION_CONFLICT")
    assert caught.value.conflicts.conflicts[0].stored.id == wanted.annotation_id
    wanted.revision = caught.value.conflicts.conflicts[0].stored.revision
    client.segment(pb.SegmentRequest(slide_id=slide.slide_id, prompt=around("c"), commit=wanted))
    old, new = caller.history(wanted.annotation_id)
    assert iou(geometry(old.shape.area), "b") > 0.9
    assert iou(geometry(new.shape.area), "c") > 0.85


def test_an_empty_outline_is_not_kept(client, caller, slide):
    wanted = commit()
    request = pb.SegmentRequest(
        slide_id=slide.slide_id,
        prompt=around("a"),
        options=pb.OutlineOptions(min_area=1e12),
        commit=wanted,
    )
    outline = client.segment(request)
    assert list(outline.geometry.polygons) == []
    assert not outline.HasField("saved")
    with pytest.raises(ServerError):
        caller.get(wanted.annotation_id)


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"annotation_id": ""}, "commit.annotation_id"),
        ({"annotation_id": "disc"}, "commit.annotation_id"),
        ({"author": ""}, "commit.author"),
        ({"revision": -1}, "commit.revision"),
        ({"path_class": pb.PathClass()}, "path_class.name"),
    ],
)
def test_bad_commits(client, slide, fields, field):
    request = pb.SegmentRequest(slide_id=slide.slide_id, prompt=around("a"), commit=commit(**fields))
    with pytest.raises(ServerError) as caught:
        client.segment(request)
    assert (caught.value.reason, caught.value.details["field"]) == ("INVALID_FIELD", field)


def test_a_slide_of_pushed_pixels_needs_a_name_that_lasts(client, caller):
    pushed = client.open_slide("file:///only%20here.png", pb.PixelSource(width=900, height=700))
    request = pb.SegmentRequest(slide_id=pushed.slide_id, prompt=around("a"), commit=commit())
    with pytest.raises(ServerError) as caught:
        client.segment(request)
    assert (caught.value.reason, caught.value.details["field"]) == ("INVALID_FIELD", "commit.uri")
    request.commit.uri = "file:///only%20here.png"
    with pytest.raises(ServerError) as caught:
        client.segment(request)
    for window in caught.value.pixels_needed.windows:
        x, y, width, height = window.x, window.y, window.width, window.height
        pixels = Image.fromarray(picture()[y : y + height, x : x + width]).resize(
            (window.tile_width, window.tile_height)
        )
        request.tiles.add(window=window, encoding=pb.TILE_ENCODING_RAW, data=pixels.tobytes())
    outline = client.segment(request)
    reply = caller.get(outline.saved.id)
    assert reply.annotation.slide_id == "file:///only%20here.png"
    assert (reply.slide.width, reply.slide.height) == (900, 700)
    assert caller.ids(uri="file:///only%20here.png") == [outline.saved.id]


def test_a_batch_keeps_item_by_item(client, caller, slide):
    good, bad = commit(), commit(author="")
    request = pb.SegmentBatchRequest(
        slide_id=slide.slide_id,
        items=[
            pb.BatchItem(id="good", prompt=around("a"), commit=good),
            pb.BatchItem(id="bad", prompt=around("b"), commit=bad),
            pb.BatchItem(id="only answered", prompt=around("c")),
        ],
    )
    answers = {answer.id: answer for answer in client.segment_batch(request)}
    assert answers["good"].outline.saved.id == good.annotation_id
    assert answers["bad"].error.details["field"] == "items[1].commit.author"
    assert not answers["only answered"].outline.HasField("saved")
    assert caller.get(good.annotation_id).annotation.shape.area == answers["good"].outline.geometry


class Stream:
    """An Interact stream, step by step."""

    def __init__(self, client, slide):
        self._out = queue.Queue()
        self._out.put(pb.InteractRequest(start=pb.Start(session_id=uuid.uuid4().hex, slide_id=slide.slide_id)))
        self._call = client.stub.Interact(iter(self._out.get, None), timeout=120)

    def prompt(self, revision, prompt, **more):
        self._out.put(
            pb.InteractRequest(prompt=pb.PromptRevision(object_id="disc", revision=revision, prompt=prompt, **more))
        )

    def answer(self):
        for message in self._call:
            if message.WhichOneof("message") in ("outline", "error"):
                return getattr(message, message.WhichOneof("message"))
        raise AssertionError("the stream ended")

    def end(self):
        self._out.put(None)
        return [message for message in self._call if message.WhichOneof("message") in ("outline", "error")]


def test_a_stream_keeps_the_revision_that_says_so(client, caller, slide):
    stream, wanted = Stream(client, slide), commit(name="kept")
    stream.prompt(1, around("a"))
    assert not stream.answer().outline.HasField("saved")
    stream.prompt(2, around("a", margin=8), commit=wanted)
    answer = stream.answer()
    assert answer.outline.saved.id == wanted.annotation_id
    assert caller.get(wanted.annotation_id).annotation.shape.area == answer.outline.geometry
    stream.prompt(3, around("a"), commit=commit(author=""))
    assert status_error(stream.answer().error).details["field"] == "prompt.commit.author"
    stream.prompt(4, around("c"), commit=wanted)
    error = status_error(stream.answer().error)
    assert (error.status, error.reason) == ("ABORTED", "REVISION_CONFLICT")
    assert error.details["current"] == str(answer.outline.saved.revision)
    assert stream.end() == []


def test_what_is_being_stored_is_not_superseded(client, caller, keeping, slide, monkeypatch):
    """While the disk is slow, the annotator goes on: both prompts are answered, each once."""
    storing, may_store = threading.Event(), threading.Event()
    save = AsyncStore.save

    async def slow(self, *arguments, **more):
        storing.set()
        await asyncio.to_thread(may_store.wait, 20)
        return await save(self, *arguments, **more)

    monkeypatch.setattr(AsyncStore, "save", slow)
    stream, wanted = Stream(client, slide), commit()
    stream.prompt(1, around("a"), commit=wanted)
    assert storing.wait(60)
    stream.prompt(2, clicks((200, 200, True)))
    answers = [stream.answer()]
    may_store.set()
    answers.append(stream.answer())
    assert [answer.revision for answer in answers] == [2, 1]
    assert answers[1].outline.saved.id == wanted.annotation_id
    assert caller.get(wanted.annotation_id).annotation.shape.area == answers[1].outline.geometry
    assert stream.end() == []


def test_a_server_without_a_store_refuses_before_it_computes(server):
    with Client(server.target) as client:
        slide = client.open_slide("discs.png")
        request = pb.SegmentRequest(slide_id=slide.slide_id, prompt=around("a"), commit=commit())
        with pytest.raises(ServerError) as caught:
            client.segment(request)
        assert (caught.value.status, caught.value.reason) == ("FAILED_PRECONDITION", "STORE_OFF")
        stream = Stream(client, slide)
        stream.prompt(1, around("a"), commit=commit())
        assert status_error(stream.answer().error).reason == "STORE_OFF"
        stream.end()


@pytest.mark.model
@pytest.mark.parametrize(("kind", "status"), [("server", "NOT_SERVING"), ("keeping", "SERVING")])
def test_health_says_whether_annotations_are_kept(request, kind, status):
    with grpc.insecure_channel(request.getfixturevalue(kind).target) as channel:
        reply = health_pb2_grpc.HealthStub(channel).Check(
            health_pb2.HealthCheckRequest(service="wsisam.v1.Annotations")
        )
    assert health_pb2.HealthCheckResponse.ServingStatus.Name(reply.status) == status


def test_annotations_outlive_the_server_and_watchers_go_on(model, tmp_path):
    place = str(tmp_path / "annotations.sqlite")
    write_picture(tmp_path / "discs.png")
    kept, since = [], 0
    for name in "ab":
        running, stop = start(model, tmp_path, store=place)
        caller = Caller(running.target)
        with Client(running.target, timeout=120) as client, caller.watching(since=since) as watch:
            slide = client.open_slide("discs.png")
            request = pb.SegmentRequest(slide_id=slide.slide_id, prompt=around(name), commit=commit(name=name))
            kept.append(client.segment(request).saved.id)
            seen = []
            while not seen:
                message = watch.next()
                seen += [one.name for one in message.annotations]
                since = message.revision
            assert seen == [name]
            assert caller.ids() == kept
            stop()
            with pytest.raises(ServerError) as caught:
                while True:
                    watch.next()
            assert caught.value.reason == "SHUTTING_DOWN"
        caller.close()
