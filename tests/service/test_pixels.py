"""Pixel mode: the server asks for exactly what it needs, once, and answers as if it had read the file."""

import io
import queue
import uuid

import numpy as np
import pytest
from PIL import Image

from support.server import HEIGHT, WIDTH, around, iou, picture
from wsisam.v1 import segmentation_pb2 as pb
from wsisam_server.client import ServerError, geometry, status_error

PIXELS = pb.PixelSource(width=WIDTH, height=HEIGHT, mpp=0.5)


@pytest.fixture
def hidden(client):
    """A slide that the server cannot open."""
    return client.open_slide("/elsewhere/hidden.svs", PIXELS)


def tile_of(window, encoding=pb.TILE_ENCODING_RAW):
    """What a client would send for a window."""
    region = Image.fromarray(picture()[window.y : window.y + window.height, window.x : window.x + window.width])
    region = region.resize((window.tile_width, window.tile_height), Image.Resampling.BILINEAR)
    if encoding == pb.TILE_ENCODING_RAW:
        data = np.asarray(region).tobytes()
    else:
        buffer = io.BytesIO()
        region.save(buffer, {pb.TILE_ENCODING_PNG: "PNG", pb.TILE_ENCODING_JPEG: "JPEG"}[encoding], quality=95)
        data = buffer.getvalue()
    return pb.PixelTile(window=window, encoding=encoding, data=data)


def asked_by(client, request):
    with pytest.raises(ServerError) as caught:
        client.segment(request)
    assert (caught.value.status, caught.value.reason) == ("FAILED_PRECONDITION", "PIXELS_NEEDED")
    return list(caught.value.pixels_needed.windows)


def test_a_slide_out_of_reach_is_opened_in_pixel_mode(hidden):
    assert hidden.source == pb.SLIDE_SOURCE_PIXELS
    assert (hidden.width, hidden.height, hidden.mpp) == (WIDTH, HEIGHT, 0.5)


def test_an_image_of_another_size_is_not_what_the_annotator_sees(client, server):
    other = pb.PixelSource(width=WIDTH // 2, height=HEIGHT)
    opened = client.open_slide(str(server.root / "discs.png"), other)
    assert opened.source == pb.SLIDE_SOURCE_PIXELS
    same = client.open_slide(str(server.root / "discs.png"), PIXELS)
    assert same.source == pb.SLIDE_SOURCE_REFERENCE


@pytest.mark.parametrize("encoding", [pb.TILE_ENCODING_RAW, pb.TILE_ENCODING_PNG, pb.TILE_ENCODING_JPEG])
def test_segment_asks_and_is_answered(client, slide, hidden, encoding):
    request = pb.SegmentRequest(slide_id=hidden.slide_id, prompt=around("a"))
    windows = asked_by(client, request)
    assert len(windows) == 1  # this model reads no low-resolution patch
    request.tiles.extend(tile_of(window, encoding) for window in windows)
    outline = client.segment(request)
    by_reference = client.segment(pb.SegmentRequest(slide_id=slide.slide_id, prompt=around("a")))
    assert iou(geometry(outline.geometry), "a") > 0.9
    assert outline.field == by_reference.field
    if encoding != pb.TILE_ENCODING_JPEG:
        difference = geometry(outline.geometry).symmetric_difference(geometry(by_reference.geometry))
        assert difference.area < 0.01 * geometry(outline.geometry).area
    # Its embedding is cached: no pixels are needed any more.
    request.ClearField("tiles")
    assert client.segment(request).geometry == outline.geometry


def test_batch_items_say_what_they_need(client, hidden):
    items = [pb.BatchItem(id=name, prompt=around(name)) for name in "ab"]
    request = pb.SegmentBatchRequest(slide_id=hidden.slide_id, items=items)
    errors = {answer.id: answer.error for answer in client.segment_batch(request)}
    assert {error.reason for error in errors.values()} == {"PIXELS_NEEDED"}
    for error in errors.values():
        request.tiles.extend(tile_of(window) for window in error.pixels_needed.windows)
    for answer in client.segment_batch(request):
        assert iou(geometry(answer.outline.geometry), answer.id) > 0.9


def test_the_stream_asks_once_and_goes_on(client, hidden):
    out = queue.Queue()
    out.put(pb.InteractRequest(start=pb.Start(session_id=uuid.uuid4().hex, slide_id=hidden.slide_id)))
    # Two objects in one field: its window must be asked for once.
    for name in ("one", "two"):
        prompt = around("b")
        prompt.box.x1 += len(name)
        out.put(pb.InteractRequest(prompt=pb.PromptRevision(object_id=name, revision=1, prompt=prompt)))
    asked, answered, stages = [], {}, set()
    for message in client.stub.Interact(iter(out.get, None), timeout=120):
        kind = message.WhichOneof("message")
        if kind == "pixels_needed":
            for window in message.pixels_needed.windows:
                asked.append(window)
                out.put(pb.InteractRequest(tile=tile_of(window)))
        elif kind == "progress":
            stages.add(message.progress.stage)
        elif kind == "outline":
            answered[message.outline.object_id] = message.outline.outline
            if len(answered) == 2:
                out.put(None)
        else:
            assert kind == "started", message
    assert len(asked) == len({str(window) for window in asked}) == 1
    assert set(answered) == {"one", "two"}
    assert iou(geometry(answered["one"].geometry), "b") > 0.9
    assert pb.STAGE_WAITING_FOR_PIXELS in stages


def change(tile, **fields):
    changed = pb.PixelTile()
    changed.CopyFrom(tile)
    for name, value in fields.items():
        setattr(changed, name, value)
    return changed


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda tile: change(tile, data=tile.data[:-1]), "TILE_WRONG_SIZE"),
        (lambda tile: change(tile, data=b""), "TILE_WRONG_SIZE"),
        (lambda tile: change(tile, encoding=pb.TILE_ENCODING_PNG), "TILE_UNREADABLE"),
        (lambda tile: change(tile, encoding=pb.TILE_ENCODING_UNSPECIFIED), "INVALID_FIELD"),
        (lambda tile: change(tile, encoding=99), "INVALID_FIELD"),
    ],
)
def test_a_bad_tile_is_refused_and_a_good_one_still_taken(client, hidden, spoil, reason):
    request = pb.SegmentRequest(slide_id=hidden.slide_id, prompt=around("c"))
    (window,) = asked_by(client, request)
    good = tile_of(window)
    request.tiles.append(spoil(good))
    with pytest.raises(ServerError) as caught:
        client.segment(request)
    assert caught.value.reason == reason
    request.ClearField("tiles")
    request.tiles.append(good)
    assert iou(geometry(client.segment(request).geometry), "c") > 0.9


