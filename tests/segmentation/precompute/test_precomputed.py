"""A real slide, `wsisam precompute`, and servers that use the same store."""

import json
import os
import queue
import re
import signal
import subprocess
import sys
import uuid

import numpy as np
import pytest
import shapely
from click.testing import CliRunner
from PIL import Image

from support.one_window import one_window
from support.server import box, clicks, start
from support.server_process import command
from support.waiting import until
from wsisam.v1 import geometry_pb2 as geo
from wsisam.v1 import segmentation_pb2 as pb
from wsisam_server.cli import main
from wsisam_server.client import Client, geometry
from wsisam_server.core.settings import Limits
from wsisam_server.core.shapes import collection, feature

COARSE = ("--downsample", "8")
VIEW = geo.Viewport(region=geo.Box(x0=100, y0=200, x1=2148, y1=2248), downsample=3)
"""At whose scale clicks are answered at that downsample."""
CLICK = clicks((1200, 1500, True))
BOXES = ((1180, 1960, 1370, 2190), (1185, 1962, 1372, 2188), (600, 1300, 760, 1440))


@pytest.fixture(scope="module")
def model():
    return one_window()


@pytest.fixture
def place(tmp_path):
    return tmp_path / "embeddings"


@pytest.fixture
def serving(model, svs, place):
    """Servers in this process, with the store or without; by a call."""
    stops = []

    def serve(where=place):
        running, stop = start(model, svs.parent, embedding_store=where, limits=Limits(prefetched_fields=0))
        stops.append(stop)
        return running

    yield serve
    for stop in stops:
        stop()


@pytest.fixture
def asks(svs):
    """Asks a server for one outline."""

    def ask(target, prompt, **more):
        with Client(target, timeout=120) as client:
            slide = client.open_slide(str(svs))
            return client.segment(pb.SegmentRequest(slide_id=slide.slide_id, prompt=prompt, **more))

    return ask


def files(place):
    return list(place.rglob("*.embedding"))


def precompute(place, *arguments):
    options = ["--embedding-store", str(place), "--low-resolution", "none"]
    return CliRunner().invoke(main, ["precompute", *options, *map(str, arguments)])


def encoded(done):
    assert done.exit_code == 0, done.output
    return int(re.search(r"([\d,]+) windows encoded", done.output)[1].replace(",", ""))


INTERRUPTIBLE = """
import signal
signal.signal(signal.SIGINT, signal.default_int_handler)
from wsisam_server.cli import main
main()
"""
"""The command line. Where tests run in the background of a shell, SIGINT is ignored, and processes inherit that."""


def interrupted(place, svs):
    """Starts the command, and interrupts it when it has written something; again where it was done before that."""
    for _ in range(5):
        status, said = _interrupted_once(place, svs)
        if status != 0:
            break
        for file in files(place):
            file.unlink()
    return status, said


def _interrupted_once(place, svs):
    # On one thread a window takes a second: long enough for the signal to come before the last one.
    options = ["--low-resolution", "none", "--threads", "1"]
    program = [sys.executable, "-c", INTERRUPTIBLE, "precompute", str(svs), *options, *COARSE]
    environment = os.environ | {"WSISAM_EMBEDDING_STORE": str(place), "OMP_NUM_THREADS": "1"}
    with subprocess.Popen(program, env=environment, stderr=subprocess.PIPE, text=True) as process:

        def begun():
            assert process.poll() is None, process.stderr.read()
            return files(place)

        until(begun, 120)
        process.send_signal(signal.SIGINT)
        return process.wait(60), process.stderr.read()


def test_what_was_interrupted_is_gone_on_with_and_clicks_are_then_warm(svs, place, serving, asks):
    status, said = interrupted(place, svs)
    assert status == 130
    assert "The same command goes on from there" in said
    there = len(files(place))
    assert 1 <= there < 4
    damaged = files(place)[0]
    damaged.write_bytes(damaged.read_bytes()[:1000])
    assert encoded(precompute(place, svs, *COARSE)) == 4 - there + 1
    assert encoded(precompute(place, svs, *COARSE)) == 0

    server = serving()
    answer = asks(server.target, CLICK, viewport=VIEW)
    assert answer.field.high.downsample == 8
    assert answer.timings.encoder_runs == 0
    with Client(server.target, timeout=120) as client:
        slide = client.open_slide(str(svs))
        out = queue.Queue()
        out.put(pb.InteractRequest(start=pb.Start(session_id="one", slide_id=slide.slide_id)))
        out.put(pb.InteractRequest(viewport=VIEW))
        first = pb.PromptRevision(object_id="a", revision=1, prompt=clicks((300, 2500, True)))
        out.put(pb.InteractRequest(prompt=first))
        call = client.stub.Interact(iter(out.get, None), timeout=120)
        kinds = []
        for message in call:
            kinds.append(message.WhichOneof("message"))
            if kinds[-1] == "outline":
                assert message.outline.outline.timings.encoder_runs == 0
                break
        out.put(None)
        list(call)
    assert kinds[-1] == "outline"
    assert not any("encod" in kind for kind in kinds)

    # Without the store, the same field says the same.
    bare = serving(None)
    again = asks(bare.target, CLICK, field=pb.FieldChoice(high=answer.field.high))
    assert again.timings.encoder_runs == 1
    assert again.geometry == answer.geometry


