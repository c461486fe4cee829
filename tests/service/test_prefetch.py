"""What an annotator sees is encoded before they click."""

import queue

import pytest

from support.server import HEIGHT, WIDTH, clicks, iou, start, write_picture
from support.waiting import until
from wsisam.v1 import geometry_pb2 as geo
from wsisam.v1 import segmentation_pb2 as pb
from wsisam_server.client import Client, geometry
from wsisam_server.core.settings import Limits

AHEAD = 2


@pytest.fixture(scope="module")
def running(model, tmp_path_factory):
    root = tmp_path_factory.mktemp("slides")
    write_picture(root / "discs.png")
    running, stop = start(model, root, limits=Limits(prefetched_fields=AHEAD))
    yield running
    stop()


@pytest.fixture
def annotator(running):
    """Sends messages of one stream on a newly opened slide, and returns the next outline."""
    with Client(running.target, timeout=120) as client:
        slide = client.open_slide(str(running.root / "discs.png"))
        out = queue.Queue()
        out.put(pb.InteractRequest(start=pb.Start(session_id="one", slide_id=slide.slide_id)))
        call = client.stub.Interact(iter(out.get, None), timeout=120)

        def send(**message):
            out.put(pb.InteractRequest(**message))

        def outline():
            return next(message.outline.outline for message in call if message.WhichOneof("message") == "outline")

        yield send, outline
        out.put(None)
        list(call)


def view(x, y, side, width=None):
    box = geo.Box(x0=x - (width or side) / 2, y0=y - side / 2, x1=x + (width or side) / 2, y1=y + side / 2)
    return geo.Viewport(region=box, downsample=side / 600)


def prompt(name, place):
    return pb.PromptRevision(object_id=name, revision=1, prompt=clicks((*place, True)))


def test_a_first_click_in_what_is_seen_is_a_warm_one(running, annotator):
    send, outline = annotator
    before, used = running.encoder_runs, running.app.segmenter.prefetched().used
    send(viewport=view(210, 205, 240))
    until(lambda: running.encoder_runs == before + AHEAD)
    send(prompt=prompt("disc", (200, 200)))
    answer = outline()
    assert answer.timings.encoder_runs == 0
    assert iou(geometry(answer.geometry), "a") > 0.8
    # Not in the middle, where a field of its own would have another middle.
    send(prompt=prompt("beside", (245, 225)))
    beside = outline()
    assert beside.timings.encoder_runs == 0
    assert beside.field == answer.field
    assert running.encoder_runs == before + AHEAD
    assert running.app.segmenter.prefetched().used == used + 2


def test_a_look_elsewhere_drops_what_has_not_begun(running, annotator):
    send, _ = annotator
    before = running.encoder_runs
    for x in range(150, 750, 20):
        send(viewport=view(x, 500, 100, 300))
    send(viewport=view(WIDTH - 90, HEIGHT - 90, 140))
    send(prompt=prompt("last", (WIDTH - 90, HEIGHT - 90)))
    _, outline = annotator
    outline()
    until(lambda: not any(running.app.models.device.waiting().values()))
    # Thirty views of two fields each: at most the one that was running when each next view came.
    assert running.encoder_runs - before < 15
    assert running.app.segmenter.prefetched().encoded >= AHEAD


def test_a_box_gets_a_field_of_its_own(running, annotator):
    send, outline = annotator
    before = running.encoder_runs
    send(viewport=view(600, 250, 320))
    until(lambda: running.encoder_runs == before + AHEAD)
    boxed = pb.Prompt(box=geo.Box(x0=570, y0=220, x1=620, y1=270))
    send(prompt=pb.PromptRevision(object_id="box", revision=1, prompt=boxed))
    assert outline().timings.encoder_runs == 1
