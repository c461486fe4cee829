"""Proposals for a region, over a real socket: what is found, what is left alone, and how the work goes on."""

import time
from concurrent.futures import ThreadPoolExecutor

import grpc
import numpy as np
import pytest
import shapely
from PIL import Image

from support.self_crossing import zigzags
from support.server import DISCS, around, clicks, iou, picture
from support.waiting import until
from wsisam.v1 import geometry_pb2 as geo
from wsisam.v1 import segmentation_pb2 as pb
from wsisam_server.client import ServerError, areas, geometry


def disc(name):
    x, y, radius = DISCS[name]
    return shapely.Point(x, y).buffer(radius)


def request(slide, region, **more):
    more.setdefault("filter", pb.ProposalFilter(min_size=70, max_size=150))
    return pb.SegmentEverythingRequest(slide_id=slide.slide_id, region=areas(region), **more)


def test_objects_in_the_region_are_found_once_and_existing_ones_left_alone(client, server, slide):
    """The region holds disc a, disc c, which is there already, and half of a hole about nothing."""
    region = shapely.union_all([shapely.box(130, 130, 280, 275), shapely.box(300, 470, 400, 570)])
    before = server.encoder_runs
    answers = list(client.segment_everything(request(slide, region, existing=[areas(disc("c"))])))
    proposals = [proposal for answer in answers for proposal in answer.proposals]
    assert len(proposals) == 1
    outline = proposals[0].outline
    found = geometry(outline.geometry)
    assert iou(found, "a") > 0.8
    assert found.is_valid
    assert found.difference(region.buffer(1 / 32)).area == 0
    assert outline.field.high.downsample == pytest.approx(300 / 256)
    clicked = proposals[0].prompt.points[0].position
    assert found.contains(shapely.Point(clicked.x, clicked.y))
    # How far the work is, and that each window was encoded once.
    assert [answer.windows_done for answer in answers] == list(range(len(answers)))
    total = answers[0].windows_total
    assert total == answers[-1].windows_done
    assert server.encoder_runs == before + total
    counts = answers[-1].counts
    assert counts.proposed == 1
    assert counts.existing >= 1
    reasons = [getattr(counts, one.name) for one in counts.DESCRIPTOR.fields if one.name != "clicks"]
    assert counts.clicks == sum(reasons)
    assert answers[0].unit == geo.LENGTH_UNIT_PIXEL


def test_a_client_that_leaves_stops_the_work_and_clicks_go_first(client, server, slide, gate):
    whole = shapely.box(0, 0, 900, 700)
    before = server.encoder_runs
    call = client.stub.SegmentEverything(request(slide, whole), timeout=120)
    first = next(call)
    assert (first.windows_done, len(first.proposals)) == (0, 0)
    assert first.windows_total > 20
    # The click is answered while the first windows are searched.
    gate.let(5)
    client.segment(pb.SegmentRequest(slide_id=slide.slide_id, prompt=clicks((601, 251, True))))
    call.cancel()
    with pytest.raises(grpc.RpcError):
        list(call)
    until(lambda: not any(server.app.models.device.waiting().values()))
    gate.open()
    # Anything that still runs must be done before this: one model step is on the device, the rest was dropped.
    client.segment(pb.SegmentRequest(slide_id=slide.slide_id, prompt=around("a")))
    runs = server.encoder_runs
    time.sleep(0.2)
    assert server.encoder_runs == runs < before + 8


def test_no_clicks_on_glass_unless_nothing_on_the_slide_has_colour(client, server):
    pixels = picture()
    pixels[:, 450:] = 242
    Image.fromarray(pixels).save(server.root / "half on glass.png")
    grey = picture()
    grey[:] = grey.mean(axis=2, keepdims=True)
    Image.fromarray(grey).save(server.root / "grey.png")

    def searched(name, *box):
        slide, before = client.open_slide(str(server.root / name)), server.encoder_runs
        answers = list(client.segment_everything(request(slide, shapely.box(*box))))
        clicks = [proposal.prompt.points[0].position for answer in answers for proposal in answer.proposals]
        # Windows of glass alone are done, too.
        assert [answer.windows_done for answer in answers] == list(range(answers[0].windows_total + 1))
        return answers[-1], clicks, server.encoder_runs - before

    tissue, found, encoded = searched("half on glass.png", 150, 150, 300, 250)
    assert tissue.windows_total == encoded == 1
    both, again, encoded = searched("half on glass.png", 150, 150, 900, 250)
    # Of glass, what lies within half the largest size of tissue is asked; and all clicks are accounted for.
    assert (both.windows_total, encoded) == (5, 2)
    assert both.counts.clicks >= 4 * tissue.counts.clicks
    assert both.counts.nothing >= both.counts.clicks / 2
    assert len(found) == 1
    assert all(click.x < 450 + 75 for click in again)
    assert found[0] in again
    glass, _, encoded = searched("half on glass.png", 700, 150, 800, 250)
    assert encoded == 0
    assert glass.counts.nothing == glass.counts.clicks > 0
    glass, _, encoded = searched("grey.png", 700, 150, 800, 250)
    assert encoded == glass.windows_total > 0


