"""Several users on one server: they take turns, and one who wants too much hinders nobody and loses nothing."""

import queue
import threading
import time
from contextlib import contextmanager

import grpc
import numpy as np
import pytest
from google.rpc import error_details_pb2
from grpc_status import rpc_status
from PIL import Image

from support.dark_parts import DarkParts
from support.server import HEIGHT, WIDTH, around, box, clicks, picture, start, write_picture
from support.waiting import until
from wsisam.v1 import geometry_pb2 as geo
from wsisam.v1 import segmentation_pb2 as pb
from wsisam_server.client import Client, ServerError, status_error
from wsisam_server.core.settings import Limits
from wsisam_server.service.identity import Role, TokenFile

STREAMS, PROMPTS, PUSHED = 2, 3, 2
RATE, BURST = 20, 10
STEADY = 50
"""Questions in a row, 10 ms apart, that are answered alike once nothing more comes."""


@pytest.fixture(scope="module")
def lab(model, tmp_path_factory):
    """A server with small limits, and a client of each of two users."""
    root = tmp_path_factory.mktemp("shared")
    (root / "slides").mkdir()
    write_picture(root / "slides" / "pale.png")
    Image.fromarray(picture() // 2).save(root / "slides" / "dark.png")
    file = TokenFile(root / "tokens.json")
    limits = Limits(streams_per_user=STREAMS, queued_prompts_per_user=PROMPTS, pushed_slides_per_user=PUSHED)
    running, stop = start(model, root / "slides", tokens=file.path, require_tokens=True, limits=limits)
    tokens = [file.create(name, Role.ANNOTATOR, frozenset(), None)[1] for name in ("anna", "bob")]
    anna, bob = (Client(running.target, timeout=60, token=token) for token in tokens)
    with anna, bob:
        yield running, anna, bob
    stop()


@pytest.fixture
def held(lab, model, monkeypatch):
    """Holds the device in its first step until `free` is set; `steps` has the mean of each image that was encoded.

    All get the embedding of the first: who is answered when is the question here, not by what.
    """

    class Held:
        steps, begun, free = [], threading.Event(), threading.Event()

    held, real, made = Held(), model.encode, {}

    def encode(image, roles, prompt):
        held.steps.append(float(np.mean(image)))
        held.begun.set()
        held.free.wait(30)
        return made.get(roles) or made.setdefault(roles, real(image, roles=roles, prompt=prompt))

    monkeypatch.setattr(model, "encode", encode)
    lab[0].loop.call_soon_threadsafe(lab[0].app.models.device.cache.clear)
    yield held
    held.free.set()


def waiting(running):
    return sum(running.app.models.device.waiting().values())


def all_that_wait(running):
    """How many wait once no more come: what a batch has read ahead comes one by one."""
    seen = [-1]

    def is_steady():
        seen.append(waiting(running))
        return len(seen) > STEADY and len(set(seen[-STEADY:])) == 1

    until(is_steady)
    return seen[-1]


@contextmanager
def stream(client, slide):
    """An open Interact stream: what sends a message, and what comes back."""
    messages = queue.Queue()
    replies = client.interact(pb.Start(slide_id=slide.slide_id), iter(messages.get, None))
    assert next(replies).WhichOneof("message") == "started"
    try:
        yield messages.put, replies
    finally:
        messages.put(None)
        list(replies)


def revision(object_id, prompt, number=1):
    return pb.InteractRequest(prompt=pb.PromptRevision(object_id=object_id, revision=number, prompt=prompt))


def item(number):
    """A prompt of a batch in a window of its own."""
    x, y = 330 * (number % 2), 220 * (number // 2)
    return pb.BatchItem(id=str(number), prompt=box(x + 20, y + 20, x + 120, y + 120))


def answered(replies, count):
    """The next outlines and errors by object."""
    found = {}
    while len(found) < count:
        message = next(replies)
        kind = message.WhichOneof("message")
        if kind in ("outline", "error"):
            value = getattr(message, kind)
            found[value.object_id] = status_error(value.error) if kind == "error" else value.outline
    return found


def test_a_long_batch_lets_another_users_pass_in_turn(lab, held):
    running, anna, bob = lab
    pale, dark = anna.open_slide("pale.png"), bob.open_slide("dark.png")
    batches = []

    def run(client, slide, count):
        request = pb.SegmentBatchRequest(slide_id=slide.slide_id, items=[item(n) for n in range(count)])
        batches.append([one.error for one in client.segment_batch(request)])

    first = threading.Thread(target=run, args=(anna, pale, 6))
    first.start()
    held.begun.wait(30)
    until(lambda: waiting(running) >= 3)
    before = all_that_wait(running)
    second = threading.Thread(target=run, args=(bob, dark, 1))
    second.start()
    until(lambda: waiting(running) > before)
    held.free.set()
    first.join(60)
    second.join(60)
    assert sorted(batches, key=len) == [[None], [None] * 6]
    assert len(held.steps) >= 5
    # Bob's one step comes after the one that ran when it was asked for, before all of Anna's that waited.
    assert held.steps[1] == min(held.steps) < 0.7 * held.steps[0]


def test_too_many_streams_are_refused_with_a_hint_until_one_ends(lab):
    _, anna, bob = lab
    slide = anna.open_slide("pale.png")
    with stream(anna, slide) as (send, replies):
        with stream(anna, slide):
            with pytest.raises(grpc.RpcError) as caught:
                next(anna.stub.Interact(iter([pb.InteractRequest(start=pb.Start(slide_id=slide.slide_id))])))
            details = rpc_status.from_call(caught.value).details
            assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
            info, retry = error_details_pb2.ErrorInfo(), error_details_pb2.RetryInfo()
            assert details[0].Unpack(info)
            assert (info.reason, info.metadata["limit"]) == ("TOO_MANY_STREAMS", str(STREAMS))
            assert details[1].Unpack(retry)
            assert retry.retry_delay.seconds > 0
            with stream(bob, bob.open_slide("pale.png")):
                pass
            # Other calls, and the streams that are open, go on.
            assert anna.models()
            send(revision("a", around("a")))
            assert answered(replies, 1)["a"].geometry.polygons
        with stream(anna, slide):
            pass


def test_too_many_prompts_are_refused_one_by_one_and_the_stream_goes_on(lab, held):
    _, anna, bob = lab
    slide, other = anna.open_slide("pale.png"), bob.open_slide("pale.png")
    with stream(anna, slide) as (send, replies), stream(bob, other) as (send_bob, replies_bob):
        for number in range(PROMPTS + 2):
            send(revision(str(number), item(number).prompt))
        refused = answered(replies, 2)
        assert set(refused) == {str(PROMPTS), str(PROMPTS + 1)}
        for error in refused.values():
            assert (error.status, error.reason) == ("RESOURCE_EXHAUSTED", "TOO_MANY_PROMPTS")
            assert error.retry_seconds > 0
        with pytest.raises(ServerError) as caught:
            anna.segment(pb.SegmentRequest(slide_id=slide.slide_id, prompt=around("a")))
        assert caught.value.reason == "TOO_MANY_PROMPTS"
        # A newer revision of what waits takes its place: nothing is added. And another user is not touched.
        send(revision("0", around("a"), 2))
        assert answered(replies, 1)["0"].reason == "SUPERSEDED"
        send_bob(revision("b", around("b")))
        held.free.set()
        outlines = answered(replies, PROMPTS) | answered(replies_bob, 1)
        assert set(outlines) == {*map(str, range(PROMPTS)), "b"}
        assert all(isinstance(outline, pb.Outline) for outline in outlines.values())
        send(revision(str(PROMPTS), around("c")))
        assert isinstance(answered(replies, 1)[str(PROMPTS)], pb.Outline)


def test_who_pushes_many_slides_loses_their_own_first(lab):
    _, anna, bob = lab
    pixels = pb.PixelSource(width=WIDTH, height=HEIGHT)
    of_bob = bob.open_slide("nowhere.svs", pixels)
    of_anna = [anna.open_slide("nowhere.svs", pixels) for _ in range(PUSHED + 1)]

    def known(client, slide):
        with pytest.raises(ServerError) as caught:
            client.segment(pb.SegmentRequest(slide_id=slide.slide_id, prompt=around("a")))
        return caught.value.reason

    assert known(bob, of_bob) == "PIXELS_NEEDED"
    assert [known(anna, slide) for slide in of_anna] == ["UNKNOWN_SLIDE_ID", *["PIXELS_NEEDED"] * PUSHED]


@pytest.fixture(scope="module")
def slow(tmp_path_factory):
    root = tmp_path_factory.mktemp("slow")
    write_picture(root / "pale.png")
    limits = Limits(messages_per_second_per_user=RATE, message_burst_per_user=BURST)
    running, stop = start(DarkParts(), root, limits=limits)
    with Client(running.target, timeout=60) as client:
        yield client
    stop()


@pytest.fixture
def rested(slow):
    """A client that has not sent anything for so long that it may send a burst."""
    time.sleep((BURST + 2) / RATE)
    return slow


def test_messages_that_come_too_fast_are_refused_one_by_one_and_the_stream_goes_on(rested):
    slide = rested.open_slide("pale.png")
    with stream(rested, slide) as (send, replies):
        for number in range(3 * BURST):
            send(revision(str(number), around("a")))
        first = answered(replies, 3 * BURST)
        refused = {key: value for key, value in first.items() if isinstance(value, ServerError)}
        assert BURST <= len(refused) <= 2 * BURST + 2
        for error in refused.values():
            assert (error.status, error.reason) == ("RESOURCE_EXHAUSTED", "TOO_MANY_MESSAGES")
            assert error.details["limit"] == str(RATE)
        time.sleep(error.retry_seconds)
        # With the same revision: it was not taken.
        again = next(iter(refused))
        send(revision(again, around("a")))
        assert isinstance(answered(replies, 1)[again], pb.Outline)


def test_of_viewports_that_come_too_fast_the_newest_counts(rested):
    def seen(side):
        region = geo.Box(x0=200 - side / 2, y0=200 - side / 2, x1=200 + side / 2, y1=200 + side / 2)
        return pb.InteractRequest(viewport=geo.Viewport(region=region, downsample=side / 1000))

    def downsample(object_id):
        send(revision(object_id, clicks((200, 200, True))))
        return answered(replies, 1)[object_id].field.high.downsample

    slide = rested.open_slide("pale.png")
    with stream(rested, slide) as (send, replies):
        send(seen(100))
        near = downsample("near")
        for _ in range(3 * BURST):
            send(seen(100))
        send(seen(2000))
        time.sleep(1)
        assert downsample("far") > near


def test_no_cancel_is_lost_however_fast(rested):
    slide = rested.open_slide("pale.png")
    begun = time.monotonic()
    with stream(rested, slide) as (send, replies):
        for _ in range(2 * BURST):
            send(pb.InteractRequest(cancel=pb.Cancel(object_id="")))
        found = [status_error(next(replies).error.error) for _ in range(2 * BURST)]
    assert {error.details["field"] for error in found} == {"cancel.object_id"}
    assert time.monotonic() - begun > (BURST - 1) / RATE


def test_our_client_slows_down(rested):
    assert all(rested.models() for _ in range(BURST + 3))
