"""The Python client when the line to the server is cut, has a proxy in it, or belongs to another process."""

import subprocess
import sys
import threading
from concurrent import futures

import grpc
import pytest

from support.line import Line, Proxy
from wsisam.v1 import annotations_pb2, annotations_pb2_grpc, segmentation_pb2_grpc
from wsisam.v1 import segmentation_pb2 as pb
from wsisam_server.annotations.store import AnnotationFilter
from wsisam_server.client import Client, ServerError, channel, recovery
from wsisam_server.client.remote_store import RemoteStore
from wsisam_server.core.errors import WsiSamServerError
from wsisam_server.core.settings import Limits

QUICK = (("grpc.http2.min_recv_ping_interval_without_data_ms", 100), ("grpc.keepalive_permit_without_calls", 1))
FIRST = 2
"""Items that are answered before the line is cut."""


class Slow(segmentation_pb2_grpc.SegmentationServicer, annotations_pb2_grpc.AnnotationsServicer):
    """Begins every answer and ends none, but for a batch that is asked for the second time."""

    def __init__(self):
        self.batches, self.mpps, self.surveys = [], set(), []

    def SegmentBatch(self, request, context):  # noqa: N802 - the contract's name
        self.batches.append([item.id for item in request.items])
        self.mpps.add(request.mpp)
        whole = len(self.batches) > 1
        for item in request.items if whole else request.items[:FIRST]:
            yield pb.SegmentBatchResponse(id=item.id, outline=pb.Outline(score=0.5))
        if not whole:
            yield from _nothing(context)

    def SegmentEverything(self, request, context):  # noqa: N802 - the contract's name
        self.surveys.append(request)
        for done in (1, 2, 3) if request.resume_token else (0, 1):
            yield pb.SegmentEverythingResponse(windows_done=done, windows_total=3, resume_token=b"after %d" % done)
        if not request.resume_token:
            yield from _nothing(context)

    def Interact(self, requests, context):  # noqa: N802 - the contract's name
        yield pb.InteractResponse(started=pb.Started())
        yield from _nothing(context)

    def GetStore(self, request, context):  # noqa: N802 - the contract's name
        return annotations_pb2.AnnotationsGetStoreResponse(store_id="s", revision=1)

    def List(self, request, context):  # noqa: N802 - the contract's name
        yield annotations_pb2.AnnotationsListResponse(store_id="s", revision=1)
        yield from _nothing(context)

    def Watch(self, request, context):  # noqa: N802 - the contract's name
        yield annotations_pb2.AnnotationsWatchResponse(store_id="s")
        yield from _nothing(context)


def _nothing(context):
    ended = threading.Event()
    if context.add_callback(ended.set):  # not when it is over already
        ended.wait()
    yield from ()


