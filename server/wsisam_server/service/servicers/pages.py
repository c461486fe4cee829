"""Annotations and slides in messages, none of which is too large for a client."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from wsisam_server.wire import annotation_to_proto as to_proto

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from wsisam.v1 import annotations_pb2 as pb
    from wsisam_server.annotations.store import AsyncStore, Page, SlideSummary

ANNOTATIONS_PER_PAGE = 500

SLIDES_PER_PAGE = 100
"""Of each its annotations are counted."""

MOST_PER_PAGE = 1000
"""What a client may ask for in one answer."""

MESSAGE_BYTES = 1024 * 1024
"""What a message holds unless one annotation alone is larger: gRPC's clients take 4 MiB by default."""


@dataclass(slots=True)
class Chunk:
    """What one message of a stream holds.

    Attributes:
        revision: everything up to here has been sent with it.
    """

    annotations: list[pb.Annotation]
    slides: list[pb.AnnotatedSlide]
    revision: int


@dataclass(slots=True)
class PageSplitter:
    """Turns one stream's pages into chunks.

    Attributes:
        store: knows the slides.
        sent_slide_ids: ids of the slides that the stream's client knows already.
    """

    store: AsyncStore
    sent_slide_ids: set[str] = field(default_factory=set)

    async def chunks(self, page: Page) -> list[Chunk]:
        """A page's chunks; the last one's revision is the page's. None for a page without annotations."""
        new = {one.content.slide_id for one in page.annotations} - self.sent_slide_ids
        records = await self.store.slides(new) if new else []
        self.sent_slide_ids |= new
        slides = {record.slide_id: to_proto.slide(record) for record in records}
        # Hundreds of annotations take tens of milliseconds: not on the event loop, where others wait for outlines.
        chunks = await asyncio.to_thread(lambda: list(_chunks(page, slides)))
        if chunks:
            chunks[-1].revision = page.revision
        return chunks


def fitting(summaries: Sequence[SlideSummary]) -> list[pb.StoredSlide]:
    """As many slides as one message may hold, and one of any size if there is one."""
    found: list[pb.StoredSlide] = []
    size = 0
    for summary in summaries:
        message = to_proto.slide_summary(summary)
        size += message.ByteSize()
        if found and size > MESSAGE_BYTES:
            break
        found.append(message)
    return found


def _chunks(page: Page, slides: dict[str, pb.AnnotatedSlide]) -> Iterator[Chunk]:
    """A page in messages of a size that clients take; a slide comes with the first annotation on it."""
    chunk = Chunk([], [], 0)
    size = 0
    for message in to_proto.annotation_list(page.annotations):
        slide = slides.pop(message.slide_id, None)
        more = message.ByteSize() + (0 if slide is None else slide.ByteSize())
        if chunk.annotations and size + more > MESSAGE_BYTES:
            yield chunk
            chunk, size = Chunk([], [], 0), 0
        chunk.annotations.append(message)
        chunk.revision = message.revision
        if slide is not None:
            chunk.slides.append(slide)
        size += more
    if chunk.annotations:
        yield chunk
