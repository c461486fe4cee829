"""Random requests at a running server: whatever comes, it answers with an outline or a status that is not INTERNAL."""

import uuid

import grpc
import pytest
import shapely
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from support.dark_parts import DarkParts
from support.server import HEIGHT, WIDTH, around, iou
from wsisam.v1 import geometry_pb2 as geo
from wsisam.v1 import segmentation_pb2 as pb
from wsisam_server.client import ServerError, geometry, server_error, status_error

numbers = st.one_of(
    st.floats(0, WIDTH),
    st.integers(-5, 1000).map(float),
    st.floats(allow_nan=True, allow_infinity=True),
    st.sampled_from([0.0, -0.0, float(WIDTH), float(HEIGHT), 5e-324, 1e-310, 1e-300, 1e18, 1e300, 1.7e308]),
)
wild_points = st.builds(geo.Point, x=numbers, y=numbers)
wild_boxes = st.builds(geo.Box, x0=numbers, y0=numbers, x1=numbers, y1=numbers)
wild_prompts = st.builds(
    pb.Prompt,
    points=st.lists(st.builds(pb.PromptPoint, position=wild_points, label=st.integers(0, 3)), max_size=20),
    box=st.none() | wild_boxes,
)
# Mostly right: so that requests also get as far as the model and the outline.
along_x, along_y = st.floats(0, WIDTH), st.floats(0, HEIGHT)
tame_boxes = st.tuples(along_x, along_y, st.floats(0.1, 500), st.floats(0.1, 500)).map(
    lambda b: geo.Box(x0=b[0], y0=b[1], x1=b[0] + b[2], y1=b[1] + b[3])
)
tame_points = st.builds(geo.Point, x=along_x, y=along_y)
tame_prompts = st.builds(
    pb.Prompt,
    points=st.lists(st.builds(pb.PromptPoint, position=tame_points, label=st.integers(1, 2)), max_size=4),
    box=tame_boxes,
)
boxes = tame_boxes | wild_boxes
prompts = tame_prompts | wild_prompts
viewports = st.none() | st.builds(geo.Viewport, region=boxes, downsample=numbers)
windows = st.builds(geo.Window, x=numbers, y=numbers, downsample=numbers, size=st.sampled_from([0, 1, 256, 2**32 - 1]))
fields = st.none() | st.builds(pb.FieldChoice, downsample=numbers) | st.builds(pb.FieldChoice, high=windows)
options = st.none() | st.builds(pb.OutlineOptions, tolerance=st.none() | numbers, min_area=st.none() | numbers)
unsigned = st.integers(0, 2**32 - 1) | st.integers(0, 300)
tile = st.builds(
    pb.PixelTile,
    window=st.builds(
        pb.PixelWindow,
        x=unsigned,
        y=unsigned,
        width=unsigned,
        height=unsigned,
        tile_width=unsigned,
        tile_height=unsigned,
        downsample=numbers,
    ),
    encoding=st.integers(0, 4),
    data=st.binary(max_size=64),
)
text = st.text(max_size=20) | st.sampled_from(["discs.png", "../discs.png", "notes.txt", "%2e%2e/x", "file:///"])
names = st.sampled_from(["", "", "", DarkParts.name, "wsisam-tiny", "x" * 20_000, "a\nb\x00\u202e"])
object_ids = st.sampled_from(["a", "b", ""]) | st.text(max_size=5)
interact = st.one_of(
    st.builds(pb.InteractRequest, viewport=viewports),
    st.builds(
        pb.InteractRequest,
        prompt=st.builds(
            pb.PromptRevision,
            object_id=object_ids,
            revision=unsigned,
            prompt=prompts,
            viewport=viewports,
            field=fields,
        ),
    ),
    st.builds(pb.InteractRequest, tile=tile),
    st.builds(pb.InteractRequest, cancel=st.builds(pb.Cancel, object_id=object_ids)),
    st.builds(pb.InteractRequest, start=st.builds(pb.Start, session_id=text)),
)

hostile = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])


def sound(outline):
    shape = geometry(outline.geometry)
    assert shape.is_valid
    assert shape.is_empty or shapely.box(0, 0, WIDTH, HEIGHT).covers(shape)


def known(error):
    assert error.status not in ("INTERNAL", "UNKNOWN"), error.text
    assert error.reason


