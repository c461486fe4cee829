"""The numbers for Prometheus: read over HTTP from a real server, and held to the documents that name them."""

import asyncio
import json
import re
import socket
import subprocess
import sys
import threading
import urllib.error
import urllib.request

import pytest
from prometheus_client.parser import text_string_to_metric_families

from support.server import around, box, start, write_picture
from wsisam.v1 import segmentation_pb2 as pb
from wsisam_server.cli.app import App, StartError
from wsisam_server.client import Client, ServerError
from wsisam_server.core.settings import MIB, Limits, Settings
from wsisam_server.service.identity import Role, TokenFile

SLIDE = "patient-4711.png"

CERTIFICATE = "wsisam_certificate_expiry_timestamp_seconds"


class Page:
    """One look at the numbers."""

    def __init__(self, running):
        url = f"http://127.0.0.1:{running.app.metrics_port}/metrics"
        self.text = urllib.request.urlopen(url, timeout=30).read().decode()
        self.families = list(text_string_to_metric_families(self.text))

    def __call__(self, sample, **labels):
        found = [
            one.value
            for family in self.families
            for one in family.samples
            if one.name == sample and labels.items() <= one.labels.items()
        ]
        return sum(found)

    def labels(self):
        """Each metric as it is written in queries, without a histogram's endings; and its labels."""
        named = {}
        for family in self.families:
            for one in family.samples:
                if one.name.endswith("_created"):
                    continue
                name = re.sub("_(bucket|sum|count)$", "", one.name) if family.type == "histogram" else one.name
                named.setdefault(name, set()).update(one.labels.keys() - {"le"})
        return named


@pytest.fixture(scope="module")
def running(real_model, tmp_path_factory):
    root = tmp_path_factory.mktemp("counted")
    (root / "slides").mkdir()
    write_picture(root / "slides" / SLIDE)
    file = TokenFile(root / "tokens.json")
    running, stop = start(
        real_model,
        root / "slides",
        tokens=file.path,
        metrics_port=0,
        embedding_store=root / "embeddings",
        limits=Limits(embedding_cache_bytes=96 * MIB),
    )
    running.token = file.create("anna", Role.ANNOTATOR, frozenset(), None)[1]
    with Client(running.target, timeout=120, token=running.token) as anna:
        slide = anna.open_slide(SLIDE)
        for _ in range(2):
            anna.segment(pb.SegmentRequest(slide_id=slide.slide_id, prompt=around("a")))
        with pytest.raises(ServerError):
            anna.segment(pb.SegmentRequest(slide_id=slide.slide_id, prompt=box(-90, -90, -10, -10)))
    yield running
    stop()


def test_prompts_are_counted_by_user_kind_and_result(running):
    page = Page(running)
    asked = {"user": "anna", "kind": "interactive"}
    assert page("wsisam_prompts_total", result="OK", **asked) == 2
    assert page("wsisam_prompts_total", result="PROMPT_OUTSIDE_SLIDE", **asked) == 1
    assert page("wsisam_calls_total", method="Segmentation/Segment", status="OK") == 2
    assert page("wsisam_calls_total", method="Segmentation/Segment", status="OUT_OF_RANGE") == 1


def test_stages_count_those_prompts_that_went_through_them(running):
    page = Page(running)
    counts = {
        stage: page("wsisam_stage_seconds_count", stage=stage)
        for stage in ("queue", "read", "encode", "decode", "polygon")
    }
    assert counts == {"queue": 2, "read": 1, "encode": 1, "decode": 2, "polygon": 2}
    assert page("wsisam_prompt_seconds_count", kind="interactive", state="cold") == 1
    assert page("wsisam_prompt_seconds_count", kind="interactive", state="warm") == 1
    spent = [page("wsisam_stage_seconds_sum", stage=stage) for stage in counts]
    assert 0 < sum(spent) <= page("wsisam_prompt_seconds_sum") + 0.01


def test_memory_and_cache_are_what_the_rooms_hold(running):
    page, models = Page(running), running.app.models
    assert page("wsisam_embedding_cache_lookups_total", result="miss") == 1
    assert page("wsisam_embedding_cache_lookups_total", result="hit") == 1
    assert page("wsisam_embedding_cache_bytes") == models.device.cache.nbytes > 0
    assert page("wsisam_embedding_cache_limit_bytes") == 96 * MIB
    assert page("wsisam_model_bytes", model="wsisam-lite") == models.nbytes > 0
    assert (page("wsisam_open_slides", source="file"), page("wsisam_open_slides", source="pushed")) == (1, 0)
    assert page("wsisam_open_slide_bytes", source="file") > 0


def test_the_store_on_the_disk_is_counted(running):
    page, store = Page(running), running.app.models.device.store
    assert page("wsisam_embedding_store_lookups_total", result="miss") == 1
    assert page("wsisam_embedding_store_lookups_total", result="hit") == 0
    assert page("wsisam_embedding_store_limit_bytes") == store.limit


