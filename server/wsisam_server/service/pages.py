"""Pages of annotations as messages of a stream, none of which is too large for a client."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from wsisam_server.service import annotation_to_proto as to_proto

if TYPE_CHECKING:
    from collections.abc import Iterator

    from wsisam.v1 import annotations_pb2 as pb
    from wsisam_server.store import AsyncStore, Page

ANNOTATIONS_PER_PAGE = 500

MESSAGE_BYTES = 1024 * 1024
"""What a message holds unless one annotation alone is larger: gRPC's clients take 4 MiB by default."""


@dataclass(slots=True)
class Part:
    """What one message of a stream holds.

    Attributes:
        revision: everything up to here has been sent with it.
    """

    annotations: list[pb.Annotation]
    slides: list[pb.AnnotatedSlide]
    revision: int


@dataclass(slots=True)
class Pages:
    """Turns one stream's pages into parts.

    Attributes:
        store: knows the slides.
        told: ids of the slides that the stream's client knows already.
    """

    store: AsyncStore
    told: set[str] = field(default_factory=set)

    async def parts(self, page: Page) -> list[Part]:
        """A page's parts; the last one's revision is the page's. None for a page without annotations."""
        new = {one.content.slide_id for one in page.annotations} - self.told
        slides = [to_proto.slide(record) for record in await self.store.slides(new)] if new else []
        self.told |= new
        # Hundreds of annotations take tens of milliseconds: not on the event loop, where others wait for outlines.
        parts = await asyncio.to_thread(lambda: list(_parts(page)))
        if parts:
            parts[0].slides = slides
            parts[-1].revision = page.revision
        return parts


def _parts(page: Page) -> Iterator[Part]:
    messages: list[pb.Annotation] = []
    size = 0
    for one in page.annotations:
        message = to_proto.annotation(one)
        size += message.ByteSize()
        if messages and size > MESSAGE_BYTES:
            yield Part(messages, [], messages[-1].revision)
            messages, size = [], message.ByteSize()
        messages.append(message)
    if messages:
        yield Part(messages, [], messages[-1].revision)
