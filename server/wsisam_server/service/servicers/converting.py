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
    from collections.abc import Callable


Result = TypeVar("Result")

LARGE: Final = 1000
"""Parts of a message, such as items or vertices, that take about a millisecond."""


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