@pytest.fixture
def slow(monkeypatch):
    """A server that never finishes, and a line to it; the client looks for it after one second."""
    monkeypatch.setattr(channel, "KEEPALIVE_SECONDS", 1)
    monkeypatch.setattr(channel, "KEEPALIVE_TIMEOUT_SECONDS", 1)
    servicer = Slow()
    server = grpc.server(futures.ThreadPoolExecutor(8), options=QUICK)
    segmentation_pb2_grpc.add_SegmentationServicer_to_server(servicer, server)
    annotations_pb2_grpc.add_AnnotationsServicer_to_server(servicer, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    line = Line(f"127.0.0.1:{port}")
    yield servicer, line
    line.close()
    server.stop(None).wait()


def _batch(count):
    return pb.SegmentBatchRequest(slide_id="x", mpp=0.25, items=[pb.BatchItem(id=str(n)) for n in range(count)])


@pytest.mark.parametrize("kind", ["interact", "list", "watch"])
def test_a_stream_whose_line_is_cut_ends_with_an_error(slow, kind):
    _, line = slow
    with Client(line.target, timeout=20) as client:
        answers = {
            "interact": lambda: client.interact(pb.Start(), iter(())),
            "list": lambda: client.annotations.List(annotations_pb2.AnnotationsListRequest()),
            "watch": lambda: client.annotations.Watch(annotations_pb2.AnnotationsWatchRequest()),
        }[kind]()
        next(answers)
        line.cut()
        with pytest.raises((ServerError, grpc.RpcError)) as caught:
            next(answers)
    error = caught.value
    assert (error.status if isinstance(error, ServerError) else error.code().name) == "UNAVAILABLE"


def test_a_store_of_a_server_whose_line_is_cut_says_so(slow):
    _, line = slow
    store = RemoteStore(Client(line.target, timeout=20), Limits())
    line.cut()
    with pytest.raises(WsiSamServerError, match="STORE_UNAVAILABLE"):
        store.listing(AnnotationFilter(slide_id="x"), after=0, limit=5)
    store.close()


def test_a_batch_goes_on_with_what_has_no_answer_yet(slow):
    servicer, line = slow
    with Client(line.target) as client:
        answers, ids = client.segment_batch(_batch(5)), []
        for answer in answers:
            ids.append(answer.id)
            if len(ids) == FIRST:
                line.cut()
    assert ids == ["0", "1", "2", "3", "4"]
    assert servicer.batches == [["0", "1", "2", "3", "4"], ["2", "3", "4"]]
    assert servicer.mpps == {0.25}
    assert line.connections == 2


def test_a_survey_goes_on_after_the_last_answer_that_came(slow):
    servicer, line = slow
    request = pb.SegmentEverythingRequest(slide_id="x", mpp=0.25, tiles=[pb.PixelTile(data=b"large")])
    with Client(line.target) as client:
        done = []
        for answer in client.segment_everything(request):
            done.append(answer.windows_done)
            if done == [0, 1]:
                line.cut()
    assert done == [0, 1, 1, 2, 3]
    first, second = servicer.surveys
    assert (first, second.resume_token, second.mpp, len(second.tiles)) == (request, b"after 1", 0.25, 0)


@pytest.mark.parametrize("kind", ["batch", "survey"])
def test_what_was_begun_on_a_server_that_is_gone_ends_with_an_error(slow, monkeypatch, kind):
    _, line = slow
    monkeypatch.setattr(recovery, "SECONDS_TO_COME_BACK", 1.5)
    with Client(line.target) as client:
        asked = client.segment_batch(_batch(5)), client.segment_everything(pb.SegmentEverythingRequest())
        answers = asked[kind == "survey"]
        for _ in range(FIRST):
            next(answers)
        line.close()
        with pytest.raises(ServerError) as caught:
            list(answers)
    assert (caught.value.status, caught.value.reason) == ("UNAVAILABLE", "")


@pytest.fixture
def proxy(monkeypatch):
    for name in ("grpc_proxy", "https_proxy", "no_grpc_proxy", "no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    proxy = Proxy()
    monkeypatch.setenv("http_proxy", proxy.url)
    yield proxy
    proxy.close()


def test_this_machine_is_reached_without_a_proxy(server, proxy):
    port = server.target.rpartition(":")[2]
    for target in (f"127.0.0.1:{port}", f"localhost:{port}", f"LocalHost:{port}", f"http://127.0.0.1:{port}"):
        with Client(target, timeout=10) as client:
            assert client.models(), target
    # The way of a token, over other credentials.
    with Client(f"127.0.0.1:{port}", token="wsisam_0_0", timeout=10) as client, pytest.raises(ServerError) as caught:
        client.models()
    assert caught.value.reason == "TOKEN_INVALID"
    for target in ("127.9.9.9:9", "[::1]:9", "[::ffff:127.0.0.1]:9"):
        with Client(target, timeout=10) as client, pytest.raises(ServerError, match="No server answers"):
            client.models()
    assert proxy.asked == []


@pytest.mark.parametrize("scheme", ["", "https://"])
def test_other_machines_are_reached_as_the_environment_says(proxy, monkeypatch, scheme):
    def ask(target):
        with Client(f"{scheme}{target}", timeout=5) as client, pytest.raises(ServerError):
            client.models()

    ask("gpu.lab.invalid:8765")
    assert set(proxy.asked) == {"gpu.lab.invalid:8765"}
    proxy.asked.clear()
    monkeypatch.setenv("no_proxy", "other.invalid,lab.invalid")
    ask("gpu.lab.invalid:8765")
    assert proxy.asked == []


FORKED = """
import multiprocessing, sys
from wsisam_server.client import Client

def child(client, answers):
    said = []
    for call in (client.models, lambda: list(client.annotations.List(None))):
        try:
            call()
        except RuntimeError as error:
            said.append(str(error))
    client.close()
    with Client(sys.argv[1], timeout=20) as own:
        said.append(bool(own.models()))
    answers.put(said)

with Client(sys.argv[1], timeout=20) as client:
    assert client.models()
    context = multiprocessing.get_context("fork")
    for _ in range(5):
        answers = context.Queue()
        process = context.Process(target=child, args=(client, answers))
        process.start()
        first, second, own = answers.get(timeout=30)
        process.join(10)
        assert first == second and "Each process needs its own" in first, first
        assert own
        assert client.models(), "the parent's goes on"
print("five of five")
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no fork")
def test_each_forked_process_needs_a_client_of_its_own(server):
    done = subprocess.run(
        [sys.executable, "-c", FORKED, server.target], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.stdout.strip() == "five of five", done.stderr


@pytest.mark.parametrize(
    "token", ["wsisam_ä", "wsisam_\u200b1", "wsisam_1\n2", "wsisam_\x01", "\udcff", "x" * 100_000, "\ufffdw\x00"]
)
def test_a_token_that_cannot_be_sent_is_none(token):
    with pytest.raises(ServerError) as caught:
        Client("127.0.0.1:1", token=token)
    assert (caught.value.status, caught.value.reason) == ("UNAUTHENTICATED", "TOKEN_INVALID")
    assert "does not know this token" in caught.value.text
