"""A small client of the server for Python: what the command line, the demo and the tests talk through.

What flows in: an address and domain values. What flows out: the messages of the contract, or `ServerError`. It must
never know how the server computes anything; it shares with it only the contract and the geometry.
"""

from __future__ import annotations

import os
import threading
import time
import uuid
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, TypeVar

import grpc
from typing_extensions import Self

from wsisam.v1 import annotations_pb2_grpc, geometry_pb2, segmentation_pb2, segmentation_pb2_grpc
from wsisam_server.client.address import ServerAddress
from wsisam_server.client.channel import can_be_sent, open_channel
from wsisam_server.client.errors import ForkedClientError, ServerError
from wsisam_server.client.exemplars import exemplars
from wsisam_server.client.polygons import areas
from wsisam_server.client.recovery import Recovery, is_lost
from wsisam_server.client.slide import Slide
from wsisam_server.client.statuses import server_error, status_error
from wsisam_server.core.errors import Reason, WsiSamServerError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from pathlib import Path
    from types import TracebackType

    import shapely

    from wsisam_server.client.exemplars import Shown
    from wsisam_server.client.remote_store import RemoteStore

Reply = TypeVar("Reply")

MOST_REMEMBERED: Final = 1000
"""Slides whose URI is kept, so that they can be opened again on a server that was restarted."""


@dataclass(frozen=True, slots=True)
class BatchAnswer:
    """One item's answer of a batch: an outline or an error."""

    id: str
    outline: segmentation_pb2.Outline | None
    error: ServerError | None

    def __repr__(self) -> str:
        said = "no answer" if self.outline is None else f"score {self.outline.score:.2f}"
        return f"BatchAnswer({self.id!r}, {said if self.error is None else self.error.text})"


