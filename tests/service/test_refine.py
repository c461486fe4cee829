"""Borders refined in finer windows: by the real model, and by the double where only their number is the question."""

import uuid
from contextlib import contextmanager

import numpy as np
import pytest
import shapely
from PIL import Image

from support.annotations import Caller
from support.server import start
from support.waiting import until
from wsisam.v1 import geometry_pb2 as geo
from wsisam.v1 import segmentation_pb2 as pb
from wsisam_server.client import Client, ServerError, geometry, status_error
from wsisam_server.core.settings import Limits

SIDE, CENTER, RADIUS = 1024, 500.0, 200.0
"""A slide with one disc, whose outline is known exactly."""


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """The folder of that slide."""
    root = tmp_path_factory.mktemp("large")
    random = np.random.default_rng(0)
    y, x = np.mgrid[:SIDE, :SIDE] + 0.5
    pixels = np.full((SIDE, SIDE, 3), (235, 205, 220), np.float64)
    pixels[np.hypot(x - CENTER, y - CENTER) < RADIUS] = (120, 60, 130)
    Image.fromarray((pixels + random.normal(0, 8, pixels.shape)).clip(0, 255).astype(np.uint8)).save(root / "disc.png")
    return root


@pytest.fixture(scope="module")
def large(real_model, root, tmp_path_factory):
    place = str(tmp_path_factory.mktemp("store") / "annotations.sqlite")
    running, stop = start(real_model, root, limits=Limits(prefetched_fields=0, refinement_windows=64), store=place)
    with Client(running.target, timeout=120) as client:
        yield running, client, client.open_slide("disc.png").slide_id
    stop()


@contextmanager
def dark(model, root, windows):
    """A server of the slide with a model that costs nothing, which refines in no more than so many windows."""
    running, stop = start(model, root, limits=Limits(prefetched_fields=0, refinement_windows=windows))
    try:
        with Client(running.target, timeout=60) as client:
            yield running, client, client.open_slide("disc.png").slide_id
    finally:
        stop()


def dice(outline):
    disc = shapely.Point(CENTER, CENTER).buffer(RADIUS, quad_segs=256)
    found = geometry(outline.geometry)
    return 2 * found.intersection(disc).area / (found.area + disc.area)


PROMPT = pb.Prompt(box=geo.Box(x0=300, y0=300, x1=700, y1=700))
FIELD = pb.FieldChoice(downsample=32)
"""So coarse that the disc is 12 cells wide: four octaves finer it has the extent of a window and a half."""


def ask(slide_id, **more):
    return pb.SegmentRequest(slide_id=slide_id, prompt=PROMPT, field=FIELD, **more)


def test_a_refined_border_is_nearer_the_truth_and_says_how_it_came_about(large):
    running, client, slide_id = large
    coarse = client.segment(ask(slide_id))
    assert [(level.downsample, level.windows) for level in coarse.levels] == [(32, 1)]
    before = running.encoder_runs
    fine = client.segment(ask(slide_id, refine=pb.Refinement(downsample=4)))
    assert [level.downsample for level in fine.levels] == [32, 16, 8, 4]
    assert sum(level.windows for level in fine.levels[1:]) == running.encoder_runs - before == fine.timings.encoder_runs
    assert not fine.truncated
    assert not fine.cut_by_field
    assert fine.field == coarse.field
    shape = geometry(fine.geometry)
    assert shape.is_valid
    assert len(shape.geoms) == 1
    assert dice(fine) > dice(coarse)
    assert fine.tolerance == pytest.approx(coarse.tolerance / 8)
    # All windows are cached now.
    again = client.segment(ask(slide_id, refine=pb.Refinement(downsample=4)))
    assert again.timings.encoder_runs == 0
    assert again.geometry == fine.geometry


def test_a_server_that_allows_less_than_usual_refines_within_that(model, root):
    with dark(model, root, windows=4) as (_, client, slide_id):
        outline = client.segment(ask(slide_id, refine=pb.Refinement(downsample=2)))
    assert outline.truncated
    assert 1 <= sum(level.windows for level in outline.levels[1:]) <= 4


