"""Bad input: the right status, a text that says what to do, details for programs; and the server goes on."""

import math
import re

import grpc
import pytest

from support.server import around, box, clicks, iou
from wsisam.v1 import geometry_pb2 as geo
from wsisam.v1 import segmentation_pb2 as pb
from wsisam_server.client import Client, ServerError, geometry, server_error
from wsisam_server.core.settings import MIB

NAN, INF = math.nan, math.inf


def window(x, y, downsample, size=256):
    return pb.FieldChoice(high=geo.Window(x=x, y=y, downsample=downsample, size=size))


def view(x0, y0, x1, y1, downsample=1.0):
    return geo.Viewport(region=geo.Box(x0=x0, y0=y0, x1=x1, y1=y1), downsample=downsample)


@pytest.fixture(scope="module", autouse=True)
def _goes_on(server):
    """After all of them. A test that ends the server fails those that follow."""
    yield
    with Client(server.target, timeout=120) as client:
        slide = client.open_slide(str(server.root / "discs.png"))
        answer = client.segment(pb.SegmentRequest(slide_id=slide.slide_id, prompt=around("a")))
    assert iou(geometry(answer.geometry), "a") > 0.9


@pytest.mark.parametrize(
    ("fields", "status", "reason", "details"),
    [
        ({}, "INVALID_ARGUMENT", "EMPTY_PROMPT", {}),
        ({"prompt": pb.Prompt()}, "INVALID_ARGUMENT", "EMPTY_PROMPT", {}),
        ({"prompt": clicks((9, 9, False), (8, 8, False))}, "INVALID_ARGUMENT", "ONLY_NEGATIVE_POINTS", {}),
        (
            {"prompt": clicks(*[(9, 9, True)] * 17)},
            "INVALID_ARGUMENT",
            "TOO_MANY_POINTS",
            {"count": "17", "limit": "16"},
        ),
        ({"prompt": clicks((-1, 5, True))}, "OUT_OF_RANGE", "PROMPT_OUTSIDE_SLIDE", {"width": "900", "height": "700"}),
        ({"prompt": clicks((901, 5, True))}, "OUT_OF_RANGE", "PROMPT_OUTSIDE_SLIDE", {}),
        ({"prompt": clicks((5, 5, True), (5, 701, False))}, "OUT_OF_RANGE", "PROMPT_OUTSIDE_SLIDE", {}),
        ({"prompt": box(900, 0, 950, 50)}, "OUT_OF_RANGE", "PROMPT_OUTSIDE_SLIDE", {}),
        ({"prompt": box(1e300, 0, 1.1e300, 50)}, "OUT_OF_RANGE", "PROMPT_OUTSIDE_SLIDE", {}),
        (
            {"prompt": clicks((NAN, 5, True))},
            "INVALID_ARGUMENT",
            "INVALID_FIELD",
            {"field": "prompt.points[0].position"},
        ),
        ({"prompt": clicks((5, INF, True))}, "INVALID_ARGUMENT", "INVALID_FIELD", {}),
        ({"prompt": box(NAN, 0, 5, 5)}, "INVALID_ARGUMENT", "INVALID_FIELD", {"field": "prompt.box"}),
        ({"prompt": box(-INF, 0, INF, 5)}, "INVALID_ARGUMENT", "INVALID_FIELD", {"field": "prompt.box"}),
        ({"prompt": box(9, 0, 5, 5)}, "INVALID_ARGUMENT", "INVALID_FIELD", {"field": "prompt.box"}),
        ({"prompt": box(5, 5, 5, 9)}, "INVALID_ARGUMENT", "INVALID_FIELD", {"field": "prompt.box"}),
        (
            {"prompt": pb.Prompt(points=[pb.PromptPoint(position=geo.Point(x=1, y=1))])},
            "INVALID_ARGUMENT",
            "INVALID_FIELD",
            {"field": "prompt.points[0].label"},
        ),
        (
            {"prompt": pb.Prompt(points=[pb.PromptPoint(label=1)])},
            "INVALID_ARGUMENT",
            "INVALID_FIELD",
            {"field": "prompt.points[0].position"},
        ),
        ({"viewport": view(5, 5, 1, 1)}, "INVALID_ARGUMENT", "INVALID_FIELD", {"field": "viewport.region"}),
        ({"viewport": view(0, 0, 9, 9, 0)}, "INVALID_ARGUMENT", "INVALID_FIELD", {"field": "viewport.downsample"}),
        ({"viewport": geo.Viewport()}, "INVALID_ARGUMENT", "INVALID_FIELD", {}),
        (
            {"options": pb.OutlineOptions(tolerance=NAN)},
            "INVALID_ARGUMENT",
            "INVALID_FIELD",
            {"field": "options.tolerance"},
        ),
        ({"options": pb.OutlineOptions(tolerance=1e9)}, "INVALID_ARGUMENT", "INVALID_FIELD", {}),
        (
            {"options": pb.OutlineOptions(min_area=-1)},
            "INVALID_ARGUMENT",
            "INVALID_FIELD",
            {"field": "options.min_area"},
        ),
        ({"options": pb.OutlineOptions(min_area=INF)}, "INVALID_ARGUMENT", "INVALID_FIELD", {}),
        ({"field": pb.FieldChoice(downsample=0)}, "INVALID_ARGUMENT", "INVALID_FIELD", {"field": "field.downsample"}),
        ({"field": pb.FieldChoice(downsample=NAN)}, "INVALID_ARGUMENT", "INVALID_FIELD", {}),
        ({"field": pb.FieldChoice(downsample=1e9)}, "INVALID_ARGUMENT", "INVALID_FIELD", {}),
        ({"field": pb.FieldChoice(downsample=0.1)}, "INVALID_ARGUMENT", "PROMPT_OUTSIDE_FIELD", {}),
        ({"field": window(0, 0, 0)}, "INVALID_ARGUMENT", "INVALID_FIELD", {"field": "field.high"}),
        ({"field": window(NAN, 0, 1)}, "INVALID_ARGUMENT", "INVALID_FIELD", {}),
        ({"field": window(0, 0, 2, 1024)}, "INVALID_ARGUMENT", "INVALID_FIELD", {"field": "field.high.size"}),
        ({"field": window(-9000, -9000, 400)}, "INVALID_ARGUMENT", "INVALID_FIELD", {"field": "field.high"}),
        ({"field": window(700, 500, 1)}, "INVALID_ARGUMENT", "PROMPT_OUTSIDE_FIELD", {}),
        ({"slide_id": ""}, "NOT_FOUND", "UNKNOWN_SLIDE_ID", {}),
        ({"slide_id": "x" * 5000}, "NOT_FOUND", "UNKNOWN_SLIDE_ID", {}),
        ({"model": "sam-9000"}, "NOT_FOUND", "UNKNOWN_MODEL", {"model": "sam-9000"}),
        ({"model": "x" * 20_000}, "NOT_FOUND", "UNKNOWN_MODEL", {"model": "x" * 197 + "..."}),
        ({"model": "a\nforged: line\x1b[31m"}, "NOT_FOUND", "UNKNOWN_MODEL", {"model": "a?forged: line?[31m"}),
        ({"model": "wsisam-tiny"}, "FAILED_PRECONDITION", "MODEL_UNAVAILABLE", {}),
        ({"options": pb.OutlineOptions(min_area=1e308)}, "INVALID_ARGUMENT", "INVALID_FIELD", {}),
        ({"field": window(1e300, 0, 1)}, "INVALID_ARGUMENT", "PROMPT_OUTSIDE_FIELD", {}),
        ({"field": window(1e18, 1e18, 1)}, "INVALID_ARGUMENT", "PROMPT_OUTSIDE_FIELD", {}),
        (
            {"tiles": [pb.PixelTile(encoding=pb.TILE_ENCODING_RAW)]},
            "FAILED_PRECONDITION",
            "TILE_NOT_REQUESTED",
            {},
        ),
    ],
)
def test_segment_refuses(client, slide, fields, status, reason, details):
    wanted = {"slide_id": slide.slide_id, "prompt": around("a"), **fields}
    if not fields:
        del wanted["prompt"]
    with pytest.raises(ServerError) as caught:
        client.segment(pb.SegmentRequest(**wanted))
    error = caught.value
    assert (error.status, error.reason) == (status, reason)
    assert details.items() <= error.details.items()
    assert len(error.text) > 30
    assert not re.search(r"<\w+>", error.text)  # every detail that the text wants was given


