from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest

from support.server import around, box, clicks, iou, start, write_picture
from support.waiting import until
from wsisam.v1 import segmentation_pb2 as pb
from wsisam_server.client import Client, ServerError, geometry
from wsisam_server.core.settings import Limits


def batch(slide, **prompts):
    items = [pb.BatchItem(id=name, prompt=prompt) for name, prompt in prompts.items()]
    return pb.SegmentBatchRequest(slide_id=slide.slide_id, items=items)


def test_every_item_is_answered_once_by_its_outline_or_its_error(client, slide):
    request = batch(
        slide, a=around("a"), outside=box(2000, 2000, 2100, 2100), b=around("b"), empty=pb.Prompt(), c=around("c")
    )
    answers = {}
    for answer in client.segment_batch(request):
        assert answer.id not in answers
        answers[answer.id] = answer
    assert {name: answer.error.reason for name, answer in answers.items() if answer.error} == {
        "outside": "PROMPT_OUTSIDE_SLIDE",
        "empty": "EMPTY_PROMPT",
    }
    for name in "abc":
        assert iou(geometry(answers[name].outline.geometry), name) > 0.9


def test_items_of_one_field_share_one_encoder_run(client, server, slide):
    field = pb.FieldChoice(downsample=2.7)
    items = [pb.BatchItem(id=str(n), prompt=clicks((200 + n, 200, True)), field=field) for n in range(12)]
    before = server.encoder_runs
    answers = list(client.segment_batch(pb.SegmentBatchRequest(slide_id=slide.slide_id, items=items)))
    assert {answer.id for answer in answers} == {str(n) for n in range(12)}
    assert server.encoder_runs == before + 1


def test_a_small_cache_reads_and_encodes_each_field_once(model, tmp_path):
    """Items of two fields in turn, where only one embedding is kept."""
    write_picture(tmp_path / "discs.png")
    running, stop = start(model, tmp_path, limits=Limits(embedding_cache_bytes=300 * 1024))
    try:
        with Client(running.target, timeout=120) as client:
            slide = client.open_slide(str(tmp_path / "discs.png"))
            items = [
                pb.BatchItem(id=str(n), prompt=clicks((200 + n, 200, True)), field=pb.FieldChoice(downsample=1 + n % 2))
                for n in range(24)
            ]
            items.append(pb.BatchItem(id="outside", prompt=box(2000, 2000, 2100, 2100)))
            before = running.encoder_runs
            answers = list(client.segment_batch(pb.SegmentBatchRequest(slide_id=slide.slide_id, items=items)))
            assert len({answer.id for answer in answers}) == 25
            assert answers[0].error.reason == "PROMPT_OUTSIDE_SLIDE"
            assert running.app.models.device.cache.counters.evicted == 1
            assert running.encoder_runs == before + 2
    finally:
        stop()


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda request: request.ClearField("items"), "INVALID_FIELD"),
        (lambda request: request.items.add(id="a", prompt=around("a")), "INVALID_FIELD"),
        (lambda request: request.items.add(id="", prompt=around("a")), "INVALID_FIELD"),
        (lambda request: request.items.add(id="x" * 129, prompt=around("a")), "INVALID_FIELD"),
        (lambda request: setattr(request, "slide_id", "nothing"), "UNKNOWN_SLIDE_ID"),
        (lambda request: setattr(request, "model", "nothing"), "UNKNOWN_MODEL"),
        (lambda request: setattr(request.options, "tolerance", -1), "INVALID_FIELD"),
    ],
)
def test_a_call_that_is_wrong_as_a_whole_fails_as_a_whole(client, slide, change, reason):
    request = batch(slide, a=around("a"))
    change(request)
    with pytest.raises(ServerError) as caught:
        list(client.segment_batch(request))
    assert caught.value.reason == reason


def test_a_client_that_leaves_stops_the_work(client, server, slide, gate):
    items = [
        pb.BatchItem(
            id=str(n), prompt=box(n * 20, 300, n * 20 + 17, 317), field=pb.FieldChoice(downsample=0.1 + n / 100)
        )
        for n in range(40)
    ]
    before = server.encoder_runs
    call = client.stub.SegmentBatch(pb.SegmentBatchRequest(slide_id=slide.slide_id, items=items), timeout=120)
    with ThreadPoolExecutor(1) as waiting:
        first = waiting.submit(next, call)
        until(lambda: gate.let(1) or first.done(), pause=0.1)  # a few may be encoded before the first is decoded
    let = gate.opened
    assert let < len(items)
    call.cancel()
    with pytest.raises(grpc.RpcError):
        list(call)
    until(lambda: not any(server.app.models.device.waiting().values()))
    gate.open()
    # Anything that still runs must be done before this: one model step is on the device, the rest was dropped.
    client.segment(pb.SegmentRequest(slide_id=slide.slide_id, prompt=around("a")))
    assert server.encoder_runs <= before + let + 2  # the one on the device, and this one