def test_a_batch_about_the_annotations_of_a_file_runs_no_encoder(svs, place, serving, tmp_path):
    drawn = tmp_path / "drawn.geojson"
    features = [feature(shapely.box(*bounds), id=str(uuid.uuid4())) for bounds in BOXES]
    drawn.write_text(json.dumps(collection(features)))
    dry = precompute(place, svs, "--annotations", drawn, "--dry-run")
    assert dry.exit_code == 0, dry.output
    assert "2 fields for 3 annotations" in dry.output
    assert "2 windows, 18.0 MiB; 0 of them are there already" in dry.output
    assert "in about" in dry.output
    assert not place.exists()
    assert encoded(precompute(place, svs, "--annotations", drawn)) == 2

    server = serving()
    with Client(server.target, timeout=120) as client:
        slide = client.open_slide(str(svs))
        items = [pb.BatchItem(id=str(number), prompt=box(*bounds)) for number, bounds in enumerate(BOXES)]
        answers = list(client.segment_batch(pb.SegmentBatchRequest(slide_id=slide.slide_id, items=items)))
    assert [answer.outline.timings.encoder_runs for answer in answers] == [0, 0, 0]
    assert server.app.models.device.store.counters.hits == 2


def test_a_server_started_later_answers_the_first_prompt_without_encoding(svs, place, serving, asks, tmp_path):
    first = asks(serving().target, CLICK, viewport=VIEW)
    assert first.timings.encoder_runs == 1
    until(lambda: files(place))  # written after the answer has gone out
    more = ("--slides", svs.parent, "--port", "0", "--metrics-port", "0", "--low-resolution", "none")
    more += ("--embedding-store", place)
    with command(tmp_path / "log", *more) as server:
        again = asks(server.target, CLICK, viewport=VIEW)
        metrics = {(name, *labels.values()): value for name, labels, value in server.metrics()}
    assert again.timings.encoder_runs == 0
    assert again.geometry == first.geometry
    assert again.field == first.field
    assert geometry(again.geometry).area > 0
    assert metrics["wsisam_embedding_store_lookups_total", "hit"] == 1
    assert metrics["wsisam_embedding_store_lookups_total", "damaged"] == 0
    assert metrics["wsisam_embedding_store_bytes",] == files(place)[0].stat().st_size


@pytest.mark.model
def test_what_does_not_fit_is_refused_without_the_option(svs, place):
    limit = ("--embedding-store-bytes", "22MiB")
    refused = precompute(place, svs, *COARSE, *limit)
    assert refused.exit_code == 1
    assert "they do not fit" in refused.output
    assert not place.exists()
    some = precompute(place, svs, *COARSE, *limit, "--as-many-as-fit", "--dry-run")
    assert some.exit_code == 0
    assert "2 windows, 18.0 MiB" in some.output


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (("no-such-slide.svs",), 2, "does not exist"),
        ((__file__,), 1, "slide"),
        ((__file__, "--annotations", __file__, "--tissue"), 2, "leave out"),
        ((__file__, "--mpp", "0"), 2, "--mpp"),
    ],
)
def test_what_makes_no_sense_is_said(place, arguments, status, said):
    done = precompute(place, *arguments)
    assert done.exit_code == status, done.output
    assert said in done.output
    assert "Traceback" not in done.output


def test_the_store_must_be_named_and_one_that_can_be_written(tmp_path, monkeypatch):
    monkeypatch.delenv("WSISAM_EMBEDDING_STORE", raising=False)
    unnamed = CliRunner().invoke(main, ["precompute", __file__])
    assert unnamed.exit_code == 2
    assert "--embedding-store" in unnamed.output
    (tmp_path / "file").write_text("in the way")
    refused = precompute(tmp_path / "file" / "embeddings", __file__)
    assert refused.exit_code == 1
    assert "cannot be written" in refused.output


def test_a_slide_replaced_between_two_starts_is_answered_from_its_own_pixels(model, place, tmp_path):
    """Of the same name, size, bytes and time: only the content tells them apart."""
    slides, at, prompt = tmp_path / "slides", 1_700_000_000, box(150, 150, 360, 360)
    slides.mkdir()
    for number, radius in enumerate((90, 60)):
        y, x = np.mgrid[:512, :512]
        dark = np.hypot(x - 255, y - 255)[..., None] < radius
        image = Image.fromarray(np.where(dark, (120, 60, 130), (235, 205, 220)).astype(np.uint8))
        image.save(tmp_path / f"{number}.png", compress_level=0)

    def answer(number, store):
        (slides / "a.png").write_bytes((tmp_path / f"{number}.png").read_bytes())  # in place: the inode stays
        os.utime(slides / "a.png", (at, at))
        server, stop = start(model, slides, embedding_store=store, limits=Limits(prefetched_fields=0))
        try:
            with Client(server.target, timeout=120) as client:
                slide = client.open_slide("a.png")
                outline = client.segment(pb.SegmentRequest(slide_id=slide.slide_id, prompt=prompt))
        finally:
            stop()
        return outline.timings.encoder_runs, geometry(outline.geometry)

    first, second = answer(0, place), answer(1, place)
    assert len({(tmp_path / f"{number}.png").stat().st_size for number in (0, 1)}) == 1
    assert (first[0], second[0]) == (1, 1)
    assert second[1].equals(answer(1, None)[1])
    assert not second[1].equals(first[1])
    for number, outline in enumerate((first[1], second[1])):
        runs, again = answer(number, place)
        assert runs == 0
        assert again.equals(outline)