def test_what_is_kept_of_a_refined_outline_says_its_scales(large):
    running, client, slide_id = large
    caller = Caller(running.target)
    kept = []
    for refine in (None, pb.Refinement(downsample=4)):
        commit = pb.Commit(annotation_id=str(uuid.uuid4()), author="anna")
        outline = client.segment(ask(slide_id, refine=refine, commit=commit))
        kept.append([(level.downsample, level.windows) for level in outline.levels])
        made = caller.get(commit.annotation_id).annotation.provenance
        assert [(level.downsample, level.windows) for level in made.levels] == (kept[-1] if refine else [])
    assert len(kept[1]) == 4
    caller.close()


def test_a_client_refines_the_border_of_the_prompts_that_it_names(large):
    _, client, slide_id = large
    start, asked = pb.Start(slide_id=slide_id), [PROMPT, PROMPT]
    outlines = client.refine(start, asked, field=FIELD, refinements={1: pb.Refinement(downsample=8)})
    assert [[level.downsample for level in outline.levels] for outline in outlines] == [[32], [32, 16, 8]]


def test_a_bound_that_is_too_small_is_kept_and_named(large):
    _, client, slide_id = large
    outline = client.segment(ask(slide_id, refine=pb.Refinement(downsample=2, max_windows=4)))
    assert outline.truncated
    assert sum(level.windows for level in outline.levels[1:]) <= 4


@pytest.mark.parametrize(
    ("wanted", "field"),
    [
        (pb.Refinement(downsample=-1), "refine.downsample"),
        (pb.Refinement(downsample=float("nan")), "refine.downsample"),
        (pb.Refinement(max_windows=0), "refine.max_windows"),
        (pb.Refinement(max_windows=65), "refine.max_windows"),
    ],
)
def test_what_cannot_be_refined_is_refused(large, wanted, field):
    _, client, slide_id = large
    with pytest.raises(ServerError) as caught:
        client.segment(ask(slide_id, refine=wanted))
    assert caught.value.reason == "INVALID_FIELD"
    assert caught.value.details["field"] == field


def test_a_call_in_pixel_mode_is_told_to_use_a_stream(large):
    _, client, _ = large
    pushed = client.open_slide("not here.svs", pb.PixelSource(width=4096, height=4096))
    with pytest.raises(ServerError, match="Interact"):
        client.segment(ask(pushed.slide_id, refine=pb.Refinement()))


def test_a_newer_revision_stops_a_refinement(model, root, gate):
    gate.let(1)  # when the server warms the model up
    view = geo.Viewport(region=geo.Box(x0=90, y0=90, x1=910, y1=910), downsample=0.8)
    fine = pb.Refinement(downsample=0.125)
    answers = {}
    with dark(model, root, windows=64) as (running, client, slide_id):
        gate.let(3)  # the field, and two windows of its border

        def requests():
            for revision, more in ((1, {"refine": fine}), (2, {})):
                prompt = pb.PromptRevision(object_id="o", revision=revision, prompt=PROMPT, viewport=view, **more)
                yield pb.InteractRequest(prompt=prompt)
                until(lambda: running.encoder_runs == 3)

        for message in client.interact(pb.Start(slide_id=slide_id), requests()):
            kind = message.WhichOneof("message")
            if kind in ("outline", "error"):
                one = getattr(message, kind)
                answers[one.revision] = status_error(one.error).reason if kind == "error" else one.outline
                gate.open()
        assert answers[1] == "SUPERSEDED"
        assert len(answers[2].levels) == 1
        # The one in flight, and no more of its dozens.
        assert 3 <= running.encoder_runs <= 3 + 1


def test_a_stream_hears_how_far_a_refinement_is(large):
    _, client, slide_id = large
    asked = pb.PromptRevision(object_id="o", revision=1, prompt=PROMPT, field=FIELD, refine=pb.Refinement(downsample=4))
    told, outlines = [], []
    for message in client.interact(pb.Start(slide_id=slide_id), [pb.InteractRequest(prompt=asked)]):
        if message.progress.stage == pb.STAGE_REFINING:
            told.append((message.progress.windows_done, message.progress.windows_total))
        elif message.HasField("outline"):
            outlines.append(message.outline.outline)
    windows = sum(level.windows for level in outlines[0].levels[1:])
    assert told == [(done, windows) for done in range(windows + 1)]
