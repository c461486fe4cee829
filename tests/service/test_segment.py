import grpc
import pytest

from support.served_folder import serving
from support.server import around, box, clicks, iou, picture
from wsisam.v1 import geometry_pb2 as geo
from wsisam.v1 import segmentation_pb2 as pb
from wsisam_server import __version__
from wsisam_server.client import geometry, is_installed, server_error


@pytest.fixture(scope="module")
def server(real_model, tmp_path_factory):
    """The default model: what a prompt finds is asked here."""
    yield from serving(real_model, tmp_path_factory)


def ask(slide, prompt, **more):
    return pb.SegmentRequest(slide_id=slide.slide_id, prompt=prompt, **more)


def test_the_slide_is_described(slide):
    assert (slide.width, slide.height) == (picture().shape[1], picture().shape[0])
    assert slide.source == pb.SLIDE_SOURCE_REFERENCE
    assert slide.mpp is None
    assert list(slide.downsamples) == [1.0]


def test_opening_the_same_content_again_gives_the_same_id(client, server, slide):
    assert client.open_slide((server.root / "discs.png").as_uri()).slide_id == slide.slide_id
    assert client.open_slide("discs.png").slide_id == slide.slide_id
    assert client.open_slide("Z:\\slides\\discs.png").slide_id == slide.slide_id
    assert client.open_slide("Z:\\slides\\case 7\\discs.png").slide_id != slide.slide_id


@pytest.mark.parametrize("name", ["a", "b", "c"])
def test_a_box_about_a_disc_finds_the_disc(client, slide, name):
    outline = client.segment(ask(slide, around(name)))
    shape = geometry(outline.geometry)
    assert shape.is_valid
    assert iou(shape, name) > 0.9
    assert outline.model == "wsisam-lite"
    assert len(outline.weights_hash) == 64
    assert outline.unit == geo.LENGTH_UNIT_PIXEL
    assert not outline.cut_by_field


def test_a_second_prompt_in_the_field_runs_no_encoder(client, server, slide):
    first = client.segment(ask(slide, around("a")))
    before = server.encoder_runs
    again = client.segment(ask(slide, around("a")))
    x, y = 205, 195
    inside = client.segment(ask(slide, clicks((x, y, True)), field=pb.FieldChoice(high=first.field.high)))
    assert server.encoder_runs == before
    assert again.timings.encoder_runs == inside.timings.encoder_runs == 0
    assert again.geometry == first.geometry
    assert inside.field == first.field


def test_the_callers_scale_is_used_and_named(client, slide):
    outline = client.segment(ask(slide, around("a"), field=pb.FieldChoice(downsample=1.25)))
    assert outline.field.high.downsample == 1.25
    assert outline.field.low.downsample == 2.5
    assert iou(geometry(outline.geometry), "a") > 0.85


def test_the_viewport_sets_the_scale_of_a_click(client, slide):
    def scale(side):
        region = geo.Box(x0=200 - side / 2, y0=200 - side / 2, x1=200 + side / 2, y1=200 + side / 2)
        request = ask(slide, clicks((200, 200, True)), viewport=geo.Viewport(region=region, downsample=1))
        return client.segment(request).field.high.downsample

    assert scale(128) < scale(512)


def test_tolerance_simplifies(client, slide):
    fine = client.segment(ask(slide, around("b"), options=pb.OutlineOptions(tolerance=0)))
    coarse = client.segment(ask(slide, around("b"), options=pb.OutlineOptions(tolerance=4)))
    vertices = [len(outline.geometry.polygons[0].rings[0].deltas) // 2 for outline in (fine, coarse)]
    assert vertices[1] < vertices[0] / 3
    assert (fine.tolerance, coarse.tolerance) == (0, 4)
    assert geometry(coarse.geometry).hausdorff_distance(geometry(fine.geometry)) < 6


def test_a_box_partly_beyond_the_slide_is_clipped(client, slide):
    outline = client.segment(ask(slide, box(-50, -50, 300, 300)))
    minx, miny, maxx, maxy = geometry(outline.geometry).bounds
    assert minx >= 0
    assert miny >= 0
    assert maxx <= slide.width
    assert maxy <= slide.height


def test_models_are_listed_with_what_they_cannot_do(client):
    models = client.models()
    assert models[0].name == "wsisam-lite"
    assert is_installed(models[0])
    assert models[0].is_default
    assert [model.name for model in models if is_installed(model)] == ["wsisam-lite"]
    assert all(model.install_hint for model in models if not is_installed(model))


def test_a_request_id_comes_back(client):
    _, call = client.stub.ListModels.with_call(pb.ListModelsRequest(), metadata=(("x-request-id", "abc-1"),))
    assert ("x-request-id", "abc-1") in call.initial_metadata()
    _, call = client.stub.ListModels.with_call(pb.ListModelsRequest(), metadata=(("x-request-id", "a b;c"),))
    (made,) = (value for key, value in call.initial_metadata() if key == "x-request-id")
    assert made != "a b;c"
    assert len(made) == 32


@pytest.mark.parametrize("kind", ["unary_unary", "unary_stream", "stream_unary", "stream_stream"])
def test_an_unknown_method_names_the_servers_release(server, kind):
    """As a client of another release finds it: of a call that went, or that is still to come."""
    with grpc.insecure_channel(server.target) as channel, pytest.raises(grpc.RpcError) as caught:
        call = getattr(channel, kind)("/wsisam.v1.Annotations/History")
        answer = call(iter([b"x"]) if kind.startswith("stream") else b"x")
        list(answer)
    assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED
    assert f"of release {__version__}, does not know the call /wsisam.v1.Annotations/History" in caught.value.details()
    assert server_error(caught.value).reason == "METHOD_UNKNOWN"


def test_methods_of_others_are_grpcs_business(server):
    with grpc.insecure_channel(server.target) as channel, pytest.raises(grpc.RpcError) as caught:
        channel.unary_unary("/other.v1.Service/Method")(b"")
    assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED
    assert caught.value.details() == "Method not found!"


def test_bytes_of_another_release_are_told_so(server):
    with grpc.insecure_channel(server.target) as channel, pytest.raises(grpc.RpcError) as caught:
        channel.unary_unary("/wsisam.v1.Segmentation/Segment")(b"\xff\xff")
    assert f"another release than this server's, {__version__}" in caught.value.details()
