"""Large messages are made into domain values on threads beside the loop that answers everybody.

Python runs one thread at a time, so that a conversion still costs the others something. One user's large messages
therefore wait for each other, and for two users there are two threads. Small messages do not come here.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final, TypeVar
from weakref import WeakValueDictionary

from wsisam_server.inference.scheduler import Priority, QueueEntry, Worker, WorkItem
from wsisam_server.service.identity import current_user
from wsisam_server.wire.from_proto import count_vertices

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable

    from wsisam.v1 import annotations_pb2

Result = TypeVar("Result")

LARGE: Final = 1000
"""Parts of a message, such as items or vertices, that take about a millisecond."""

THREADS: Final = 2
PER_PRINCIPAL: Final = 1

ANNOTATION_PARTS: Final = 10
"""What an annotation takes beside its vertices."""

CLOSING_SECONDS: Final = 0.5
"""What a conversion may take to end that is not wanted any more."""


class Converter:
    """Makes values of messages. Used from one event loop."""

    def __init__(self) -> None:
        self._worker = Worker("wsisam-converter", THREADS, per_principal=PER_PRINCIPAL)
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def run(self, parts: int, convert: Callable[[], Result]) -> Result:
        """Runs a conversion; where it has many parts on a thread, when its user's turn comes.

        One whose caller has left ends at its next `cancellation.checkpoint`.

        Raises:
            WsiSamServerError: SHUTTING_DOWN.
            Exception: whatever `convert` raises.
        """
        if parts < LARGE:
            return convert()
        return await self._worker.run(WorkItem([QueueEntry(Priority.BATCH, current_user().principal)]), convert)

    @asynccontextmanager
    async def alone(self, parts: int) -> AsyncIterator[None]:
        """Keeps a user's other large messages waiting while it is held; small ones pass."""
        if parts < LARGE:
            yield
            return
        lock = self._locks.setdefault(current_user().principal, asyncio.Lock())
        async with lock:
            yield

    async def close(self) -> None:
        """Ends the threads; a conversion that does not end soon is left alone."""
        await self._worker.close(CLOSING_SECONDS)


def count_parts(annotations: Iterable[annotations_pb2.Annotation]) -> int:
    """What annotations to be saved take, or some number that is `LARGE` at least where they take more."""
    count = 0
    for annotation in annotations:
        shape = annotation.shape
        count += ANNOTATION_PARTS + len(annotation.measurements) + len(annotation.metadata)
        count += count_vertices((shape.area,), LARGE)
        for part in shape.drawn.parts:
            count += 1 + sum(1 + len(path.coordinates) // 2 for path in part.paths[: LARGE + 1])
            if count >= LARGE:
                return count
        if count >= LARGE:
            return count
    return count
