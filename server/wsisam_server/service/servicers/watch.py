"""One Watch stream: the store's changes as messages, as they are made."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from wsisam.v1 import annotations_pb2 as pb
from wsisam_server.core.errors import Reason, WsiSamServerError
from wsisam_server.service.servicers.pages import ANNOTATIONS_PER_PAGE, PageSplitter

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from wsisam_server.annotations.store import AnnotationFilter, AsyncStore
    from wsisam_server.core.settings import Limits

    Write = Callable[[pb.AnnotationsWatchResponse], Awaitable[None]]


class WatchStream:
    """Follows the store from one revision on.

    It holds one page at a time, and reads on when that has been sent: a client that does not read costs no more.

    Args:
        store: followed.
        annotation_filter: which annotations.
        after: the revision that the client has seen.
        limits: how long it waits.
    """

    def __init__(self, store: AsyncStore, annotation_filter: AnnotationFilter, after: int, limits: Limits) -> None:
        self._store = store
        self._wanted = annotation_filter
        self._after = after
        self._limits = limits
        self._splitter = PageSplitter(store)
        self._ended = False

    def end(self) -> None:
        """Ends the stream with SHUTTING_DOWN once what is ready has been sent."""
        self._ended = True
        self._store.notify()

    async def run(self, write: Write) -> None:
        """Sends changes until it is ended or cancelled.

        Raises:
            WsiSamServerError: SHUTTING_DOWN, WATCH_TOO_SLOW, REVISION_AHEAD, or of the store.
        """
        # At once, so that the client knows that it is heard.
        sent_at = -self._limits.heartbeat_seconds
        while not self._ended:
            version = self._store.version
            page = await self._store.changes(self._wanted, after=self._after, limit=ANNOTATIONS_PER_PAGE)
            self._after = page.revision
            for chunk in await self._splitter.chunks(page):
                message = pb.AnnotationsWatchResponse(
                    annotations=chunk.annotations, slides=chunk.slides, revision=chunk.revision
                )
                sent_at = await self._send(write, message)
            if not page.complete:
                continue
            if time.monotonic() - sent_at >= self._limits.heartbeat_seconds:
                sent_at = await self._send(write, pb.AnnotationsWatchResponse(revision=self._after))
            await self._store.wait_for_change(version)
        raise WsiSamServerError(Reason.SHUTTING_DOWN)

    async def _send(self, write: Write, message: pb.AnnotationsWatchResponse) -> float:
        message.store_id = self._store.identity
        seconds = self._limits.watch_stall_seconds
        try:
            # Returns when the connection has taken the message, which it does not while the client does not read.
            await asyncio.wait_for(write(message), seconds)
        except asyncio.TimeoutError as error:
            raise WsiSamServerError(Reason.WATCH_TOO_SLOW, seconds=f"{seconds:g}") from error
        return time.monotonic()
