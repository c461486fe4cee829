"""Valid messages of every call that the port answers, and what makes them wrong: in their values, or in their bytes."""

import math
import uuid

import shapely
from google.protobuf import field_mask_pb2
from google.protobuf.descriptor import FieldDescriptor as Kind
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha import reflection_pb2

from support.annotations import area, drawn, new, path_class
from support.escapes import ESCAPES
from support.self_crossing import zigzags
from support.server import around, clicks
from wsisam.v1 import annotations_pb2, segmentation_pb2
from wsisam.v1 import geometry_pb2 as geo
from wsisam_server.client import areas

METHODS = [
    method
    for file in (segmentation_pb2, annotations_pb2, health_pb2, reflection_pb2)
    for service in file.DESCRIPTOR.services_by_name.values()
    for method in service.methods
]
"""Descriptors of all calls that the port answers."""


def path_of(method):
    return f"/{method.containing_service.full_name}/{method.name}"


def callable_of(channel, method):
    """What calls it with bytes, and answers in bytes."""
    kind = f"{'stream' if method.client_streaming else 'unary'}_{'stream' if method.server_streaming else 'unary'}"
    return getattr(channel, kind)(path_of(method))


class Examples:
    """Valid requests, which a server answers with more than an error about them.

    Args:
        rng: decides.
        slide_id: a slide that is open.
        uri: where it is.
    """

    def __init__(self, rng, slide_id, uri):
        self._rng = rng
        self._slide_id = slide_id
        self._uri = uri
        # Few, so that changes meet each other.
        self._ids = [str(uuid.UUID(int=number, version=4)) for number in range(1, 40)]

    def of(self, method):
        """The messages that one call sends."""
        if method.name == "Interact":
            return [self._start(), *self._said()]
        one = self._one(method.input_type.name)
        return [one, *self._held()] if method.name == "Sync" else [one]

    def _one(self, name):
        pb, seg, rng = annotations_pb2, segmentation_pb2, self._rng
        common = {"request_id": uuid.UUID(int=rng.getrandbits(128)).hex, "author": "eve"}
        target = {"id": rng.choice(self._ids), "revision": rng.randrange(50)}
        filtered = pb.AnnotationFilter(author="eve", region=geo.Box(x0=0, y0=0, x1=500, y1=500))
        made = {
            "ListModelsRequest": seg.ListModelsRequest,
            "OpenSlideRequest": lambda: seg.OpenSlideRequest(
                uri=self._uri, pixels=seg.PixelSource(width=900, height=700, mpp=0.5)
            ),
            "CloseSlideRequest": lambda: seg.CloseSlideRequest(slide_id=self._slide_id),
            "SegmentRequest": lambda: seg.SegmentRequest(
                slide_id=self._slide_id,
                prompt=self._prompt(),
                viewport=self._viewport(),
                commit=self._commit(),
                options=seg.OutlineOptions(
                    parts=rng.randrange(3), smoothing=rng.choice([0, 2]), honour_points=rng.random() < 0.8
                ),
            ),
            "SegmentBatchRequest": lambda: seg.SegmentBatchRequest(
                slide_id=self._slide_id,
                items=[seg.BatchItem(id=str(n), prompt=self._prompt()) for n in range(rng.randint(1, 4))],
            ),
            "SegmentEverythingRequest": lambda: seg.SegmentEverythingRequest(
                slide_id=self._slide_id,
                region=areas(
                    zigzags(401, 900, 700)
                    if rng.random() < 0.1
                    else shapely.box(150, 150, 150 + rng.randint(10, 90), 250)
                ),
                existing=[areas(shapely.box(190, 190, 210, 210))],
                filter=seg.ProposalFilter(min_size=60, max_size=160, min_score=0.2),
            ),
            "AnnotationsSaveRequest": lambda: pb.AnnotationsSaveRequest(
                **common, items=[self._item() for _ in range(rng.randint(1, 3))]
            ),
            "AnnotationsGetRequest": lambda: pb.AnnotationsGetRequest(id=target["id"]),
            "AnnotationsListRequest": lambda: pb.AnnotationsListRequest(filter=filtered, limit=20),
            "AnnotationsDeleteRequest": lambda: pb.AnnotationsDeleteRequest(
                **common, targets=[pb.AnnotationTarget(**target)]
            ),
            "AnnotationsRestoreRequest": lambda: pb.AnnotationsRestoreRequest(
                **common, targets=[pb.RestoreTarget(**target)]
            ),
            "AnnotationsListRevisionsRequest": lambda: rng.choice(
                [
                    pb.AnnotationsListRevisionsRequest(id=target["id"], page_size=20),
                    pb.AnnotationsListRevisionsRequest(filter=filtered, since=rng.randrange(200), page_size=20),
                ]
            ),
            "AnnotationsListSlidesRequest": lambda: pb.AnnotationsListSlidesRequest(page_size=2),
            "AnnotationsGetStoreRequest": pb.AnnotationsGetStoreRequest,
            "AnnotationsWatchRequest": lambda: pb.AnnotationsWatchRequest(filter=filtered, since=rng.randrange(200)),
            "AnnotationsSyncRequest": lambda: pb.AnnotationsSyncRequest(
                start=pb.SyncStart(**common, slide=pb.AnnotatedSlide(slide_id=self._slide_id, width=900, height=700))
            ),
            "HealthCheckRequest": lambda: health_pb2.HealthCheckRequest(service="wsisam.v1.Segmentation"),
            "ServerReflectionRequest": lambda: reflection_pb2.ServerReflectionRequest(list_services=""),
        }
        return made[name]()

    def _held(self):
        """What a Sync says of an image after its start."""
        pb, rng = annotations_pb2, self._rng
        known = [pb.BaseRevision(id=one, revision=rng.randrange(50)) for one in rng.sample(self._ids, 3)]
        batch = pb.SyncBatch(
            changed=[self._annotation()], unchanged=known[:1], missing=known[1:2], excluded_ids=[known[2].id]
        )
        return [pb.AnnotationsSyncRequest(batch=batch), pb.AnnotationsSyncRequest(end=pb.SyncEnd())]

    def _item(self):
        mask = self._rng.choice([None, field_mask_pb2.FieldMask(paths=["name", "shape"])])
        return annotations_pb2.SaveItem(annotation=self._annotation(), update_mask=mask)

    def _annotation(self):
        rng = self._rng
        x, y = rng.randrange(800), rng.randrange(600)
        shape = rng.choice(
            [
                area(x, y, x + rng.randrange(1, 90), y + rng.randrange(1, 90)),
                drawn(annotations_pb2.SHAPE_KIND_POINTS, [[x, y, x + 1.5, y]]),
                drawn(annotations_pb2.SHAPE_KIND_AREAS, [[x, y, x + 9.25, y, x, y + 3.5]]),
            ]
        )
        return new(
            rng.choice([*self._ids, None]),
            slide_id=self._slide_id,
            shape=shape,
            path_class=path_class("Tumor: Positive", 0xFF0000),
            revision=rng.choice([0, 0, rng.randrange(50)]),
            measurements={"area": 3.5},
            metadata={"note": "a"},
        )

    def _prompt(self):
        prompt = around(self._rng.choice("abc"))
        if self._rng.random() < 0.5:
            prompt.points.extend(clicks((210, 190, True), (480, 400, False)).points)
        return prompt

    def _viewport(self):
        return geo.Viewport(region=geo.Box(x0=0, y0=0, x1=900, y1=700), downsample=1.5)

    def _commit(self):
        if self._rng.random() < 0.7:
            return None
        return segmentation_pb2.Commit(
            annotation_id=self._rng.choice(self._ids), author="eve", name="n", path_class=path_class("Stroma")
        )

    def _start(self):
        start = segmentation_pb2.Start(
            session_id=uuid.UUID(int=self._rng.getrandbits(128)).hex, slide_id=self._slide_id
        )
        return segmentation_pb2.InteractRequest(start=start)

    def _said(self):
        pb, rng = segmentation_pb2, self._rng
        window = pb.PixelWindow(width=256, height=256, tile_width=256, tile_height=256, downsample=1)
        choices = [
            lambda: pb.InteractRequest(viewport=self._viewport()),
            lambda: pb.InteractRequest(
                prompt=pb.PromptRevision(
                    object_id=rng.choice("ab"), revision=rng.randrange(9), prompt=self._prompt(), commit=self._commit()
                )
            ),
            lambda: pb.InteractRequest(
                tile=pb.PixelTile(window=window, encoding=pb.TILE_ENCODING_RAW, data=bytes(3 * 256))
            ),
            lambda: pb.InteractRequest(cancel=pb.Cancel(object_id=rng.choice("ab"))),
        ]
        return [rng.choice(choices)() for _ in range(rng.randint(0, 5))]


