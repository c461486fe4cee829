"""A server that is told to stop, as systemd and an administrator's Ctrl+C do: a process, at work, with a store."""

import queue
import signal
import threading
import time
import uuid
from collections import Counter

import grpc
import pytest
from google.rpc import error_details_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_status import rpc_status

from support.server import around, box, write_picture
from support.server_process import Starter
from support.waiting import until
from wsisam.v1 import annotations_pb2
from wsisam.v1 import segmentation_pb2 as pb
from wsisam_server.annotations.store import open_store, upkeep
from wsisam_server.client import Client, ServerError, recovery, status_error

SERVERS = {"patient": (0.3, 20), "hurried": (1.5, 1), "stubborn": (20, 60)}
"""How long encoding takes, and how long what was asked for may take once the server was told to stop; seconds."""


@pytest.fixture(scope="module")
def servers(tmp_path_factory):
    """Running servers by name, started side by side."""
    with Starter(tmp_path_factory.mktemp("starter") / "log") as starter:
        started = {}
        for name, (encode_seconds, drain_seconds) in SERVERS.items():
            place = tmp_path_factory.mktemp(name)
            write_picture(place / "pale.png")
            (place / "wsisam.toml").write_text(f"[limits]\ndrain_seconds = {drain_seconds}\n")
            options = {"port": 0, "slides": place, "config": place / "wsisam.toml", "store": store_of(place)}
            words = [word for option, value in options.items() for word in (f"--{option}", value)]
            started[name] = starter.start_slow(encode_seconds, place, "--log-level", "warning", *words)
        yield started


def store_of(place):
    return place / "annotations.sqlite"


def ended(server, seconds):
    """Its exit status; it says nothing of a failure."""
    status = server.wait(seconds)
    assert "Traceback" not in server.said("err"), server.said("err")
    assert "ERROR" not in server.said("err"), server.said("err")
    return status


class Stream:
    """An Interact stream whose answers are written down as they come."""

    def __init__(self, client):
        slide = client.open_slide("pale.png")
        self.slide_id = slide.slide_id
        self.answers, self.seen, self.status = [], queue.Queue(), None
        self._messages = queue.Queue()
        self._replies = client.interact(pb.Start(slide_id=slide.slide_id), iter(self._messages.get, None))
        assert next(self._replies).WhichOneof("message") == "started"
        self._thread = threading.Thread(target=self._read)
        self._thread.start()

    def prompt(self, name, prompt, commit=None):
        revision = pb.PromptRevision(object_id=name, revision=1, prompt=prompt, commit=commit)
        self._messages.put(pb.InteractRequest(prompt=revision))

    def end(self):
        """What became of each prompt, and of the stream."""
        self._thread.join(30)
        self._messages.put(None)
        return dict(self.answers), self.status

    def _read(self):
        try:
            for message in self._replies:
                kind = message.WhichOneof("message")
                self.seen.put(kind)
                if kind == "outline":
                    self.answers.append((message.outline.object_id, "outline"))
                elif kind == "error":
                    error = status_error(message.error.error)
                    assert error.retry_seconds > 0
                    self.answers.append((message.error.object_id, error.reason))
        except ServerError as error:
            self.status = (error.status, error.reason)


