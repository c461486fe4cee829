"""Spans, as OpenTelemetry's own exporter sends them to a collector over HTTP."""

import gzip
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from support.dark_parts import DarkParts
from support.server import around, start, write_picture
from wsisam.v1 import segmentation_pb2 as pb
from wsisam_server.client import Client, ServerError
from wsisam_server.core.settings import Limits
from wsisam_server.service.tracing import VARIABLES, spans

SLIDE = "patient-4711.png"


@pytest.fixture
def collector():
    """What was sent, as bytes; `url` is where to."""

    class Collector(list):
        url = ""

    received = Collector()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            data = self.rfile.read(int(self.headers["Content-Length"]))
            received.append(gzip.decompress(data) if self.headers.get("Content-Encoding") == "gzip" else data)
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_):
            """The test's output is not the place."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    received.url = f"http://127.0.0.1:{server.server_port}"
    yield received
    server.shutdown()
    thread.join()
    server.server_close()


def traced(root):
    """Runs a server, a single prompt, two prompts of a stream and one that is refused."""
    write_picture(root / SLIDE)
    running, stop = start(DarkParts(), root, limits=Limits(points_per_prompt=1))
    try:
        with Client(running.target, timeout=60) as client:
            slide_id = client.open_slide(SLIDE).slide_id
            caller = (("traceparent", f"00-{'ab' * 16}-{'cd' * 8}-01"), ("x-request-id", "mine"))
            client.stub.Segment(pb.SegmentRequest(slide_id=slide_id, prompt=around("a")), metadata=caller)
            with pytest.raises(ServerError):
                client.segment(pb.SegmentRequest(slide_id=slide_id, prompt=pb.Prompt()))
            assert len(list(client.refine(pb.Start(slide_id=slide_id), [around("b"), around("c")]))) == 2
    finally:
        stop()
    return slide_id


def attributes(span):
    return {one.key: one.value.string_value or one.value.int_value for one in span.attributes}


def test_calls_prompts_and_stages_are_sent_to_the_collector(collector, tmp_path, monkeypatch):
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
    slide_id = traced(tmp_path)
    found = [
        span
        for data in collector
        for resource in ExportTraceServiceRequest.FromString(data).resource_spans
        for scope in resource.scope_spans
        for span in scope.spans
    ]
    by_id = {span.span_id: span for span in found}
    assert len(by_id) == len(found)
    (segment,) = [span for span in found if attributes(span).get("request_id") == "mine" and span.name != "prompt"]
    assert segment.name == "wsisam.v1.Segmentation/Segment"
    assert (segment.trace_id, segment.parent_span_id) == (bytes.fromhex("ab" * 16), bytes.fromhex("cd" * 8))
    prompts = [span for span in found if span.name == "prompt"]
    assert sorted(by_id[span.parent_span_id].name.rpartition("/")[2] for span in prompts) == [
        "Interact",
        "Interact",
        "Segment",
        "Segment",
    ]
    for prompt in prompts:
        stages = [span for span in found if span.parent_span_id == prompt.span_id]
        if "reason" in attributes(prompt):
            assert (attributes(prompt)["reason"], stages) == ("EMPTY_PROMPT", [])
            continue
        assert (
            {"decode", "polygon"} <= {span.name for span in stages} <= {"queue", "read", "encode", "decode", "polygon"}
        )
        assert prompt.start_time_unix_nano == min(span.start_time_unix_nano for span in stages)
        # Times are rounded, and the outline's includes the way back to the loop.
        assert max(span.end_time_unix_nano for span in stages) <= prompt.end_time_unix_nano + 10**6
    everything = b"".join(collector)
    for private in ("4711", str(tmp_path), slide_id, sys.argv[0]):
        assert private.encode() not in everything


def test_a_collector_that_is_away_does_not_hold_the_server_up(tmp_path, monkeypatch):
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://127.0.0.1:9/v1/traces")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "1")
    begun = time.monotonic()
    traced(tmp_path)
    assert time.monotonic() - begun < 20


@pytest.mark.parametrize(
    "environment", [{}, {VARIABLES[0]: ""}, {VARIABLES[0]: "http://x", "OTEL_SDK_DISABLED": "true"}]
)
def test_nobody_asked_for_them(environment):
    assert spans(environment) is None


def test_without_being_asked_for_nothing_of_it_is_imported(tmp_path):
    code = (
        "import sys; from wsisam_server.cli.app import App; from wsisam_server.core.settings import Settings;"
        "App(Settings(), lambda: None); print([name for name in sys.modules if name.startswith('opentelemetry')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120)
    assert done.stdout.strip() == "[]"


def test_where_it_is_not_installed_that_is_said(monkeypatch, caplog):
    monkeypatch.setitem(sys.modules, "wsisam_server.service.tracing.spans", None)
    assert spans({VARIABLES[1]: "http://127.0.0.1:4318/v1/traces"}) is None
    assert 'pip install ".[otel]"' in caplog.text