@pytest.mark.parametrize(
    ("uri", "status", "reason"),
    [
        ("nothing.svs", "NOT_FOUND", "SLIDE_NOT_FOUND"),
        ("", "NOT_FOUND", "SLIDE_NOT_FOUND"),
        ("{root}/nothing.svs", "NOT_FOUND", "SLIDE_NOT_FOUND"),
        ("{root}/../outside0/secret.png", "NOT_FOUND", "SLIDE_NOT_FOUND"),
        ("case 7/../discs.png", "NOT_FOUND", "SLIDE_NOT_FOUND"),
        ("{root}/link.png", "NOT_FOUND", "SLIDE_NOT_FOUND"),
        ("{root}", "NOT_FOUND", "SLIDE_NOT_FOUND"),
        ("/etc/passwd", "NOT_FOUND", "SLIDE_NOT_FOUND"),
        ("file:///etc/passwd", "NOT_FOUND", "SLIDE_NOT_FOUND"),
        ("/dev/zero", "NOT_FOUND", "SLIDE_NOT_FOUND"),
        ("http://example.org/slide.svs", "NOT_FOUND", "SLIDE_NOT_FOUND"),
        ("\\\\server\\share\\slide.svs", "NOT_FOUND", "SLIDE_NOT_FOUND"),
        ("Y:\\slides\\discs.png", "NOT_FOUND", "SLIDE_NOT_FOUND"),
        ("a\0b", "NOT_FOUND", "SLIDE_NOT_FOUND"),
        ("x" * 100_000, "NOT_FOUND", "SLIDE_NOT_FOUND"),
        ("notes.txt", "FAILED_PRECONDITION", "SLIDE_UNREADABLE"),
        ("broken.svs", "FAILED_PRECONDITION", "SLIDE_UNREADABLE"),
        ("truncated.png", "FAILED_PRECONDITION", "SLIDE_UNREADABLE"),
    ],
)
def test_open_slide_refuses(client, server, uri, status, reason):
    with pytest.raises(ServerError) as caught:
        client.open_slide(uri.format(root=server.root))
    assert (caught.value.status, caught.value.reason) == (status, reason)
    assert caught.value.details == {}
    assert str(server.root) not in caught.value.text


