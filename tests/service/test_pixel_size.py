"""A pixel size that the client knows: it counts where the file has none, for its own request only."""

import numpy as np
import pytest
import shapely
import tifffile

from support.server import around, clicks, picture
from wsisam.v1 import geometry_pb2 as geo
from wsisam.v1 import segmentation_pb2 as pb
from wsisam_server.client import Client, ServerError, areas, geometry

CLIENT, SLIDE = pb.PIXEL_SIZE_SOURCE_CLIENT, pb.PIXEL_SIZE_SOURCE_SLIDE


@pytest.fixture(scope="module")
def measured(server):
    """A slide whose file says 0.5 by 0.5 microns, in OME-XML only."""
    metadata = {"axes": "YXS", "PhysicalSizeX": 0.5, "PhysicalSizeY": 0.5}
    tifffile.imwrite(server.root / "measured.ome.tif", picture(), photometric="rgb", metadata=metadata)
    with Client(server.target) as client:
        return client.open_slide("measured.ome.tif")


def ask(slide, **more):
    return pb.SegmentRequest(
        slide_id=slide.slide_id, prompt=around("a"), options=pb.OutlineOptions(tolerance=2), **more
    )


def test_without_any_lengths_are_pixels(client, slide):
    outline = client.segment(ask(slide))
    assert outline.unit == geo.LENGTH_UNIT_PIXEL
    assert outline.pixel_size == pb.PixelSize()


def test_the_clients_counts_where_the_file_has_none(client, slide):
    outline = client.segment(ask(slide, mpp=0.25))
    assert outline.unit == geo.LENGTH_UNIT_MICRON
    assert outline.pixel_size == pb.PixelSize(mpp=0.25, source=CLIENT)
    # 2 microns are 8 pixels: as if it had been asked in pixels.
    pixels = pb.SegmentRequest(slide_id=slide.slide_id, prompt=around("a"), options=pb.OutlineOptions(tolerance=8))
    assert geometry(outline.geometry).equals(geometry(client.segment(pixels).geometry))
    assert not geometry(outline.geometry).equals(geometry(client.segment(ask(slide)).geometry))


def test_it_is_one_requests_and_never_the_slides(client, server, slide):
    client.segment(ask(slide, mpp=0.25))
    assert client.segment(ask(slide)).unit == geo.LENGTH_UNIT_PIXEL
    with Client(server.target) as colleague:
        again = colleague.open_slide("discs.png")
        assert again.slide_id == slide.slide_id
        assert again.mpp is None
        assert colleague.segment(ask(again, mpp=0.5)).pixel_size.mpp == 0.5


def test_the_files_counts_and_another_one_is_reported(client, measured):
    assert (measured.mpp, measured.mpp_x, measured.mpp_y) == (0.5, 0.5, 0.5)
    alone, near, far = (client.segment(ask(measured, **more)) for more in ({}, {"mpp": 0.505}, {"mpp": 0.25}))
    assert alone.unit == geo.LENGTH_UNIT_MICRON
    assert alone.pixel_size == near.pixel_size == pb.PixelSize(mpp=0.5, source=SLIDE)
    assert far.pixel_size == pb.PixelSize(mpp=0.5, source=SLIDE, ignored_mpp=0.25)
    assert alone.geometry == near.geometry == far.geometry


def test_a_batch_has_one_for_all(client, slide):
    items = [pb.BatchItem(id=name, prompt=around(name)) for name in "ab"]
    request = pb.SegmentBatchRequest(slide_id=slide.slide_id, items=items, mpp=0.25)
    assert [answer.outline.pixel_size.mpp for answer in client.segment_batch(request)] == [0.25, 0.25]


def test_a_stream_has_one_from_its_start(client, slide):
    start = pb.Start(slide_id=slide.slide_id, mpp=0.25)
    prompt = pb.InteractRequest(prompt=pb.PromptRevision(object_id="a", revision=1, prompt=around("a")))
    replies = list(client.interact(start, [prompt]))
    started = replies[0].started
    assert (started.unit, started.pixel_size) == (geo.LENGTH_UNIT_MICRON, pb.PixelSize(mpp=0.25, source=CLIENT))
    (outline,) = [reply.outline.outline for reply in replies if reply.WhichOneof("message") == "outline"]
    assert outline.pixel_size == started.pixel_size


def test_sizes_in_a_region_are_read_with_it(client, slide):
    def first(**more):
        request = pb.SegmentEverythingRequest(
            slide_id=slide.slide_id,
            region=areas(shapely.box(0, 0, 60, 60)),
            filter=pb.ProposalFilter(min_size=4, max_size=15),
            **more,
        )
        return next(iter(client.segment_everything(request)))

    step = first(mpp=0.5)
    assert step.unit == geo.LENGTH_UNIT_MICRON
    # Windows of twice the largest size, 30 pixels, at the model's 256 pixels.
    assert step.downsample == pytest.approx(0.234, abs=0.001)
    assert step.pixel_size == pb.PixelSize(mpp=0.5, source=CLIENT)
    assert first().unit == geo.LENGTH_UNIT_PIXEL


def test_a_click_without_a_view_is_read_at_half_a_micron(client, slide):
    request = pb.SegmentRequest(slide_id=slide.slide_id, prompt=clicks((200, 200, True)), mpp=0.25)
    assert client.segment(request).field.high.downsample == 2


def test_one_that_no_microscope_has_counts_as_unknown(client, slide, measured):
    for mpp in (0.049, 20.1, 353.0):
        assert client.segment(ask(slide, mpp=mpp)).pixel_size == pb.PixelSize()
        assert not client.segment(ask(measured, mpp=mpp)).pixel_size.HasField("ignored_mpp")


@pytest.mark.parametrize("mpp", [0.0, -0.5, float("nan"), float("inf")])
def test_one_that_is_none_is_refused_in_every_call(client, slide, mpp):
    item = pb.BatchItem(id="a", prompt=around("a"))
    region = areas(shapely.box(0, 0, 60, 60))
    calls = {
        "mpp": [
            lambda: client.segment(ask(slide, mpp=mpp)),
            lambda: list(client.segment_batch(pb.SegmentBatchRequest(slide_id=slide.slide_id, items=[item], mpp=mpp))),
            lambda: list(
                client.segment_everything(
                    pb.SegmentEverythingRequest(
                        slide_id=slide.slide_id,
                        region=region,
                        filter=pb.ProposalFilter(min_size=4, max_size=15),
                        mpp=mpp,
                    )
                )
            ),
        ],
        "start.mpp": [lambda: list(client.interact(pb.Start(slide_id=slide.slide_id, mpp=mpp), []))],
    }
    for field, ways in calls.items():
        for call in ways:
            with pytest.raises(ServerError) as caught:
                call()
            assert (caught.value.reason, caught.value.details["field"]) == ("INVALID_FIELD", field)


def test_in_pixel_mode_what_came_last_counts(client):
    height, width = picture().shape[:2]
    hidden = client.open_slide("/elsewhere/hidden.svs", pb.PixelSource(width=width, height=height, mpp=0.5))
    assert hidden.mpp_x is None
    replies = client.interact(pb.Start(slide_id=hidden.slide_id, mpp=0.25), [])
    assert next(replies).started.pixel_size == pb.PixelSize(mpp=0.25, source=CLIENT)
    replies = client.interact(pb.Start(slide_id=hidden.slide_id), [])
    assert next(replies).started.pixel_size == pb.PixelSize(mpp=0.5, source=CLIENT)
    assert np.isfinite(hidden.mpp)