NUMBERS = [0.0, -0.0, -1.0, 0.5, 1e-310, 5e-324, 899.99, 2.0**26, 1e18, 1e300, 1.7e308, math.nan, math.inf, -math.inf]
TEXTS = [
    *("", "\0", "a\nb", "\u202e", "x" * 129, "x" * 70_000, "'; DROP TABLE annotations; --", "{0.__class__}", "%s%n"),
    *("00000000-0000-0000-0000-000000000000", "None", "-1", "\U0001f52c" * 200),
    *(trick for trick in ESCAPES if "\ud800" not in trick),
]
INTEGERS = {
    Kind.TYPE_UINT32: [0, 1, 2**31, 2**32 - 1],
    Kind.TYPE_INT32: [0, -1, 2**31 - 1, -(2**31)],
    Kind.TYPE_SINT32: [0, -1, 2**31 - 1, -(2**31)],
    Kind.TYPE_UINT64: [0, 2**63, 2**64 - 1],
    Kind.TYPE_INT64: [0, -1, 1, 2**63 - 1, -(2**63)],
    Kind.TYPE_ENUM: [0, 1, 7, -1, 2**31 - 1],
}


def _value(rng, field):
    if field.type in (Kind.TYPE_DOUBLE, Kind.TYPE_FLOAT):
        return rng.choice([*NUMBERS[: 8 if field.type == Kind.TYPE_FLOAT else None], rng.uniform(-100, 1000)])
    if field.type == Kind.TYPE_STRING:
        return rng.choice(TEXTS)
    if field.type == Kind.TYPE_BYTES:
        return rng.randbytes(rng.choice([0, 1, 300]))
    if field.type == Kind.TYPE_BOOL:
        return rng.random() < 0.5
    return rng.choice(INTEGERS[field.type])


