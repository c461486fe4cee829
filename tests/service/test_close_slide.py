"""CloseSlide: what it frees, what it leaves alone, and what becomes of those who use the slide."""

import pytest

from service.test_interact import Stream
from service.test_pixels import PIXELS, asked_by, tile_of
from support.server import around
from wsisam.v1 import segmentation_pb2 as pb
from wsisam_server.client import ServerError, server_error, status_error


def held(server):
    """Slides in pixel mode, their bytes, and the bytes of all embeddings."""
    pushed = server.app.slides.held()["pushed"]
    return pushed.slides, pushed.nbytes, server.app.models.device.cache.nbytes


def answered(client, slide):
    """A prompt on a slide in pixel mode, after its pixels were sent."""
    request = pb.SegmentRequest(slide_id=slide.slide_id, prompt=around("a"))
    request.tiles.extend(map(tile_of, asked_by(client, request)))
    return client.segment(request)


def reason_of(call, *args):
    with pytest.raises(ServerError) as caught:
        call(*args)
    return caught.value.reason


def test_it_frees_pixels_and_embeddings_of_a_slide_in_pixel_mode_at_once(client, server):
    # Where other tests have filled the cache, what is added takes the place of something else.
    server.app.models.device.cache.discard_where(lambda _: True)
    before = held(server)
    with client.open_slide("/elsewhere/hidden.svs", PIXELS) as slide:
        assert answered(client, slide).geometry.polygons
        during = held(server)
        assert all(now > then for now, then in zip(during, before, strict=True))
    assert held(server) == before
    prompt = pb.SegmentRequest(slide_id=slide.slide_id, prompt=around("a"))
    assert reason_of(client.segment, prompt) == "UNKNOWN_SLIDE_ID"
    slide.close()  # again: nothing
    assert held(server) == before


def test_a_slide_that_the_server_reads_stays_for_all(client, server, slide):
    prompt = pb.SegmentRequest(slide_id=slide.slide_id, prompt=around("a"))
    first = client.segment(prompt)
    slide.close()
    runs = server.encoder_runs
    assert client.segment(prompt).geometry == first.geometry
    assert server.encoder_runs == runs
    client.close_slide("never opened")
    assert reason_of(client.close_slide, "") == "INVALID_FIELD"


def test_a_stream_answers_what_it_has_and_ends(client):
    slide = client.open_slide("/elsewhere/hidden.svs", PIXELS)
    other = client.open_slide("/elsewhere/hidden.svs", PIXELS)
    stream, beside = Stream(client, slide), Stream(client, other)
    for one in (stream, beside):
        one.next("started")
        one.prompt("disc", 1, around("a"))
        (window,) = one.next("pixels_needed").windows
    slide.close()
    failed = stream.next("error")
    assert (failed.object_id, failed.revision) == ("disc", 1)
    assert status_error(failed.error).reason == "UNKNOWN_SLIDE_ID"
    with pytest.raises(Exception, match="No open slide") as caught:
        stream.next("outline")
    assert server_error(caught.value).reason == "UNKNOWN_SLIDE_ID"
    # Another slide of the same client goes on.
    beside.send(tile=tile_of(window))
    assert beside.next("outline").revision == 1
    other.close()


def test_a_batch_and_a_survey_end_with_the_reason(client):
    slide = client.open_slide("/elsewhere/hidden.svs", PIXELS)
    answered(client, slide)
    slide.close()
    batch = pb.SegmentBatchRequest(slide_id=slide.slide_id, items=[pb.BatchItem(id="a", prompt=around("a"))])
    assert reason_of(lambda: list(client.segment_batch(batch))) == "UNKNOWN_SLIDE_ID"