@pytest.fixture
def streaming(running):
    """The page while a stream is open."""
    done = threading.Event()

    def requests():
        done.wait(30)
        yield from ()

    with Client(running.target, timeout=120, token=running.token) as anna:
        slide = anna.open_slide(SLIDE)
        replies = anna.interact(pb.Start(slide_id=slide.slide_id), requests())
        assert next(replies).WhichOneof("message") == "started"
        yield Page(running)
        done.set()
        assert list(replies) == []


def test_open_streams_are_counted_by_user(running, streaming):
    assert streaming("wsisam_calls_running", method="Segmentation/Interact", user="anna") == 1


def test_ended_streams_are_not(running):
    assert Page(running)("wsisam_calls_running", method="Segmentation/Interact") == 0


def test_the_page_names_no_slide_and_no_id(running):
    text = Page(running).text
    with Client(running.target, token=running.token) as anna:
        slide_id = anna.open_slide(SLIDE).slide_id
    for private in ("4711", str(running.root), slide_id, running.token):
        assert private not in text


def test_the_table_in_the_documents_is_the_page(streaming, repository):
    rows = re.findall(r"^\| `(wsisam_\w+)` \|([^|]*)\|", (repository / "docs/admin.md").read_text(), re.MULTILINE)
    documented = {name: set(re.findall(r"`(\w+)`", labels)) for name, labels in rows}
    del documented[CERTIFICATE]
    assert documented == {name: labels for name, labels in streaming.labels().items() if name.startswith("wsisam_")}


def test_the_dashboard_asks_for_what_there_is_and_shows_all_of_it(streaming, repository):
    dashboard = json.loads((repository / "docs/deploy/grafana-dashboard.json").read_text())
    queries = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    queries += [one["query"]["query"] for one in dashboard["templating"]["list"] if one["type"] == "query"]
    # A server without TLS, as this one, has no certificate; tests/service/test_tls.py has one.
    there, asked = streaming.labels() | {CERTIFICATE: set()}, set()
    for query in queries:
        names = {name.removesuffix("_bucket") for name in re.findall(r"\b(?:wsisam|process)_\w+", query)}
        assert names
        assert names <= there.keys(), query
        asked |= names
        labels = {"instance", "le"}.union(*(there[name] for name in names))
        groups = re.findall(r"(?:by|ignoring) \(([^)]*)\)", query)
        used = set(re.findall(r"(\w+)(?:=~|!=|=)\"", query)) | {one for group in groups for one in group.split(", ")}
        assert used <= labels, query
    assert {name for name in there if name.startswith("wsisam_")} <= asked


def test_without_being_asked_for_there_are_none(server):
    assert server.app.metrics_port is None


def test_a_port_that_is_taken_is_said_so(model):
    async def run(port):
        app = App(Settings(port=0, metrics_port=port, store="none"), lambda: model)
        try:
            await app.start()
        finally:
            await app.stop()

    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(StartError, match="--metrics-port"):
        asyncio.run(run(taken.getsockname()[1]))


def test_the_port_is_free_again_after_a_stop(model, tmp_path):
    running, stop = start(model, tmp_path, metrics_port=0)
    url = f"http://127.0.0.1:{running.app.metrics_port}/metrics"
    assert urllib.request.urlopen(url, timeout=30).status == 200
    stop()
    with pytest.raises(urllib.error.URLError):
        urllib.request.urlopen(url, timeout=30)


WITHOUT_FILES = """
import os, resource, socket, threading, time
from prometheus_client import CollectorRegistry
from wsisam_server.service.metrics.endpoint import Endpoint

resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
endpoint = Endpoint(CollectorRegistry(), "127.0.0.1", 0)
clients = [socket.socket() for _ in range(4)]
taken = []
try:
    while True:
        taken.append(os.dup(0))
except OSError:
    pass
start = getattr(threading.Thread, "start")
for number, client in enumerate(clients):
    if number == 2:  # as many files as it likes, and no threads
        for one in taken:
            os.close(one)
        def no_thread(self):
            raise RuntimeError("can't start new thread")
        threading.Thread.start = no_thread
    client.settimeout(10)
    client.connect(("127.0.0.1", endpoint.port))
    client.sendall(b"GET /metrics HTTP/1.0\\r\\n\\r\\n")
    print(client.recv(100).split(b"\\r\\n")[0].decode())
    client.close()
used, began = time.process_time(), time.monotonic()
time.sleep(0.5)
print("idle", time.process_time() - used < 0.1)
endpoint.close()
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such limits")
def test_the_page_is_shown_without_files_and_threads_left():
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_FILES], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.stdout.split("\n")[:-1] == ["HTTP/1.0 200 OK"] * 4 + ["idle True"], done.stderr
