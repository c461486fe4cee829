"""Calls of the Annotations service, as a client makes them."""

import asyncio
import contextlib
import queue
import threading
import uuid

import grpc
from google.protobuf import field_mask_pb2

from wsisam.v1 import annotations_pb2 as pb
from wsisam.v1 import annotations_pb2_grpc
from wsisam.v1 import geometry_pb2 as geo
from wsisam.v1 import segmentation_pb2 as seg
from wsisam_server.annotations.store import AsyncStore, open_store
from wsisam_server.client import server_error
from wsisam_server.service.identity import RateLimiter
from wsisam_server.service.interceptors import Access, BoundaryInterceptor, ReadinessGate
from wsisam_server.service.servicers import AnnotationsServicer

SLIDE = "5e" * 32


def area(x0=10, y0=20, x1=30, y1=40):
    """A rectangle in the compact form: 1/32 px."""
    ring = [32 * x0, 32 * y0, 32 * (x1 - x0), 0, 0, 32 * (y1 - y0), 32 * (x0 - x1), 0]
    return pb.Shape(area=geo.MultiPolygon(polygons=[geo.Polygon(rings=[geo.Ring(deltas=ring)])]))


def drawn(kind, *parts):
    """A shape of the other form: parts of paths of numbers."""
    return pb.Shape(
        drawn=pb.DrawnShape(
            kind=kind, parts=[pb.DrawnPart(paths=[pb.DrawnPath(coordinates=path) for path in part]) for part in parts]
        )
    )


def new(annotation_id=None, **more):
    fields = {"id": annotation_id or str(uuid.uuid4()), "slide_id": SLIDE, "shape": area(), **more}
    return pb.Annotation(**fields)


def sync_requests(changed=(), unchanged=(), missing=(), excluded_ids=(), *, per_batch=1000, **start):
    """The messages of a Sync, from its start to its end.

    Args:
        changed: annotations.
        unchanged: ids and revisions.
        missing: as unchanged.
        per_batch: so many entries of each list at most.
    """
    fields = {"request_id": uuid.uuid4().hex, "author": "a", "slide": pb.AnnotatedSlide(slide_id=SLIDE), **start}
    yield pb.AnnotationsSyncRequest(start=pb.SyncStart(**fields))
    lists = {
        "changed": list(changed),
        "unchanged": [pb.BaseRevision(id=one, revision=revision) for one, revision in unchanged],
        "missing": [pb.BaseRevision(id=one, revision=revision) for one, revision in missing],
        "excluded_ids": list(excluded_ids),
    }
    for at in range(0, max(map(len, lists.values())), per_batch):
        some = {name: ones[at : at + per_batch] for name, ones in lists.items()}
        yield pb.AnnotationsSyncRequest(batch=pb.SyncBatch(**some))
    yield pb.AnnotationsSyncRequest(end=pb.SyncEnd())


def path_class(name, rgb=None):
    return seg.PathClass(name=name, rgb=rgb)