def disturb(rng, message):
    """Puts a wild value somewhere into a message; it stays well formed."""
    if not message.DESCRIPTOR.fields:
        return
    field = rng.choice(message.DESCRIPTOR.fields)
    there = getattr(message, field.name)
    if field.message_type is not None and field.message_type.GetOptions().map_entry:
        there[rng.choice(TEXTS)] = _value(rng, field.message_type.fields_by_name["value"])
    elif hasattr(there, "extend"):
        _disturb_list(rng, field, there)
    elif field.message_type is not None:
        there.SetInParent()
        disturb(rng, there)
    elif rng.random() < 0.2:
        message.ClearField(field.name)
    else:
        setattr(message, field.name, _value(rng, field))


def _disturb_list(rng, field, there):
    if field.message_type is None:
        there.extend(_value(rng, field) for _ in range(rng.choice([1, 1, 1000])))
    elif there and rng.random() < 0.2:
        there.extend([there[0]] * rng.choice([1, 500]))  # the same, again and again
    elif there and rng.random() < 0.2:
        del there[:]
    else:
        disturb(rng, rng.choice(there) if there and rng.random() < 0.8 else there.add())


def _flip(rng, data):
    place = rng.randrange(len(data))
    data[place] ^= 1 << rng.randrange(8)


def _cut(rng, data):
    del data[rng.randrange(len(data)) :]


def _insert(rng, data):
    place = rng.randrange(len(data))
    data[place:place] = rng.randbytes(rng.randint(1, 20))


def _huge_length(rng, data):
    place = rng.randrange(len(data))
    data[place : place + 1] = rng.choice([b"\xff" * 9 + b"\x01", b"\xff\xff\xff\xff\x0f", b"\xff" * 11])


def _swap(rng, data):
    first, second = sorted(rng.randrange(len(data)) for _ in range(2))
    length = rng.randint(1, 16)
    data[first : first + length], data[second : second + length] = (
        data[second : second + length],
        data[first : first + length],
    )


def _again(rng, data):
    place = rng.randrange(len(data))
    data += data[place : place + 200] * rng.choice([1, 20])


def _other_field(rng, data):
    # Where a field's tag is likely: another number, another wire type.
    data[rng.choice([0, rng.randrange(len(data))])] = rng.randrange(16) << 3 | rng.randrange(8)


def mutated(rng, data):
    """Bytes with one to four things wrong."""
    spoiled = bytearray(data)
    for _ in range(rng.randint(1, 4)):
        if spoiled:
            rng.choice([_flip, _flip, _cut, _insert, _huge_length, _swap, _again, _other_field])(rng, spoiled)
    return bytes(spoiled)