BOX = shapely.box(100, 100, 200, 200)


@pytest.mark.parametrize(
    ("change", "status", "reason"),
    [
        ({"region": shapely.MultiPolygon()}, "INVALID_ARGUMENT", "INVALID_REGION"),
        ({"region": shapely.Polygon([(0, 0), (50, 50), (99, 99)])}, "INVALID_ARGUMENT", "INVALID_REGION"),
        ({"region": shapely.box(-200, 0, -100, 50)}, "OUT_OF_RANGE", "REGION_OUTSIDE_SLIDE"),
        ({"sizes": (0, 0)}, "INVALID_ARGUMENT", "INVALID_FIELD"),
        ({"sizes": (50, 50)}, "INVALID_ARGUMENT", "INVALID_FIELD"),
        ({"sizes": (5, 500)}, "INVALID_ARGUMENT", "INVALID_FIELD"),
        ({"sizes": (float("nan"), 50)}, "INVALID_ARGUMENT", "INVALID_FIELD"),
        ({"sizes": (0.01, 0.1)}, "INVALID_ARGUMENT", "INVALID_FIELD"),
        ({"sizes": (1, 2), "region": shapely.box(0, 0, 900, 700)}, "RESOURCE_EXHAUSTED", "REGION_TOO_LARGE"),
        ({"min_score": 1.5}, "INVALID_ARGUMENT", "INVALID_FIELD"),
        ({"slide_id": "nothing"}, "NOT_FOUND", "UNKNOWN_SLIDE_ID"),
        ({"model": "nothing"}, "NOT_FOUND", "UNKNOWN_MODEL"),
    ],
)
def test_what_cannot_be_searched(client, server, slide, change, status, reason):
    before = server.encoder_runs
    low, high = change.pop("sizes", (70, 150))
    wanted = pb.ProposalFilter(min_size=low, max_size=high)
    if "min_score" in change:
        wanted.min_score = change.pop("min_score")
    asked = request(slide, change.pop("region", BOX), filter=wanted)
    for name, value in change.items():
        setattr(asked, name, value)
    with pytest.raises(ServerError) as caught:
        list(client.segment_everything(asked))
    assert (caught.value.status, caught.value.reason) == (status, reason)
    assert server.encoder_runs == before


@pytest.mark.parametrize("part", ["region", "existing"])
def test_borders_that_would_take_minutes_are_refused_while_others_are_answered(client, slide, part):
    bad = zigzags(1001, 900, 700)
    asked = request(slide, bad) if part == "region" else request(slide, BOX, existing=[areas(bad)])
    with ThreadPoolExecutor(1) as executor:
        refused = executor.submit(lambda: list(client.segment_everything(asked)))
        for _ in range(5):
            client.segment(pb.SegmentRequest(slide_id=slide.slide_id, prompt=around("b")))
        with pytest.raises(ServerError) as caught:
            refused.result(timeout=30)
    assert (caught.value.status, caught.value.reason) == ("INVALID_ARGUMENT", "INVALID_REGION")
    assert "too often; simplify" in str(caught.value)


def test_many_existing_objects_that_cross_themselves_take_no_longer_than_one(client, slide):
    bad = [areas(zigzags(51, 900, 700))] * 400
    with pytest.raises(ServerError) as caught:
        list(client.segment_everything(request(slide, BOX, existing=bad)))
    assert caught.value.reason == "INVALID_REGION"
    assert "existing objects" in str(caught.value)


def test_too_many_vertices(client, slide):
    angles = np.linspace(0, 2 * np.pi, 250_001, endpoint=False)
    circle = shapely.Polygon(np.column_stack((400 + 250 * np.cos(angles), 300 + 250 * np.sin(angles))))
    with pytest.raises(ServerError) as caught:
        list(client.segment_everything(request(slide, circle, existing=[areas(circle)])))
    assert caught.value.reason == "INVALID_REGION"
    assert "500000" in caught.value.text


def test_a_slide_in_pixel_mode_asks_for_all_its_windows_at_once(client):
    slide = client.open_slide("file:///elsewhere.png", pb.PixelSource(width=900, height=700))
    with pytest.raises(ServerError) as caught:
        list(client.segment_everything(request(slide, shapely.box(0, 0, 250, 100))))
    assert caught.value.reason == "PIXELS_NEEDED"
    windows = caught.value.pixels_needed.windows
    assert len(windows) == 2
    tiles = [
        pb.PixelTile(
            window=one, encoding=pb.TILE_ENCODING_RAW, data=bytes([230]) * (one.tile_width * one.tile_height * 3)
        )
        for one in windows
    ]
    answers = list(client.segment_everything(request(slide, shapely.box(0, 0, 250, 100), tiles=tiles)))
    assert answers[-1].windows_done == len(windows)
    assert not any(answer.proposals for answer in answers)
