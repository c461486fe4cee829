"""Large messages are made into domain values on a thread of their own, away from the loop that answers everybody.

Python runs one thread at a time, so that a conversion still costs the others something. Two at once would cost them
twice: there is one thread, and large messages wait for each other. Small ones do not come here.
"""

from __future__ import annotations

import asyncio
import contextvars
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Final, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from wsisam.v1 import geometry_pb2

Result = TypeVar("Result")

LARGE: Final = 1000
"""Parts of a message, such as items or vertices, that take about a millisecond."""

RING_VERTICES: Final = 3
"""Of a ring at least."""


class Converter:
    """Makes values of messages. Used from one event loop."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="wsisam-converter")

    async def run(self, parts: int, convert: Callable[[], Result]) -> Result:
        """Runs a conversion, on the thread where it has many parts.

        Raises:
            Exception: whatever `convert` raises.
        """
        if parts < LARGE:
            return convert()
        context = contextvars.copy_context()
        return await asyncio.get_running_loop().run_in_executor(self._thread, context.run, convert)

    def close(self) -> None:
        """Ends the thread, once nothing is converted any more."""
        self._thread.shutdown(wait=False, cancel_futures=True)


def count_vertices(shapes: Iterable[geometry_pb2.MultiPolygon], enough: int) -> int:
    """The vertices of shapes, or some number above `enough` where there are more.

    Each ring counts as at least a triangle, and each polygon as at least one ring: no number of empty ones passes.
    """
    count = 0
    for shape in shapes:
        for part in shape.polygons:
            rings = part.rings
            count += sum(max(len(ring.deltas) // 2, RING_VERTICES) for ring in rings[: enough + 1]) or RING_VERTICES
            if count > enough:
                return count
    return count
