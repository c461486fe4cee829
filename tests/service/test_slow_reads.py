"""Reads that take long, or never end, are the business of whoever asked for them."""

import threading
import time

import pytest
from PIL import Image

from support.dark_parts import DarkParts
from support.heavy import huge_slide
from support.server import around, box, start, write_picture
from wsisam.v1 import segmentation_pb2 as pb
from wsisam_server.cli.process_exit import exit_within
from wsisam_server.client import Client, ServerError
from wsisam_server.inference.scheduler import worker
from wsisam_server.inference.scheduler.worker import PER_PRINCIPAL, READERS
from wsisam_server.slides.plain import PlainImage


@pytest.fixture
def hanging(monkeypatch):
    """What reads of slides wait for that are called anything but discs.png; and how many do."""
    gate, begun, original = threading.Event(), threading.Semaphore(0), PlainImage.read

    def read(self, window):
        if self.info.size.width != 900:
            begun.release()
            gate.wait(60)
        return original(self, window)

    monkeypatch.setattr(PlainImage, "read", read)
    monkeypatch.setattr(worker, "SLOW_SECONDS", 0.2)
    yield begun
    gate.set()


def ask(client, slide_id, prompt, **options):
    return client.stub.Segment(pb.SegmentRequest(slide_id=slide_id, prompt=prompt), **options)


def test_a_colleague_is_answered_and_the_server_stops_while_reads_hang(tmp_path, hanging):
    write_picture(tmp_path / "discs.png")
    Image.new("RGB", (800, 700), "white").save(tmp_path / "slow.png")
    running, stop = start(DarkParts(), tmp_path)
    stopped = False
    try:
        # Without tokens, each connection is a user.
        with Client(running.target, timeout=30) as client, Client(running.target, timeout=30) as colleague:
            slow, own = (client.open_slide(name).slide_id for name in ("slow.png", "discs.png"))
            asked = []
            for number in range(READERS + 1):
                prompt = pb.SegmentRequest(slide_id=slow, prompt=box(100 * number + 1, 50, 100 * number + 60, 100))
                asked.append(client.stub.Segment.future(prompt))
            for _ in range(PER_PRINCIPAL):
                assert hanging.acquire(timeout=10)
            assert ask(colleague, own, around("a"), timeout=20).outline.geometry.polygons
            for call in asked:
                call.cancel()
            # Given up, but still hanging.
            assert ask(colleague, own, around("b"), timeout=20).outline.geometry.polygons
            started = time.monotonic()
            stopped = True
            stop()
            assert time.monotonic() - started < 10
    finally:
        if not stopped:
            stop()


def test_a_zoomed_out_box_on_one_huge_level_is_told_what_to_do(tmp_path):
    huge_slide(tmp_path / "huge.svs", 131_072)
    running, stop = start(DarkParts(), tmp_path)
    try:
        with Client(running.target, timeout=30) as client:
            opened = client.open_slide("huge.svs")
            assert list(opened.downsamples) == [1]
            with pytest.raises(ServerError) as caught:
                client.segment(pb.SegmentRequest(slide_id=opened.slide_id, prompt=box(1000, 1000, 130_000, 130_000)))
            assert caught.value.reason == "VIEW_TOO_COARSE"
            assert "Zoom in" in caught.value.text
            near = pb.SegmentRequest(slide_id=opened.slide_id, prompt=box(1000, 1000, 1200, 1200))
            assert client.segment(near)
    finally:
        stop()


def test_a_stop_has_a_deadline_of_its_own(caplog):
    left = threading.Event()
    status = []
    exit_within(0.05, lambda code: (status.append(code), left.set()))
    assert left.wait(10)
    assert status == [0]
    assert "did not end" in caplog.text


def test_a_stop_in_time_is_not_cut():
    timer = exit_within(0.2, lambda _: pytest.fail("left"))
    timer.cancel()
    timer.join(5)
