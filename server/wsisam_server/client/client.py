"""A small client of the server for Python: what the command line, the demo and the tests talk through.

What flows in: an address and domain values. What flows out: the messages of the contract, or `ServerError`. It must
never know how the server computes anything; it shares with it only the contract and the geometry.
"""

from __future__ import annotations

import os
import threading
import time
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import grpc
from google.rpc import error_details_pb2
from grpc_status import rpc_status
from typing_extensions import Self

from wsisam.v1 import annotations_pb2, annotations_pb2_grpc, geometry_pb2, segmentation_pb2, segmentation_pb2_grpc
from wsisam_server.client.channel import can_be_sent, open_channel
from wsisam_server.client.errors import ForkedClientError, ServerError
from wsisam_server.core.errors import Reason, WsiSamServerError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from pathlib import Path
    from types import TracebackType

Reply = TypeVar("Reply")

SECONDS_TO_COME_BACK = 20.0
"""How long a batch tries to reach a server again that was lost."""


@dataclass(frozen=True, slots=True)
class BatchAnswer:
    """One item's answer of a batch: an outline or an error."""

    id: str
    outline: segmentation_pb2.Outline | None
    error: ServerError | None


class Client:
    """A connection to one server. Use as a context manager; safe to use from several threads of one process.

    A line that was cut says nothing. The client looks for the server after a minute of silence, and half a minute later
    all its calls, streams too, end with UNAVAILABLE. The next call connects again.

    Proxies are as the environment says, by gRPC's rules: `grpc_proxy`, `https_proxy` or `http_proxy`, and
    `no_grpc_proxy` or `no_proxy` for hosts without one. This machine (localhost, 127.0.0.0/8, ::1) is always reached
    without one.

    Args:
        target: HOST:PORT, or https://HOST:PORT for an encrypted connection.
        timeout: seconds that a call with one answer may take. Streams last as long as they last.
        ca: PEM file of the certificate authorities that are trusted; given, the connection is encrypted. None: public
            ones.
        certificate: PEM file of this client's own certificate, for servers that ask for one; with `key`.
        key: PEM file of its private key.
        token: who the caller is.

    Raises:
        ServerError: TOKEN_INVALID, as the server would say: the token has characters that cannot be sent.
        TlsError: a file cannot be used.
        ValueError: a token would cross the network readable for everybody, or a client's certificate would not be
            shown.
    """

    def __init__(
        self,
        target: str,
        *,
        timeout: float = 300.0,
        ca: Path | None = None,
        certificate: Path | None = None,
        key: Path | None = None,
        token: str | None = None,
    ) -> None:
        token = "" if token is None else token.strip()
        if not can_be_sent(token):
            invalid = WsiSamServerError(Reason.TOKEN_INVALID)
            raise ServerError(invalid.code.name, invalid.reason.name, invalid.public_text, invalid.details)
        self._channel = open_channel(target, ca=ca, certificate=certificate, key=key, token=token)
        self._process = os.getpid()
        self._timeout = timeout
        self._segmentation = segmentation_pb2_grpc.SegmentationStub(self._channel)
        self._annotations = annotations_pb2_grpc.AnnotationsStub(self._channel)

    def __enter__(self) -> Self:
        return self

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

    def open_slide(
        self, uri: str, pixels: segmentation_pb2.PixelSource | None = None
    ) -> segmentation_pb2.OpenSlideResponse:
        """Opens a slide by the path or URI at which the server finds it."""
        reply: segmentation_pb2.OpenSlideResponse = self.call(
            self.stub.OpenSlide, segmentation_pb2.OpenSlideRequest(uri=uri, pixels=pixels)
        )
        return reply

    def segment(self, request: segmentation_pb2.SegmentRequest) -> segmentation_pb2.Outline:
        """Answers one prompt."""
        reply: segmentation_pb2.SegmentResponse = self.call(self.stub.Segment, request)
        return reply.outline

    def segment_batch(self, request: segmentation_pb2.SegmentBatchRequest) -> Iterator[BatchAnswer]:
        """Answers many prompts, each as soon as it is ready.

        Where the line is cut on the way, the batch goes on: the client connects again and asks for the items that have
        no answer yet. Each item is answered once. An item whose outline the server had stored when the line broke is
        asked again, which stores nothing new. Tiles are sent once; an item whose pixels the server has lost is then
        answered with PIXELS_NEEDED. A line that was cut is noticed after 90 s without a byte.

        Raises:
            ServerError: the call failed, or the server could not be reached again within 20 s after it was lost.
        """
        missing = {item.id: item for item in request.items}
        asked, strange, lost = frozenset(missing), False, None
        while True:
            try:
                for reply in self.stub.SegmentBatch(request):
                    strange |= reply.id not in asked
                    missing.pop(reply.id, None)
                    lost = None
                    yield _batch_answer(reply)
            except grpc.RpcError as error:
                failed = server_error(error)
                if not missing and not strange and _is_lost(failed):
                    return
                lost = lost or _Lost(request)
                if not missing or not lost.may_ask_again(failed, answered=len(missing) < len(asked)):
                    raise failed from error
            else:
                return
            request = segmentation_pb2.SegmentBatchRequest(
                slide_id=request.slide_id, model=request.model, options=request.options, items=missing.values()
            )
            lost.wait()

    def segment_everything(
        self, request: segmentation_pb2.SegmentEverythingRequest
    ) -> Iterator[segmentation_pb2.SegmentEverythingResponse]:
        """Proposals for a region, as they become final; close the iterator to end the work."""
        call = self.stub.SegmentEverything(request)
        try:
            yield from call
        except grpc.RpcError as error:
            raise server_error(error) from error
        finally:
            call.cancel()

    def interact(
        self, start: segmentation_pb2.Start, requests: Iterable[segmentation_pb2.InteractRequest]
    ) -> Iterator[segmentation_pb2.InteractResponse]:
        """One stream: sends `start` (with a random session id unless it has one), then the requests."""
        if not start.session_id:
            start.session_id = uuid.uuid4().hex

        def all_requests() -> Iterator[segmentation_pb2.InteractRequest]:
            yield segmentation_pb2.InteractRequest(start=start)
            yield from requests

        try:
            yield from self.stub.Interact(all_requests())
        except grpc.RpcError as error:
            raise server_error(error) from error

    def refine(
        self,
        start: segmentation_pb2.Start,
        prompts: Iterable[segmentation_pb2.Prompt],
        viewport: geometry_pb2.Viewport | None = None,
        field: segmentation_pb2.FieldChoice | None = None,
        refinements: Mapping[int, segmentation_pb2.Refinement] | None = None,
    ) -> Iterator[segmentation_pb2.Outline]:
        """Asks for one object of a slide that the server reads itself, again and again, as an annotator does.

        Each prompt is sent after the answer to the one before, which the server then feeds back to the model.

        Args:
            start: slide, model and options.
            prompts: each holds all points and the box so far.
            viewport: what the annotator would see.
            field: the scale or the window of all of them; the server's choice if not given.
            refinements: how far the border of an answer is refined in finer windows, by its prompt's number from 0.

        Yields:
            The answer to each prompt.

        Raises:
            ServerError: a prompt failed; the stream is then ended.
        """
        turn, ended = threading.Semaphore(), threading.Event()

        def requests() -> Iterator[segmentation_pb2.InteractRequest]:
            for number, prompt in enumerate(prompts):
                turn.acquire()
                if ended.is_set():
                    return
                revision = segmentation_pb2.PromptRevision(
                    object_id="object",
                    revision=number + 1,
                    prompt=prompt,
                    viewport=viewport,
                    field=field,
                    refine=(refinements or {}).get(number),
                )
                yield segmentation_pb2.InteractRequest(prompt=revision)

        try:
            for response in self.interact(start, requests()):
                kind = response.WhichOneof("message")
                if kind == "error":
                    raise item_error(response.error.error)
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
                failed = server_error(error)
                if failed.reason != "TOO_MANY_MESSAGES":
                    raise failed from error
            time.sleep(float(failed.details["retry_seconds"]))


