"""One Interact stream: messages to session calls, session events to messages."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from wsisam.v1 import segmentation_pb2 as pb
from wsisam_server.core.errors import Reason, WsiSamServerError
from wsisam_server.service.identity import current_user
from wsisam_server.service.servicers.events import message_of
from wsisam_server.service.sessions import Event, Failed, Session
from wsisam_server.wire import annotation_from_proto, from_proto, to_proto

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from wsisam.v1 import geometry_pb2
    from wsisam_server.core.settings import Limits
    from wsisam_server.segmentation.segmenter import Segmenter
    from wsisam_server.service.sessions import Admission, CommitService

    Write = Callable[[pb.InteractResponse], Awaitable[None]]


class _End:
    """Ends the writing: all is answered, or the reading failed."""


class InteractStream:
    """Runs one stream from its `start` message to its end.

    Attributes:
        slide_id: the slide that it is about.

    Raises:
        WsiSamServerError: the start message is not valid.
    """

    def __init__(
        self,
        segmenter: Segmenter,
        commits: CommitService,
        admission: Admission,
        limits: Limits,
        start: pb.Start,
    ) -> None:
        self._limits = limits
        self.slide_id = start.slide_id
        self._finishing: asyncio.Task[None] | None = None
        self._unseen: geometry_pb2.Viewport | None = None
        self._events: asyncio.Queue[Event | _End | WsiSamServerError] = asyncio.Queue()
        self._room = asyncio.Event()
        self._room.set()
        common = from_proto.common(start, "start.", current_user().principal, interactive=True)
        self._session = Session(segmenter, common, limits, commits, admission, self._events.put_nowait)

    def drain(self) -> None:
        """Takes no more prompts, and ends the stream with SHUTTING_DOWN when those that it has are answered."""
        self._end(Reason.SHUTTING_DOWN)

    def hand_back(self) -> None:
        """Answers those that still wait with SHUTTING_DOWN."""
        self._session.hand_back(Reason.SHUTTING_DOWN)

    def slide_closed(self) -> None:
        """Answers those that still wait with UNKNOWN_SLIDE_ID, and ends the stream with it."""
        self._end(Reason.UNKNOWN_SLIDE_ID)
        self._session.hand_back(Reason.UNKNOWN_SLIDE_ID)

    def _end(self, reason: Reason) -> None:
        if self._finishing is None:
            self._session.refuse(reason)
            self._finishing = asyncio.ensure_future(self._finish(reason))

    async def _finish(self, reason: Reason) -> None:
        await self._session.idle()
        self._events.put_nowait(WsiSamServerError(reason))

    async def run(self, requests: AsyncIterator[pb.InteractRequest], write: Write) -> None:
        """Serves until the client has sent its last message and every prompt is answered, or until it is cancelled.

        Raises:
            WsiSamServerError: a message that ends the stream; SHUTTING_DOWN after `drain`, UNKNOWN_SLIDE_ID after
                `slide_closed`.
        """
        session = self._session
        await write(
            pb.InteractResponse(
                started=pb.Started(
                    model=session.model.name,
                    weights_hash=session.model.weights_hash,
                    unit=to_proto.unit(in_microns=session.pixel_size.mpp is not None),
                    pixel_size=to_proto.pixel_size(session.pixel_size),
                )
            )
        )
        reading = asyncio.ensure_future(self._read(requests))
        try:
            while not isinstance(event := await self._events.get(), _End):
                if isinstance(event, WsiSamServerError):
                    raise event
                if self._events.qsize() < self._limits.unsent_events_per_stream:
                    self._room.set()
                await write(message_of(event))
            await reading  # raises what ended the reading, if anything did
        finally:
            ending = [reading] if self._finishing is None else [reading, self._finishing]
            for task in ending:
                task.cancel()
            await asyncio.gather(*ending, return_exceptions=True)
            await session.close()

    async def _read(self, requests: AsyncIterator[pb.InteractRequest]) -> None:
        try:
            async for request in requests:
                await self._take(request)
                # A client that sends and does not read is not read either.
                if self._events.qsize() >= self._limits.unsent_events_per_stream:
                    self._room.clear()
                    await self._room.wait()
            await self._session.drain()
        finally:
            self._events.put_nowait(_End())

    async def _take(self, request: pb.InteractRequest) -> None:
        kind = request.WhichOneof("message")
        if kind == "start":
            raise WsiSamServerError(Reason.SESSION_ALREADY_STARTED)
        object_id, revision = self._addressee(request)
        try:
            if kind == "prompt":
                self._session.admit()
                self._look()
                self._prompt(request.prompt)
            elif kind == "viewport":
                self._unseen = request.viewport
                if self._session.admits_viewport():
                    self._look()
            else:
                await self._session.wait_for_rate()
                await self._take_other(request)
        except Exception as error:  # noqa: BLE001 - one bad message must not end the annotator's stream
            self._events.put_nowait(Failed(object_id, revision, error))

    async def _take_other(self, request: pb.InteractRequest) -> None:
        kind = request.WhichOneof("message")
        if kind == "cancel":
            self._session.cancel(from_proto.identifier(request.cancel.object_id, "cancel.object_id", self._limits))
        elif kind == "tile":
            await self._tile(request.tile)
        else:
            # Of a newer client, perhaps: its prompts can still be answered.
            raise from_proto.invalid("message", "it has no content that this server knows")

    def _look(self) -> None:
        """Takes note of the newest viewport, unless that was done."""
        message, self._unseen = self._unseen, None
        if message is None:
            return
        try:
            self._session.view(from_proto.viewport(message, "viewport"))
        except WsiSamServerError as error:  # its own, not that of the prompt which came after it
            self._events.put_nowait(Failed("", 0, error))

    async def _tile(self, message: pb.PixelTile) -> None:
        window, encoding, data = from_proto.tile(message, "tile")
        try:
            await self._session.tile(window, encoding, data)
        except WsiSamServerError as error:
            raise error.at(**to_proto.place(window)) from error

    def _prompt(self, message: pb.PromptRevision) -> None:
        object_id = from_proto.identifier(message.object_id, "object_id", self._limits)
        request = from_proto.request(message, self._session.common, self._limits.points_per_prompt)
        commit = annotation_from_proto.commit_of(message, "", self._limits, current_user().author)
        self._session.prompt(object_id, message.revision, request, commit)

    def _addressee(self, request: pb.InteractRequest) -> tuple[str, int]:
        """What an error about this message must be addressed to; an over-long id is not echoed whole."""
        kind = request.WhichOneof("message")
        if kind == "prompt":
            return request.prompt.object_id[: self._limits.id_length], request.prompt.revision
        return "", 0
