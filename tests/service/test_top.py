"""`wsisam top`: what it shows of a real server, and what it says when there is none."""

import socket
import threading
import time
from contextlib import contextmanager

import pytest
from click.testing import CliRunner
from rich.console import Console

from support.dark_parts import DarkParts
from support.http import serving
from support.server import around, start, write_picture
from wsisam.v1 import segmentation_pb2 as pb
from wsisam_server.cli import main, top
from wsisam_server.cli.top_table import screen
from wsisam_server.client import Client, ServerError
from wsisam_server.core.settings import Limits
from wsisam_server.service.identity import Role, TokenFile
from wsisam_server.service.metrics.scrape import Interval, Scrape, ScrapeError, read


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    """A server, and a client of anna, who has asked twice, once for nothing that there is."""
    root = tmp_path_factory.mktemp("looked-at")
    (root / "slides").mkdir()
    write_picture(root / "slides" / "pale.png")
    file = TokenFile(root / "tokens.json")
    running, stop = start(
        DarkParts(), root / "slides", tokens=file.path, metrics_port=0, limits=Limits(points_per_prompt=1)
    )
    token = file.create("anna", Role.ANNOTATOR, frozenset(), None)[1]
    with Client(running.target, timeout=60, token=token) as running.anna:
        running.slide = running.anna.open_slide("pale.png")
        running.anna.segment(request(running))
        with pytest.raises(ServerError):
            running.anna.segment(pb.SegmentRequest(slide_id=running.slide.slide_id, prompt=pb.Prompt()))
        yield running
    stop()


def request(running):
    return pb.SegmentRequest(slide_id=running.slide.slide_id, prompt=around("a"))


@contextmanager
def streaming(running):
    done = threading.Event()

    def requests():
        done.wait(30)
        yield from ()

    replies = running.anna.interact(pb.Start(slide_id=running.slide.slide_id), requests())
    assert next(replies).WhichOneof("message") == "started"
    try:
        yield
    finally:
        done.set()
        assert list(replies) == []


def shown(*options):
    return CliRunner().invoke(main, ["top", *options])


def rows(text):
    """The cells of each line, by the first one."""
    lines = [[cell.strip() for cell in line.split("  ") if cell.strip()] for line in text.splitlines()]
    return {cells[0]: cells[1:] for cells in lines if cells}


def test_once_it_shows_users_stages_queues_and_memory(running):
    with streaming(running):
        done = shown("--metrics", f"127.0.0.1:{running.app.metrics_port}", "--once")
    assert done.exit_code == 0, done.output
    table = rows(done.output)
    # Streams, calls; prompts, prompts of batches, failed, cancelled.
    assert table["anna"] == ["1", "0", "1", "0", "1", "0"]
    for stage in ("queue", "read", "encode", "decode", "polygon"):
        assert table[stage][0] == "1"
        assert table[stage][1].endswith(" ms")
    for text in ("interactive, cold", "batch, warm", "interactive decode", "found there", "slides, file"):
        assert text in done.output


def test_between_two_looks_it_shows_what_happened_since(running):
    port = running.app.metrics_port
    before = read("127.0.0.1", port)
    for _ in range(3):
        running.anna.segment(request(running))
    interval = Interval(before, read("127.0.0.1", port))
    assert interval.count("wsisam_prompts_total", user="anna", result="OK") == 3
    assert interval.count("wsisam_stage_seconds_count", stage="decode") == 3
    assert interval.count("wsisam_stage_seconds_count", stage="encode") == 0
    assert interval.quantile("wsisam_stage_seconds", 0.95, stage="encode") is None
    assert 0 < interval.quantile("wsisam_stage_seconds", 0.5, stage="decode") < 1
    assert 0 < interval.seconds < 60


def test_live_it_looks_again_and_says_when_the_server_is_gone(monkeypatch, tmp_path):
    running, stop = start(DarkParts(), tmp_path, metrics_port=0)
    console = Console(width=120, record=True)
    monkeypatch.setattr(top, "Console", lambda: console)
    looks = []

    def sleep(_):
        looks.append(time.monotonic())
        if len(looks) == 2:
            stop()
        if len(looks) == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr(top.time, "sleep", sleep)
    done = shown("--metrics", f"127.0.0.1:{running.app.metrics_port}")
    assert done.exit_code == 0, done.output
    text = " ".join(console.export_text().split())
    assert "nothing answers at" in text
    assert "This is what was last seen" in text


def test_a_server_that_was_started_again_begins_anew():
    def scrape(calls, begun, taken):
        return Scrape(
            {
                "wsisam_calls_total": {frozenset(): calls},
                "process_start_time_seconds": {frozenset(): begun},
            },
            taken,
        )

    kept = top.deque([scrape(5, 1, 0)])
    top._keep(kept, scrape(7, 1, 2))
    assert len(kept) == 2
    top._keep(kept, scrape(9, 3, 4))
    assert [one.taken for one in kept] == [4]
    for taken in range(6, 200, 2):
        top._keep(kept, scrape(9, 3, taken))
    assert kept[-1].taken - kept[0].taken == top.WINDOW_SECONDS


@pytest.mark.parametrize(
    ("share", "expected"), [(0.5, 0.1), (0.25, 0.05), (0.65, 0.15), (0.85, 0.6), (0.95, float("inf"))]
)
def test_quantiles_are_read_off_the_buckets(share, expected):
    counts = {"0.1": 10, "0.2": 16, "1.0": 18, "+Inf": 20}
    interval = Interval(None, Scrape({"x_bucket": {frozenset({("le", le)}): n for le, n in counts.items()}}))
    assert interval.quantile("x", share) == pytest.approx(expected)


def test_nobody_and_nothing_is_shown_too():
    console = Console(width=120, record=True)
    console.print(screen(Interval(None, Scrape({}))))
    assert "nobody" in console.export_text()


def test_nothing_answers_there():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    done = shown("--metrics", f"127.0.0.1:{port}", "--once")
    assert done.exit_code == 1
    assert f"nothing answers at 127.0.0.1:{port}" in done.output
    assert "--metrics-port" in done.output


def test_something_else_answers_there(running):
    pages = {"/metrics": b"<!doctype html>", "/other": b""}
    strange = {"/metrics": b"node_load1 0.5\n"}
    with serving(pages) as web, serving(strange) as other, serving({}) as missing:
        ports = [int(address.rpartition(":")[2]) for address in (web, other, missing)]
        for port in (*ports, int(running.target.rpartition(":")[2])):
            with pytest.raises(ScrapeError, match="no metrics port of a wsisam server"):
                read("127.0.0.1", port)


@pytest.mark.parametrize("place", ["9464", "gpu.lab:", "gpu.lab:http", "gpu.lab:70000", ":9464"])
def test_an_address_that_is_none(place):
    done = shown("--metrics", place, "--once")
    assert done.exit_code == 2
    assert "write HOST:PORT" in done.output