@settings(hostile, max_examples=100)
@given(prompts, viewports, fields, options, st.lists(tile, max_size=1), names)
def test_segment(client, slide, prompt, viewport, field, wanted, pixels, model):
    request = pb.SegmentRequest(
        slide_id=slide.slide_id,
        prompt=prompt,
        viewport=viewport,
        field=field,
        options=wanted,
        tiles=pixels,
        model=model,
    )
    try:
        sound(client.segment(request))
    except ServerError as error:
        known(error)


@settings(hostile, max_examples=40)
@given(prompts, viewports, fields, options, st.floats(0.05, 20), st.sampled_from([(WIDTH, HEIGHT), (2**26 - 1, 900)]))
def test_pixel_mode(client, prompt, viewport, field, wanted, mpp, size):
    source = pb.PixelSource(width=size[0], height=size[1], mpp=mpp)
    opened = client.open_slide("/elsewhere/hidden.svs", source)
    if size[0] > WIDTH:
        prompt.box.x0 += size[0] - WIDTH
        prompt.box.x1 += size[0] - WIDTH
    request = pb.SegmentRequest(slide_id=opened.slide_id, prompt=prompt, viewport=viewport, field=field, options=wanted)
    for _ in range(2):
        try:
            shape = geometry(client.segment(request).geometry)
            assert shape.is_valid
            assert shape.is_empty or shapely.box(0, 0, *size).covers(shape)
        except ServerError as error:
            known(error)
            for window in error.pixels_needed.windows if error.pixels_needed else ():
                data = bytes(range(256)) * (window.tile_width * window.tile_height * 3 // 256 + 1)
                data = data[: window.tile_width * window.tile_height * 3]
                request.tiles.add(window=window, encoding=pb.TILE_ENCODING_RAW, data=data)


@settings(hostile, max_examples=15)
@given(st.lists(st.builds(pb.BatchItem, id=text, prompt=wild_prompts, viewport=viewports, field=fields), max_size=8))
def test_segment_batch(client, slide, items):
    answered = []
    try:
        for answer in client.segment_batch(pb.SegmentBatchRequest(slide_id=slide.slide_id, items=items)):
            answered.append(answer.id)
            if answer.error is None:
                sound(answer.outline)
            else:
                known(answer.error)
    except ServerError as error:
        known(error)
    else:
        assert sorted(answered) == sorted(item.id for item in items)


@settings(hostile, max_examples=60)
@given(text, st.none() | st.builds(pb.PixelSource, width=unsigned, height=unsigned, mpp=st.none() | numbers))
def test_open_slide(client, uri, pixels):
    try:
        client.open_slide(uri, pixels)
    except ServerError as error:
        known(error)


@settings(hostile, max_examples=25)
@given(st.lists(interact, max_size=6))
def test_interact(client, slide, messages):
    start = pb.InteractRequest(start=pb.Start(session_id=uuid.uuid4().hex, slide_id=slide.slide_id))
    asked = [(m.prompt.object_id, m.prompt.revision) for m in messages if m.WhichOneof("message") == "prompt"]
    answered = []
    try:
        for reply in client.stub.Interact(iter([start, *messages]), timeout=120):
            kind = reply.WhichOneof("message")
            if kind == "outline":
                answered.append((reply.outline.object_id, reply.outline.revision))
                sound(reply.outline.outline)
            elif kind == "error":
                assert status_error(reply.error.error).reason not in ("", "INTERNAL"), reply
                if (reply.error.object_id, reply.error.revision) in asked:
                    answered.append((reply.error.object_id, reply.error.revision))
    except grpc.RpcError as error:
        known(server_error(error))
    else:
        # Errors of other messages are addressed to ("", 0), which a prompt may be too.
        assert sorted(key for key in answered if key != ("", 0)) == sorted(key for key in asked if key != ("", 0))


@settings(hostile, max_examples=60)
@given(st.data())
def test_mutated_bytes(server, slide, data):
    request = pb.SegmentRequest(slide_id=slide.slide_id, prompt=around("a")).SerializeToString()
    spoiled = bytearray(request)
    for _ in range(data.draw(st.integers(1, 5))):
        spoiled[data.draw(st.integers(0, len(spoiled) - 1))] = data.draw(st.integers(0, 255))
    with grpc.insecure_channel(server.target) as channel:
        try:
            channel.unary_unary("/wsisam.v1.Segmentation/Segment")(bytes(spoiled), timeout=60)
        except grpc.RpcError as error:
            known(server_error(error))


@pytest.fixture(autouse=True)
def _still_well(client, slide):
    yield
    answer = client.segment(pb.SegmentRequest(slide_id=slide.slide_id, prompt=around("b")))
    assert iou(geometry(answer.geometry), "b") > 0.9
