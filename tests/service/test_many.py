"""Messages of very many parts: counted before anything is made of them, and made away from the loop that answers all."""

import threading
import uuid

import grpc
import pytest

from support.annotations import Caller, Serving
from support.server import around, point
from wsisam.v1 import annotations_pb2 as an
from wsisam.v1 import geometry_pb2 as geo
from wsisam.v1 import segmentation_pb2 as pb
from wsisam_server.client import ServerError, server_error, status_error
from wsisam_server.core.errors import WsiSamServerError
from wsisam_server.core.settings import Limits
from wsisam_server.service.interceptors.maps import MOST_ENTRIES, TooManyEntriesError, check_maps
from wsisam_server.service.servicers import segmentation
from wsisam_server.service.servicers.converting import LARGE
from wsisam_server.wire import annotation_from_proto, from_proto
from wsisam_server.wire.from_proto import count_vertices

MANY = 600_000
LIMITS = Limits()
TRIANGLE = geo.Polygon(rings=[geo.Ring(deltas=[0, 0, 320, 0, 0, 320])])


def times(message, field, part, count):
    """A message with the same part very often, without making each of them here."""
    number, data = message.DESCRIPTOR.fields_by_name[field].number, part.SerializeToString()
    once = type(message)(**{field: [part]}).SerializeToString()
    assert once.endswith(data)
    assert once[0] >> 3 == number
    return type(message).FromString(message.SerializeToString() + once * count)


@pytest.fixture
def made(monkeypatch):
    """Counts the values that are made of messages, by the thread that makes them."""
    counts = {}

    def counted(module, name):
        make = getattr(module, name)

        def counting(*args, **named):
            key = (name, threading.current_thread().name.rpartition("_")[0])
            counts[key] = counts.get(key, 0) + 1
            return make(*args, **named)

        monkeypatch.setattr(module, name, counting)

    for module, name in (
        (from_proto, "PromptPoint"),
        (from_proto, "decode_many"),
        (from_proto, "identifier"),
        (annotation_from_proto, "annotation_id"),
        (segmentation, "_check_ids"),
    ):
        counted(module, name)
    return counts


def refusal(call, *args):
    with pytest.raises(ServerError) as caught:
        call(*args)
    return caught.value.reason


def test_points_are_counted_before_they_are_looked_at(client, slide, made):
    few = point(200, 200)
    nowhere = pb.Prompt(points=[pb.PromptPoint()])  # neither a place nor a label
    prompt = times(nowhere, "points", few, 100_000)
    request = pb.SegmentRequest(slide_id=slide.slide_id, prompt=prompt)
    assert refusal(client.segment, request) == "TOO_MANY_POINTS"
    item = pb.BatchItem(id="a", prompt=prompt)
    (answer,) = client.segment_batch(pb.SegmentBatchRequest(slide_id=slide.slide_id, items=[item]))
    assert answer.error.reason == "TOO_MANY_POINTS"
    revision = pb.InteractRequest(prompt=pb.PromptRevision(object_id="a", revision=1, prompt=prompt))
    answers = list(client.interact(pb.Start(slide_id=slide.slide_id), [revision]))
    assert status_error(answers[-1].error.error).reason == "TOO_MANY_POINTS"
    assert not any(name == "PromptPoint" for name, _ in made)


@pytest.mark.parametrize(
    "part",
    [
        geo.MultiPolygon(polygons=[TRIANGLE]),
        geo.MultiPolygon(polygons=[geo.Polygon()]),
        geo.MultiPolygon(polygons=[geo.Polygon(rings=[geo.Ring()])]),
        geo.MultiPolygon(),
    ],
)
def test_existing_objects_are_counted_before_they_are_made(part, made):
    request = times(pb.SegmentEverythingRequest(slide_id="x"), "existing", part, MANY)
    with pytest.raises(WsiSamServerError, match=r"INVALID_REGION.*500000"):
        from_proto.survey(request, "", LIMITS)
    assert not made


def test_no_form_of_a_shape_is_counted_as_nothing():
    many = 1000
    for shape in (
        times(geo.MultiPolygon(), "polygons", TRIANGLE, many),
        times(geo.MultiPolygon(), "polygons", geo.Polygon(), many),
        geo.MultiPolygon(polygons=[times(geo.Polygon(), "rings", geo.Ring(), many)]),
        geo.MultiPolygon(polygons=[geo.Polygon(rings=[geo.Ring(deltas=[0] * 6 * many)])]),
    ):
        assert count_vertices([shape], 10_000) == 3 * many
        assert count_vertices([shape], 10) > 10