class Client:
    """A connection to one server. Use as a context manager; safe to use from several threads of one process.

    A line that was cut says nothing. The client looks for the server after a minute of silence, and half a minute later
    all its calls, streams too, end with UNAVAILABLE. The next call connects again.

    Proxies are as the environment says, by gRPC's rules: `grpc_proxy`, `https_proxy` or `http_proxy`, and
    `no_grpc_proxy` or `no_proxy` for hosts without one. This machine (localhost, 127.0.0.0/8, ::1) is always reached
    without one.

    Args:
        target: HOST, HOST:PORT or [::1]:PORT, with https:// before it for an encrypted connection.
        timeout: seconds that a call with one answer may take. Streams last as long as they last.
        ca: PEM file of the certificate authorities that are trusted; given, the connection is encrypted. None: public
            ones.
        certificate: PEM file of this client's own certificate, for servers that ask for one; with `key`.
        key: PEM file of its private key.
        token: who the caller is.

    Raises:
        ServerError: TOKEN_INVALID, as the server would say: the token has characters that cannot be sent.
        TlsError: a file cannot be used.
        ValueError: `target` is no address; a token would cross the network readable for everybody; or a client's
            certificate would not be shown.
    """

    def __init__(
        self,
        target: str,
        *,
        timeout: float = 300.0,
        ca: str | Path | None = None,
        certificate: str | Path | None = None,
        key: str | Path | None = None,
        token: str | None = None,
    ) -> None:
        token = "" if token is None else token.strip()
        if not can_be_sent(token):
            invalid = WsiSamServerError(Reason.TOKEN_INVALID)
            raise ServerError(invalid.code.name, invalid.reason.name, invalid.public_text, invalid.details)
        address = ServerAddress.parse(target)
        self._address = replace(address, tls=address.tls or ca is not None)
        self._channel = open_channel(address, ca=ca, certificate=certificate, key=key, token=token)
        self._process = os.getpid()
        self._timeout = timeout
        self._store: RemoteStore | None = None
        self._opened: dict[str, str] = {}  # by id, the URI of slides that the server reads itself
        self._segmentation = segmentation_pb2_grpc.SegmentationStub(self._channel)
        self._annotations = annotations_pb2_grpc.AnnotationsStub(self._channel)

    def __enter__(self) -> Self:
        return self

    def __repr__(self) -> str:
        return f"Client({str(self._address)!r})"

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Ends the connection. In a forked process it does nothing: the connection is the parent's."""
        if os.getpid() == self._process:
            self._channel.close()

    @property
    def stub(self) -> segmentation_pb2_grpc.SegmentationStub:
        """The methods of Segmentation, as gRPC generates them.

        Raises:
            ForkedClientError: the client is the parent process's.
        """
        self._check_process()
        return self._segmentation

    @property
    def annotations(self) -> annotations_pb2_grpc.AnnotationsStub:
        """The methods of Annotations, as gRPC generates them.

        Raises:
            ForkedClientError: the client is the parent process's.
        """
        self._check_process()
        return self._annotations

    @property
    def store(self) -> RemoteStore:
        """The server's annotations; see `wsisam_server.annotations.store.Store` for its methods.

        Raises:
            ForkedClientError: the client is the parent process's.
            WsiSamServerError: the server cannot be reached, or has no store.
        """
        from wsisam_server.client.remote_store import RemoteStore  # noqa: PLC0415 - it imports this module

        self._check_process()
        if self._store is None:
            self._store = RemoteStore(self)
        return self._store

    def _check_process(self) -> None:
        if os.getpid() != self._process:
            raise ForkedClientError

    def about(self) -> segmentation_pb2.ListModelsResponse:
        """The server's version, and the models that it knows, the default first."""
        reply: segmentation_pb2.ListModelsResponse = self.call(
            self.stub.ListModels, segmentation_pb2.ListModelsRequest()
        )
        return reply

    def models(self) -> list[segmentation_pb2.Model]:
        """The models that the server knows, the default first."""
        return list(self.about().models)

    def open_slide(self, uri: str, pixels: segmentation_pb2.PixelSource | None = None) -> Slide:
        """Opens a slide by the path or URI at which the server finds it.

        Args:
            uri: path or file: URI as the server's mappings take it.
            pixels: the image as it is open here, where its pixels can be sent; the slide is then to be closed.
        """
        opened: segmentation_pb2.OpenSlideResponse = self.call(
            self.stub.OpenSlide, segmentation_pb2.OpenSlideRequest(uri=uri, pixels=pixels)
        )
        if opened.source == segmentation_pb2.SLIDE_SOURCE_REFERENCE:
            self._opened[opened.slide_id] = uri
            while len(self._opened) > MOST_REMEMBERED:
                self._opened.pop(next(iter(self._opened)), None)
        return Slide(opened, self, uri)

    def close_slide(self, slide_id: str) -> None:
        """Has the server free a slide in pixel mode; see `Slide.close`."""
        self.call(self.stub.CloseSlide, segmentation_pb2.CloseSlideRequest(slide_id=slide_id))

    def segment(self, request: segmentation_pb2.SegmentRequest) -> segmentation_pb2.Outline:
        """Answers one prompt."""
        reply: segmentation_pb2.SegmentResponse = self.call(self.stub.Segment, request)
        return reply.outline

    def segment_batch(self, request: segmentation_pb2.SegmentBatchRequest) -> Iterator[BatchAnswer]:
        """Answers many prompts, each as soon as it is ready.

        Where the line is cut on the way, or the server restarted, the batch goes on: the client connects again and asks
        for the items that have no answer yet. Each item is answered once. An item whose outline the server had stored
        when the line broke is asked again, which stores nothing new. An item whose pixels the server has lost is then
        answered with PIXELS_NEEDED. A line that was cut is noticed after 90 s without a byte.

        Raises:
            ServerError: the call failed, or the server could not be reached again within 20 s after it was lost.
        """
        missing = {item.id: item for item in request.items}
        recovery, strange = self._recovery(request.slide_id), False
        while True:
            try:
                for reply in self.stream(self.stub.SegmentBatch, request):
                    strange |= missing.pop(reply.id, None) is None
                    recovery.answered()
                    yield _batch_answer(reply)
            except ServerError as failed:
                if not missing and not strange and is_lost(failed):
                    return
                if not missing or not recovery.prepared(failed):
                    raise recovery.tells_most(failed) from failed
            else:
                return
            request = _rest(request, missing)

    def segment_everything(
        self, request: segmentation_pb2.SegmentEverythingRequest
    ) -> Iterator[segmentation_pb2.SegmentEverythingResponse]:
        """Proposals for a region, as they become final; close the iterator to end the work.

        Where the line is cut on the way, or the server restarted, the search goes on after the last answer that came,
        as in `segment_batch`. What is yielded is then what an undisturbed search gives, but for an answer without
        proposals each time that it goes on.

        Raises:
            ServerError: the call failed, or the server could not be reached again within 20 s after it was lost.
        """
        recovery, last = self._recovery(request.slide_id), segmentation_pb2.SegmentEverythingResponse()
        while True:
            try:
                for last in self.stream(self.stub.SegmentEverything, request):
                    recovery.answered()
                    yield last
            except ServerError as failed:
                if last.resume_token and last.windows_done == last.windows_total and is_lost(failed):
                    return
                if not recovery.prepared(failed):
                    raise recovery.tells_most(failed) from failed
            else:
                return
            if last.resume_token:
                rest = segmentation_pb2.SegmentEverythingRequest()
                rest.CopyFrom(request)
                rest.ClearField("tiles")  # they are there since the first answer
                rest.resume_token = last.resume_token
                request = rest

    def find_like(
        self,
        slide_id: str,
        region: shapely.Polygon | shapely.MultiPolygon,
        positive: Iterable[Shown],
        negative: Iterable[Shown] = (),
        *,
        path_class: str = "",
    ) -> list[segmentation_pb2.Proposal]:
        """Everything in a region that looks like some objects; see `segment_everything` for more choices.

        Ask again with what was accepted and rejected: the same region takes no encoder run then.

        Args:
            slide_id: an open slide.
            region: where to look, level-0 pixels.
            positive: objects of the kind that is wanted: areas in level-0 pixels, `OnSlide`, or ids of stored
                annotations.
            negative: what resembles them and is not meant.
            path_class: name of the positive ones' class; empty for none, or the annotations' own.

        Returns:
            Proposals, the most similar one first.

        Raises:
            ServerError: as `segment_everything`.
        """
        shown = exemplars(positive, negative, path_class)
        request = segmentation_pb2.SegmentEverythingRequest(slide_id=slide_id, region=areas(region), exemplars=shown)
        found = [one for answer in self.segment_everything(request) for one in answer.proposals]
        return sorted(found, key=lambda one: -one.similarity)

    def _recovery(self, slide_id: str) -> Recovery:
        def reopen() -> bool:
            uri = self._opened.get(slide_id)
            return uri is not None and self.open_slide(uri).slide_id == slide_id

        return Recovery(reopen)

    def stream(self, method: Callable[..., Any], request: Any) -> Iterator[Any]:
        """The answers to one call of a stub's method; it is cancelled where not all of them are taken.

        Raises:
            ServerError: it failed.
        """
        call = method(request)
        try:
            yield from call
        except grpc.RpcError as error:
            raise self._failed(error) from error
        finally:
            call.cancel()

    def _failed(self, error: grpc.RpcError) -> ServerError:
        return server_error(error, self._address)

    def interact(
        self, start: segmentation_pb2.Start, requests: Iterable[segmentation_pb2.InteractRequest]
    ) -> Iterator[segmentation_pb2.InteractResponse]:
        """One stream: sends `start` (with a random session id unless it has one), then the requests.

        Raises:
            ServerError: the call failed.
            Exception: whatever `requests` raised, after the answers to what it gave before.
        """
        if not start.session_id:
            start.session_id = uuid.uuid4().hex

        mine: list[Exception] = []

        def all_requests() -> Iterator[segmentation_pb2.InteractRequest]:
            yield segmentation_pb2.InteractRequest(start=start)
            try:
                yield from requests
            except Exception as error:  # noqa: BLE001 - the caller's own; gRPC's thread would lose it
                mine.append(error)

        call = self.stub.Interact(all_requests())
        try:
            yield from call
        except grpc.RpcError as error:
            if not mine:
                raise self._failed(error) from error
        finally:
            call.cancel()
        if mine:
            raise mine[0]

    def refine(
        self,
        start: segmentation_pb2.Start,
        prompts: Iterable[segmentation_pb2.Prompt],
        viewport: geometry_pb2.Viewport | None = None,
        field: segmentation_pb2.FieldChoice | None = None,
        refinements: Mapping[int, segmentation_pb2.Refinement] | None = None,
        options: Mapping[int, segmentation_pb2.OutlineOptions] | None = None,
    ) -> Iterator[segmentation_pb2.Outline]:
        """Asks for one object of a slide that the server reads itself, again and again, as an annotator does.

        Each prompt is sent after the answer to the one before, which the server then feeds back to the model.

        Args:
            start: slide, model and options.
            prompts: each holds all points and the box so far.
            viewport: what the annotator would see.
            field: the scale or the window of all of them; the server's choice if not given.
            refinements: how far the border of an answer is refined in finer windows, by its prompt's number from 0.
            options: how an outline is made, in place of the start's, by its prompt's number from 0.

        Yields:
            The answer to each prompt.

        Raises:
            ServerError: a prompt failed; the stream is then ended.
            Exception: whatever `prompts` raised, after the answers to those before.
        """
        turn, ended = threading.Semaphore(), threading.Event()

        def requests() -> Iterator[segmentation_pb2.InteractRequest]:
            numbered = enumerate(prompts)
            while True:
                turn.acquire()  # before the next prompt is made: whoever makes it may look at the answer
                if ended.is_set():
                    return
                number, prompt = next(numbered, (-1, None))
                if prompt is None:
                    return
                revision = segmentation_pb2.PromptRevision(
                    object_id="object",
                    revision=number + 1,
                    prompt=prompt,
                    viewport=viewport,
                    field=field,
                    refine=(refinements or {}).get(number),
                    options=(options or {}).get(number),
                )
                yield segmentation_pb2.InteractRequest(prompt=revision)

        try:
            for response in self.interact(start, requests()):
                kind = response.WhichOneof("message")
                if kind == "error":
                    raise status_error(response.error.error)
                if kind == "outline":
                    yield response.outline.outline
                    turn.release()
        finally:
            ended.set()
            turn.release()

    def call(self, method: Callable[..., Reply], request: Any) -> Reply:
        """One call of a stub's method that has one answer. Slows down when the server says that it came too fast.

        Raises:
            ServerError: it failed.
        """
        while True:
            try:
                return method(request, timeout=self._timeout)
            except grpc.RpcError as error:
                failed = self._failed(error)
                if failed.reason != "TOO_MANY_MESSAGES":
                    raise failed from error
            time.sleep(failed.retry_seconds or 1.0)


def _batch_answer(reply: segmentation_pb2.SegmentBatchResponse) -> BatchAnswer:
    failed = reply.WhichOneof("outcome") == "error"
    return BatchAnswer(reply.id, None if failed else reply.outline, status_error(reply.error) if failed else None)


def _rest(
    request: segmentation_pb2.SegmentBatchRequest, missing: Mapping[str, segmentation_pb2.BatchItem]
) -> segmentation_pb2.SegmentBatchRequest:
    """The request for the items that were not answered. Tiles come with the first answer at the latest."""
    if len(missing) == len(request.items):
        return request
    rest = segmentation_pb2.SegmentBatchRequest()
    rest.CopyFrom(request)
    rest.ClearField("tiles")
    del rest.items[:]
    rest.items.extend(missing.values())
    return rest
