"""The threads that read slides."""

from __future__ import annotations

import os
from typing import Final

from wsisam_server.inference.scheduler.worker import Worker

READERS: Final = 4
"""Reading is decompression and I/O outside Python's lock; four keep one device fed."""

SPARE: Final = 12
"""For when some of the others take long; see `Worker`."""

PER_OWNER: Final = READERS - 1
"""One is always left for another user."""

LONG_PER_OWNER: Final = max(1, min(PER_OWNER, (os.cpu_count() or 1) - 1))
"""What takes long is decoding: one user's leaves a processor to the others."""

ABANDON_SECONDS: Final = 0.5
"""That reads may take to end when the server stops: a decoder cannot be interrupted, nor a drive that hangs."""


class Readers(Worker):
    """A `Worker` with threads enough, and rules that keep one user's reads from holding up another's."""

    def __init__(self) -> None:
        super().__init__("wsisam-reader", READERS, spare=SPARE, per_owner=PER_OWNER, long_per_owner=LONG_PER_OWNER)

    async def close(self, seconds: float | None = ABANDON_SECONDS) -> None:
        """See `Worker.close`."""
        await super().close(seconds)