class Serving:
    """The service alone, behind the server's own interceptor, on a real socket: it starts without waiting for a model.

    Args:
        place: where the store is.
        limits: of the server.
        port: the one to listen on, after a restart.
    """

    def __init__(self, place, limits, port=0):
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()
        self.port = self._run(self._start(place, limits, port))
        self.target = f"127.0.0.1:{self.port}"

    def stop(self):
        self._run(self._stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def call_soon(self, call):
        """Calls something on the server's event loop."""
        self._loop.call_soon_threadsafe(call)

    async def _start(self, place, limits, port):
        self.store = AsyncStore(open_store(place, limits), limits.waiting_writes)
        self._servicer = AnnotationsServicer(self.store, limits)
        gate = ReadinessGate()
        gate.open()
        self._server = grpc.aio.server(
            interceptors=[
                BoundaryInterceptor(
                    "/wsisam.",
                    gate,
                    Access(None, required=False, streams=64, rate_limiter=RateLimiter(200, 2000)),
                    (),
                )
            ],
            options=[("grpc.so_reuseport", 0), ("grpc.max_receive_message_length", limits.message_bytes)],
        )
        annotations_pb2_grpc.add_AnnotationsServicer_to_server(self._servicer, self._server)
        port = self._server.add_insecure_port(f"127.0.0.1:{port}")
        await self._server.start()
        return port

    async def _stop(self):
        self._servicer.end_streams()
        await self._server.stop(0.2)
        await self.store.close()

    def _run(self, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(60)


class Caller:
    """The service's methods, with the fields that every call has."""

    def __init__(self, target):
        self._channel = grpc.insecure_channel(target)
        self.stub = annotations_pb2_grpc.AnnotationsStub(self._channel)

    def close(self):
        self._channel.close()

    def save(self, *annotations, fields=None, author="anna", request_id=None, slides=(), validate_only=False):
        """Saves annotations, or of each of them the same fields."""
        mask = None if fields is None else field_mask_pb2.FieldMask(paths=fields)
        request = pb.AnnotationsSaveRequest(
            request_id=request_id or uuid.uuid4().hex,
            author=author,
            items=[pb.SaveItem(annotation=one, update_mask=mask) for one in annotations],
            slides=slides,
            validate_only=validate_only,
        )
        return self.call("Save", request)

    def get(self, annotation_id, revision=None):
        return self.call("Get", pb.AnnotationsGetRequest(id=annotation_id, revision=revision))

    def listed(self, since=0, limit=0, *, include_deleted=False, **wanted):
        request = pb.AnnotationsListRequest(
            filter=pb.AnnotationFilter(**wanted), since=since, limit=limit, include_deleted=include_deleted
        )
        return self.stream("List", request)

    def ids(self, **wanted):
        return [one.id for message in self.listed(**wanted) for one in message.annotations]

    def delete(self, annotation_id, revision, author="anna", request_id=None, *, validate_only=False):
        request = pb.AnnotationsDeleteRequest(
            request_id=request_id or uuid.uuid4().hex,
            author=author,
            targets=[pb.AnnotationTarget(id=annotation_id, revision=revision)],
            validate_only=validate_only,
        )
        return self.call("Delete", request)

    def restore(self, annotation_id, revision, to_revision=None, author="anna", *, validate_only=False):
        request = pb.AnnotationsRestoreRequest(
            request_id=uuid.uuid4().hex,
            author=author,
            targets=[pb.RestoreTarget(id=annotation_id, revision=revision, to_revision=to_revision)],
            validate_only=validate_only,
        )
        return self.call("Restore", request)

    def history(self, annotation_id, since=0):
        """All revisions of one annotation."""
        pages = self.pages("ListRevisions", pb.AnnotationsListRevisionsRequest(id=annotation_id, since=since))
        return [one for page in pages for one in page.revisions]

    def pages(self, method, request):
        """All pages of a list, the first one first."""
        found = [self.call(method, request)]
        while request.page_token != found[-1].next_page_token:
            request.page_token = found[-1].next_page_token
            if request.page_token:
                found.append(self.call(method, request))
        return found

    def call(self, method, request):
        try:
            return getattr(self.stub, method)(request, timeout=30)
        except grpc.RpcError as error:
            raise server_error(error) from error

    def stream(self, method, request):
        try:
            return list(getattr(self.stub, method)(request, timeout=30))
        except grpc.RpcError as error:
            raise server_error(error) from error

    @contextlib.contextmanager
    def watching(self, since=0, **wanted):
        """A Watch stream that is read as its messages come."""
        request = pb.AnnotationsWatchRequest(filter=pb.AnnotationFilter(**wanted), since=since)
        watch = Watch(self.stub.Watch(request))
        yield watch
        watch.call.cancel()
        watch.reader.join()


class Watch:
    """What has come on a Watch stream."""

    def __init__(self, call):
        self.call = call
        self._came = queue.Queue()
        self.reader = threading.Thread(target=self._read)
        self.reader.start()

    def next(self, seconds=20):
        """The next message; an error ends the stream, and is raised."""
        came = self._came.get(timeout=seconds)
        if isinstance(came, Exception):
            raise came
        return came

    def revisions(self, count, seconds=20):
        """The revisions of the next so many changes."""
        found = []
        while len(found) < count:
            found += [one.revision for one in self.next(seconds).annotations]
        return found

    def _read(self):
        try:
            for message in self.call:
                self._came.put(message)
        except grpc.RpcError as error:
            self._came.put(server_error(error))