def test_a_tile_nobody_asked_for_is_refused(client, hidden):
    request = pb.SegmentRequest(slide_id=hidden.slide_id, prompt=around("a"))
    (window,) = asked_by(client, request)
    tile = tile_of(window)
    tile.window.x += 1
    request.tiles.append(tile)
    with pytest.raises(ServerError) as caught:
        client.segment(request)
    assert caught.value.reason == "TILE_NOT_REQUESTED"


def test_two_callers_of_one_field_both_send_its_tile(client, hidden):
    request = pb.SegmentRequest(slide_id=hidden.slide_id, prompt=around("a"))
    request.tiles.extend(tile_of(window) for window in asked_by(client, request))
    first, second = client.segment(request), client.segment(request)
    assert first.geometry == second.geometry


def test_a_stream_that_its_client_has_ended_says_which_pixels_are_missing(client, hidden):
    prompt = pb.InteractRequest(prompt=pb.PromptRevision(object_id="disc", revision=1, prompt=around("a")))
    replies = list(client.interact(pb.Start(slide_id=hidden.slide_id), [prompt]))
    kinds = [reply.WhichOneof("message") for reply in replies]
    assert kinds.count("pixels_needed") == 1
    error = replies[-1].error
    assert (error.object_id, error.revision, status_error(error.error).reason) == ("disc", 1, "PIXELS_NEEDED")
    assert len(status_error(error.error).pixels_needed.windows) == 1


def test_tiles_of_superseded_prompts_never_block_the_slide(client, hidden):
    for number in range(30):
        field = pb.FieldChoice(downsample=1.0 + number / 1000)
        request = pb.SegmentRequest(slide_id=hidden.slide_id, prompt=around("a"), field=field)
        (window,) = asked_by(client, request)
        request.tiles.append(tile_of(window))
        request.prompt.points.add()  # invalid: the tile is never read
        with pytest.raises(ServerError):
            client.segment(request)
    test_a_stream_that_its_client_has_ended_says_which_pixels_are_missing(client, hidden)


def test_an_error_of_a_tile_says_which(client, hidden):
    request = pb.SegmentRequest(slide_id=hidden.slide_id, prompt=around("a"))
    (window,) = asked_by(client, request)
    request.tiles.append(pb.PixelTile(window=window, encoding=pb.TILE_ENCODING_PNG, data=b"no"))
    with pytest.raises(ServerError) as caught:
        client.segment(request)
    details = caught.value.details
    assert (details["tile"], details["x"], details["width"]) == ("0", str(window.x), str(window.width))


def test_an_implausible_pixel_size_counts_as_unknown(client):
    source = pb.PixelSource(width=WIDTH, height=HEIGHT, mpp=1e-200)
    assert client.open_slide("/elsewhere/hidden.svs", source).mpp is None


def test_pixels_of_one_client_are_never_served_to_another(client, hidden):
    request = pb.SegmentRequest(slide_id=hidden.slide_id, prompt=around("a"))
    request.tiles.extend(tile_of(window) for window in asked_by(client, request))
    client.segment(request)
    again = client.open_slide("/elsewhere/hidden.svs", PIXELS)
    assert again.slide_id != hidden.slide_id
    assert asked_by(client, pb.SegmentRequest(slide_id=again.slide_id, prompt=around("a")))


@pytest.mark.parametrize(
    "source",
    [
        pb.PixelSource(width=0, height=5),
        pb.PixelSource(width=2**32 - 1, height=5),
        pb.PixelSource(width=5, height=5, mpp=0),
        pb.PixelSource(width=5, height=5, mpp=float("nan")),
    ],
)
def test_an_impossible_image_is_refused(client, source):
    with pytest.raises(ServerError) as caught:
        client.open_slide("/elsewhere/hidden.svs", source)
    assert caught.value.reason == "INVALID_FIELD"