def window(number):
    """A prompt in a window of its own."""
    x, y = 330 * (number % 2), 220 * (number // 2)
    return box(x + 20, y + 20, x + 120, y + 120)


def heard(stream, kind):
    """Waits for a message of a stream; "progress": the server is at work."""
    while stream.seen.get(timeout=30) != kind:
        pass


def test_what_was_accepted_is_answered_and_everybody_is_told(servers, monkeypatch):
    monkeypatch.setattr(recovery, "SECONDS_TO_COME_BACK", 0.0)  # this one does not come back
    server = servers["patient"]
    with Client(server.target, timeout=20) as client, grpc.insecure_channel(server.target) as channel:
        stream, batch, watch = Stream(client), [], []
        items = [pb.BatchItem(id=str(n), prompt=around("b")) for n in range(3000)]

        def follow():
            try:
                watch.extend(client.annotations.Watch(annotations_pb2.AnnotationsWatchRequest()))
            except grpc.RpcError as error:
                watch.append(reason(error))

        def run_batch():
            request = pb.SegmentBatchRequest(slide_id=stream.slide_id, items=items)
            try:
                batch.extend(one.id for one in client.segment_batch(request) if one.outline is not None)
            except ServerError as error:
                batch.append((error.status, error.reason))

        threads = [threading.Thread(target=follow), threading.Thread(target=run_batch)]
        kept = uuid.uuid4()
        commit = pb.Commit(annotation_id=str(kept), author="anna")
        stream.prompt("kept", around("a"), commit)
        for number in range(3):
            stream.prompt(str(number), window(number))
        heard(stream, "progress")
        for thread in threads:
            thread.start()
        time.sleep(0.3)  # both are begun, and what was asked for is not answered
        server.process.send_signal(signal.SIGTERM)
        health, asked = health_pb2_grpc.HealthStub(channel), health_pb2.HealthCheckRequest()
        until(lambda: health.Check(asked, timeout=10).status == health_pb2.HealthCheckResponse.NOT_SERVING)
        with pytest.raises(grpc.RpcError) as caught:
            client.stub.ListModels(pb.ListModelsRequest(), timeout=10)
        assert reason(caught.value) == ("UNAVAILABLE", "SHUTTING_DOWN")
        stream.prompt("late", around("c"))
        answers, status = stream.end()
        for thread in threads:
            thread.join(30)
        assert answers == {"kept": "outline", "0": "outline", "1": "outline", "2": "outline", "late": "SHUTTING_DOWN"}
        assert len(stream.answers) == len(answers)
        assert status == watch[-1] == batch[-1] == ("UNAVAILABLE", "SHUTTING_DOWN")
        assert len(batch) < len(items)
        assert ended(server, 10) == 0
    store_file = store_of(server.folder)
    assert not store_file.with_name("annotations.sqlite-wal").exists()
    assert upkeep.check(str(store_file)).problems == ()
    with open_store(str(store_file)) as store:
        assert store.get(kept).content.shape.area > 0


def test_what_takes_too_long_is_handed_back_once(servers):
    server = servers["hurried"]
    with Client(server.target, timeout=20) as client:
        stream = Stream(client)
        for number in range(6):
            stream.prompt(str(number), window(number))
        single = []

        def one():
            with pytest.raises(grpc.RpcError) as caught:
                client.stub.Segment(pb.SegmentRequest(slide_id=stream.slide_id, prompt=around("b")), timeout=20)
            single.append(reason(caught.value))

        thread = threading.Thread(target=one)
        heard(stream, "outline")
        thread.start()
        time.sleep(0.3)
        server.process.send_signal(signal.SIGTERM)
        told = time.monotonic()
        answers, status = stream.end()
        thread.join(30)
        assert ended(server, 10) == 0
        assert time.monotonic() - told < 7
    assert set(answers) == set(map(str, range(6)))
    assert len(stream.answers) == 6
    counts = Counter(answers.values())
    assert set(counts) == {"outline", "SHUTTING_DOWN"}, counts
    assert status == single[0] == ("UNAVAILABLE", "SHUTTING_DOWN")


def test_told_twice_it_ends_at_once(servers):
    server = servers["stubborn"]
    with Client(server.target, timeout=20) as client:
        stream = Stream(client)
        stream.prompt("a", around("a"))
        heard(stream, "progress")
        server.process.send_signal(signal.SIGTERM)
        until(lambda: "stopping" in server.said("out"))
        server.process.send_signal(signal.SIGTERM)
        assert ended(server, 3) == -signal.SIGTERM
        _, status = stream.end()
        assert status == ("UNAVAILABLE", "")


def reason(error):
    """Status and reason of a failed call, which says when to try again."""
    found = {}
    for detail in rpc_status.from_call(error).details:
        for kind in (error_details_pb2.ErrorInfo, error_details_pb2.RetryInfo):
            message = kind()
            if detail.Unpack(message):
                found[kind] = message
    assert found[error_details_pb2.RetryInfo].retry_delay.seconds > 0
    return error.code().name, found[error_details_pb2.ErrorInfo].reason