def test_a_message_over_the_limit(server, slide):
    with Client(server.target) as client, pytest.raises(ServerError) as caught:
        tile = pb.PixelTile(encoding=pb.TILE_ENCODING_RAW, data=bytes(5 * MIB))
        client.segment(pb.SegmentRequest(slide_id=slide.slide_id, prompt=around("a"), tiles=[tile]))
    assert caught.value.status == "RESOURCE_EXHAUSTED"


def test_a_deadline_that_passes(client, server, slide):
    request = pb.SegmentRequest(slide_id=slide.slide_id, prompt=around("c"), field=pb.FieldChoice(downsample=1.91))
    with pytest.raises(grpc.RpcError) as caught:
        client.stub.Segment(request, timeout=0.01)
    assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED


@pytest.mark.parametrize("method", ["OpenSlide", "CloseSlide", "Segment", "SegmentBatch", "Interact"])
@pytest.mark.parametrize("data", [b"\xff" * 40, b"\x0a\xff\xff\xff\xff\x0f", b"\x0a\x02\xff\xfe"])
def test_bytes_that_are_no_message(server, method, data):
    with grpc.insecure_channel(server.target) as channel, pytest.raises(grpc.RpcError) as caught:
        path = f"/wsisam.v1.Segmentation/{method}"
        if method == "Interact":
            list(channel.stream_stream(path)(iter([data]), timeout=20))
        elif method == "SegmentBatch":
            list(channel.unary_stream(path)(data, timeout=20))
        else:
            channel.unary_unary(path)(data, timeout=20)
    error = server_error(caught.value)
    assert (error.status, error.reason) == ("INVALID_ARGUMENT", "INVALID_FIELD")