class _Lost:
    """A batch whose line was cut: how long it is tried to get it back."""

    def __init__(self, request: segmentation_pb2.SegmentBatchRequest) -> None:
        self._until = time.monotonic() + SECONDS_TO_COME_BACK
        self._pause = 0.0
        # What has come of the tiles is not known before the first answer, and no tile may be sent twice.
        self._has_tiles = bool(request.tiles)

    def may_ask_again(self, error: ServerError, *, answered: bool) -> bool:
        known = _is_lost(error) or error.reason == "STARTING"
        return known and (answered or not self._has_tiles) and time.monotonic() + self._pause < self._until

    def wait(self) -> None:
        """Not at all at first, then longer each time."""
        time.sleep(self._pause)
        self._pause = 2 * self._pause or 1.0


def _is_lost(error: ServerError) -> bool:
    """Whether gRPC, and not the server, says that a call cannot be answered."""
    return error.status == "UNAVAILABLE" and not error.reason


def _batch_answer(reply: segmentation_pb2.SegmentBatchResponse) -> BatchAnswer:
    failed = reply.WhichOneof("outcome") == "error"
    return BatchAnswer(reply.id, None if failed else reply.outline, item_error(reply.error) if failed else None)


def server_error(error: Any) -> ServerError:
    """A failed call's status as an exception with its reason and details."""
    reason, details, pixels, conflicts = "", {}, None, None
    try:
        status = rpc_status.from_call(error)
    except ValueError:  # details of something else than our server
        status = None
    for packed in status.details if status is not None else ():
        info = error_details_pb2.ErrorInfo()
        needed = segmentation_pb2.PixelsNeeded()
        versions = annotations_pb2.RevisionConflicts()
        if packed.Unpack(info):
            reason, details = info.reason, dict(info.metadata)
        elif packed.Unpack(needed):
            pixels = needed
        elif packed.Unpack(versions):
            conflicts = versions
    return ServerError(error.code().name, reason, error.details() or "", details, pixels, conflicts)


def item_error(error: segmentation_pb2.Error) -> ServerError:
    """One failed item of a stream as an exception."""
    code = next((known.name for known in grpc.StatusCode if known.value[0] == error.code), str(error.code))
    pixels = error.pixels_needed if error.HasField("pixels_needed") else None
    return ServerError(code, error.reason, error.message, error.details, pixels)