def test_many_existing_objects_are_made_beside_the_loop(client, slide, made):
    region = geo.MultiPolygon(polygons=[geo.Polygon(rings=[geo.Ring(deltas=[0, 0, 3200, 0, 0, 3200, -3200, 0])])])
    request = pb.SegmentEverythingRequest(
        slide_id=slide.slide_id, region=region, filter=pb.ProposalFilter(min_size=20, max_size=100)
    )
    request = times(request, "existing", geo.MultiPolygon(polygons=[TRIANGLE]), 2500)
    assert next(client.segment_everything(request)).windows_total
    assert made == {("decode_many", "wsisam-converter"): 3}
    request.existing[2100].polygons[0].rings[0].deltas.pop()
    with pytest.raises(WsiSamServerError, match=r"existing\[2100\]"):
        from_proto.survey(request, "", LIMITS)


def test_a_large_batch_is_looked_through_beside_the_loop(client, slide, made):
    for count, thread in ((LARGE - 1, "MainThread"), (LARGE, "wsisam-converter")):
        made.clear()
        items = [pb.BatchItem(id=str(number)) for number in range(count)]
        answers = client.segment_batch(pb.SegmentBatchRequest(slide_id=slide.slide_id, items=items))
        assert next(answers).error.reason == "EMPTY_PROMPT"
        answers.close()
        threads = {where for name, where in made if name == "_check_ids"}
        assert threads == ({thread} if thread != "MainThread" else {""}), "the loop's thread has no number"


def test_changes_are_counted_before_they_are_read(tmp_path, made):
    serving = Serving(str(tmp_path / "store.sqlite"), Limits(annotations_per_request=10))
    caller = Caller(serving.target)
    changes = {
        "Save": (an.AnnotationsSaveRequest(), "items", an.SaveItem(annotation=an.Annotation(id="no id"))),
        "Delete": (an.AnnotationsDeleteRequest(), "targets", an.AnnotationTarget(id="no id")),
        "Restore": (an.AnnotationsRestoreRequest(), "targets", an.RestoreTarget(id="no id")),
    }
    for method, (request, field, part) in changes.items():
        with pytest.raises(ServerError, match="1 to 10"):
            caller.call(method, times(request, field, part, 11))
    caller.close()
    serving.stop()
    assert not made


def test_metadata_of_a_commit_are_counted(client, slide, made):
    commit = pb.Commit(annotation_id=str(uuid.uuid4()), author="a")
    for number in range(LIMITS.annotation_text + 1):
        commit.metadata[str(number)] = ""
    request = pb.SegmentRequest(slide_id=slide.slide_id, prompt=around("a"), commit=commit)
    assert refusal(client.segment, request) == "INVALID_FIELD"
    assert not any(name == "annotation_id" for name, _ in made)


def with_map(message, path, count):
    """The bytes of a message with a map of many different entries, which takes protobuf itself too long to make."""
    kind, *rest = path
    field = message.DESCRIPTOR.fields_by_name[kind]
    if rest:
        inner = with_map(field.message_type._concrete_class(), rest, count)
        return message.SerializeToString() + _field(field.number, inner)
    keys = (f"{number:08x}".encode() for number in range(count))
    return b"".join(_field(field.number, _field(1, key)) for key in keys)


def _field(number, content):
    def varint(value):
        start = b""
        while value > 127:
            start += bytes([value & 127 | 128])
            value >>= 7
        return start + bytes([value])

    return varint(number << 3 | 2) + varint(len(content)) + content


@pytest.mark.parametrize(
    ("message", "path"),
    [
        (pb.SegmentRequest(), ("commit", "metadata")),
        (pb.SegmentBatchRequest(), ("items", "commit", "metadata")),
        (pb.InteractRequest(), ("prompt", "commit", "metadata")),
        (an.AnnotationsSaveRequest(), ("items", "annotation", "metadata")),
        (an.AnnotationsSaveRequest(), ("items", "annotation", "measurements")),
        (an.AnnotationsSyncRequest(), ("batch", "changed", "metadata")),
    ],
)
def test_a_map_of_many_entries_is_found_before_it_is_read(message, path):
    with pytest.raises(TooManyEntriesError, match=path[-1]):
        check_maps(message.DESCRIPTOR, with_map(message, path, MOST_ENTRIES + 1))
    check_maps(message.DESCRIPTOR, with_map(message, path, MOST_ENTRIES))


def test_many_parts_that_may_have_maps_are_not_looked_through():
    data = times(an.AnnotationsSaveRequest(), "items", an.SaveItem(), 300_000).SerializeToString()
    with pytest.raises(TooManyEntriesError, match="items"):
        check_maps(an.AnnotationsSaveRequest.DESCRIPTOR, data)


def test_a_call_with_a_map_of_many_entries_is_refused(server):
    data = with_map(pb.SegmentRequest(slide_id="x"), ("commit", "metadata"), 200_000)
    with grpc.insecure_channel(server.target) as channel, pytest.raises(grpc.RpcError) as caught:
        channel.unary_unary("/wsisam.v1.Segmentation/Segment")(data, timeout=30)
    error = server_error(caught.value)
    assert (error.reason, error.details["field"]) == ("INVALID_FIELD", "metadata")
