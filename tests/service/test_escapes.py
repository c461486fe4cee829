"""The table of path tricks against a whole server: one answer for what is missing and for what is forbidden."""

import grpc
import pytest
from PIL import Image

from support.escapes import ESCAPES, lay
from support.server import picture, start
from wsisam.v1 import segmentation_pb2 as pb
from wsisam.v1 import segmentation_pb2_grpc
from wsisam_server.client import Client
from wsisam_server.config import PathMapping


@pytest.fixture(scope="module")
def lab(model, tmp_path_factory):
    folder = lay(tmp_path_factory.mktemp("lab"))
    for name in ("slides/a.svs", "secret.svs", "slides-secret/s.svs"):
        Image.fromarray(picture()).save(folder / name, format="PNG")
    mappings = (PathMapping("Z:\\Slides", folder / "slides"), PathMapping("\\\\NAS\\share", folder / "slides"))
    running, stop = start(model, folder, slide_roots=(folder / "slides",), path_mappings=mappings)
    yield running
    stop()


def answer(stub, uri):
    """All that a client learns: code, text and details, as bytes."""
    with pytest.raises(grpc.RpcError) as caught:
        stub.OpenSlide(pb.OpenSlideRequest(uri=uri), timeout=60)
    trailing = {key: value for key, value in caught.value.trailing_metadata() if key == "grpc-status-details-bin"}
    return caught.value.code(), caught.value.details(), trailing["grpc-status-details-bin"]


def test_no_trick_learns_more_than_that_there_is_nothing(lab):
    with Client(lab.target) as client:
        assert client.open_slide("a.svs").width == 900
        assert client.open_slide(f"{lab.root}/slides/a.svs").width == 900
    with grpc.insecure_channel(lab.target) as channel:
        stub = segmentation_pb2_grpc.SegmentationStub(channel)
        missing = answer(stub, "never/there.svs")
        assert missing[0] is grpc.StatusCode.NOT_FOUND
        told = {}
        for trick in ESCAPES:
            uri = trick.format(d=lab.root)
            if uri.isprintable() or "\ud800" not in uri:  # protobuf itself has no half characters
                told[trick] = answer(stub, uri)
    assert [trick for trick, said in told.items() if said != missing] == []
    assert str(lab.root) not in str(missing)
