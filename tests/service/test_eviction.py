"""Who makes room for whom in the embedding cache, and that nobody notices but by the time."""

import contextlib
import queue

import pytest

from support.dark_parts import DarkParts
from support.server import DISCS, around, box, iou, point, start, write_picture
from wsisam.v1 import geometry_pb2 as geo
from wsisam.v1 import segmentation_pb2 as pb
from wsisam_server.client import Client, geometry
from wsisam_server.core.settings import Limits

ONE_EMBEDDING = 256 * 256 * 4
NAMES = ("first", "second")


@pytest.fixture(scope="module")
def narrow(tmp_path_factory):
    root = tmp_path_factory.mktemp("narrow")
    for seed, name in enumerate(NAMES):
        write_picture(root / f"{name}.png", seed)
    limits = Limits(open_slides=1, embedding_cache_bytes=ONE_EMBEDDING + 1)
    running, stop = start(DarkParts(), root, limits=limits)
    yield running
    stop()


class Annotator:
    """An open stream on one slide, and the outline of each prompt that is sent on it."""

    def __init__(self, client, name):
        self._sent = queue.Queue()
        slide = client.open_slide(f"{name}.png")
        self._replies = client.interact(pb.Start(slide_id=slide.slide_id), iter(self._sent.get, None))
        assert next(self._replies).WhichOneof("message") == "started"

    def ask(self, object_id, revision, prompt):
        self._sent.put(
            pb.InteractRequest(prompt=pb.PromptRevision(object_id=object_id, revision=revision, prompt=prompt))
        )
        for reply in self._replies:
            kind = reply.WhichOneof("message")
            assert kind != "error", reply.error
            if kind == "outline":
                assert (reply.outline.object_id, reply.outline.revision) == (object_id, revision)
                return reply.outline.outline
        raise AssertionError("the stream ended")

    def leave(self):
        self._sent.put(None)
        assert list(self._replies) == []


def test_streams_go_on_when_their_slides_and_embeddings_had_to_make_room(narrow):
    slides, cache = narrow.app.slides, narrow.app.models.device.cache
    with contextlib.ExitStack() as stack:
        annotators = [Annotator(stack.enter_context(Client(narrow.target, timeout=60)), name) for name in NAMES]
        for disc in DISCS:
            x, y, _ = DISCS[disc]
            prompt = around(disc)
            asked = {}
            # A box, then a click that corrects it: each time what the other one needed has taken the place of it all.
            for revision in (1, 2):
                for number, annotator in enumerate(annotators):
                    outline = annotator.ask(disc, revision, prompt)
                    assert iou(geometry(outline.geometry), disc) > 0.9
                    assert asked.setdefault(number, outline.field) == outline.field
                    assert outline.timings.encoder_runs == 1
                    assert slides.held()["file"].slides == 1
                prompt.points.append(point(x, y))
        assert cache.counters.evicted >= 2 * 2 * len(DISCS) - 1
        for annotator in annotators:
            annotator.leave()


def test_a_batch_does_not_push_out_the_fields_that_somebody_works_in(tmp_path):
    write_picture(tmp_path / "slide.png")
    # Half of it holds what the annotator works in: one field for each disc.
    limits = Limits(embedding_cache_bytes=2 * len(DISCS) * ONE_EMBEDDING, prefetched_fields=0)
    running, stop = start(DarkParts(), tmp_path, limits=limits)
    try:
        with Client(running.target, timeout=60) as client:
            slide_id = client.open_slide("slide.png").slide_id

            def worked():
                requests = [pb.SegmentRequest(slide_id=slide_id, prompt=around(disc)) for disc in DISCS]
                return [client.stub.Segment(one).outline.timings.encoder_runs for one in requests]

            assert worked() == [1] * len(DISCS)
            items = [
                pb.BatchItem(
                    id=str(number),
                    prompt=box(20 + number, 20, 60 + number, 60),
                    field=pb.FieldChoice(high=geo.Window(x=number, y=0, downsample=1, size=256)),
                )
                for number in range(30)
            ]
            answers = list(client.segment_batch(pb.SegmentBatchRequest(slide_id=slide_id, items=items)))
            assert sum(answer.outline.timings.encoder_runs for answer in answers) == len(items)
            assert worked() == [0] * len(DISCS)
    finally:
        stop()
