"""The table of path tricks against a whole server: one answer for what is missing and for what is forbidden."""

import grpc
import pytest
import tifffile

from support.escapes import ESCAPES, lay
from support.server import picture, start
from wsisam.v1 import segmentation_pb2 as pb
from wsisam.v1 import segmentation_pb2_grpc
from wsisam_server.client import Client
from wsisam_server.core.settings import PathMapping


@pytest.fixture(scope="module")
def lab(model, tmp_path_factory):
    folder = lay(tmp_path_factory.mktemp("lab"))
    for name in ("slides/a.svs", "secret.svs", "slides-secret/s.svs"):
        tifffile.imwrite(folder / name, picture(), tile=(256, 256), photometric="rgb", metadata=None)
    mappings = (PathMapping("Z:\\Slides", folder / "slides"), PathMapping("\\\\NAS\\share", folder / "slides"))
    running, stop = start(model, folder, slides=(folder / "slides",), map=mappings)
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
        told = {trick: answer(stub, uri) for trick, uri in tricks(lab)}
    assert [trick for trick, said in told.items() if said != missing] == []
    assert str(lab.root) not in str(missing)


def test_nor_does_whoever_offers_pixels(lab):
    """Then the slide is theirs, whatever there may be at its place."""
    source = pb.PixelSource(width=900, height=700, mpp=0.5)
    with Client(lab.target) as client:
        assert client.open_slide("a.svs", source).source == pb.SLIDE_SOURCE_REFERENCE
        told = {}
        for trick, uri in tricks(lab):
            said = client.open_slide(uri, source)
            # all but its id, which is random
            told[trick] = (said.source, said.width, said.height, said.downsamples, said.mpp, said.mpp_x, said.mpp_y)
    assert told["missing.svs"][0] == pb.SLIDE_SOURCE_PIXELS
    assert [trick for trick, said in told.items() if said != told["missing.svs"]] == []


def tricks(lab):
    """Each of the table, and the URI that it makes; but none with half a character, which no message can hold."""
    return [(trick, trick.format(d=lab.root)) for trick in ESCAPES if "\ud800" not in trick]
