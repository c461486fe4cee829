"""What a caller's own code raises while it gives the next request reaches the caller, and is not a server's error."""

from concurrent import futures

import grpc
import pytest

from wsisam.v1 import geometry_pb2 as geo
from wsisam.v1 import segmentation_pb2 as pb
from wsisam.v1 import segmentation_pb2_grpc
from wsisam_server.client import Client

BOX = pb.Prompt(box=geo.Box(x0=80, y0=80, x1=220, y1=220))


class Answering(segmentation_pb2_grpc.SegmentationServicer):
    """Answers every prompt at once."""

    def Interact(self, requests, context):  # noqa: N802 - as generated
        for request in requests:
            if request.HasField("prompt"):
                outline = pb.ObjectOutline(object_id=request.prompt.object_id, revision=request.prompt.revision)
                yield pb.InteractResponse(outline=outline)


@pytest.fixture(scope="module")
def client():
    server = grpc.server(futures.ThreadPoolExecutor(2))
    segmentation_pb2_grpc.add_SegmentationServicer_to_server(Answering(), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    with Client(f"127.0.0.1:{port}") as client:
        yield client
    server.stop(None)


def rows():
    yield BOX
    yield BOX
    raise ValueError("row 7 of my table has no box")


def test_an_error_among_the_prompts_of_one_object(client, caplog):
    answered = 0
    with pytest.raises(ValueError, match="row 7 of my table"):
        for _ in client.refine(pb.Start(slide_id="case-7"), rows()):
            answered += 1
    assert answered == 2  # what was asked before
    assert caplog.text == ""


def test_an_error_among_the_requests_of_a_stream(client):
    def requests():
        for number, prompt in enumerate(rows()):
            yield pb.InteractRequest(prompt=pb.PromptRevision(object_id=str(number), revision=1, prompt=prompt))

    seen = []
    with pytest.raises(ValueError, match="row 7"):
        seen.extend(client.interact(pb.Start(slide_id="case-7"), requests()))


def test_an_error_before_the_first_prompt(client):
    def nothing():
        raise FileNotFoundError("prompts.csv")
        yield

    with pytest.raises(FileNotFoundError, match="prompts"):
        list(client.refine(pb.Start(slide_id="case-7"), nothing()))
