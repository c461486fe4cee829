"""Many byte strings, one after another: in memory while they are few, else in a temporary file."""

from __future__ import annotations

import tempfile
import threading
from typing import TYPE_CHECKING, Final

from wsisam_server.core.errors import Reason, WsiSamServerError

if TYPE_CHECKING:
    from collections.abc import Iterator

IN_MEMORY: Final = 16 * 1024 * 1024
"""Bytes of one spool."""


class Spool:
    """Byte strings that are written once, and may be read several times, also from several threads.

    Its file has no name, and is gone with the last reference or the process: a thread may read it when nobody
    waits for the answer any more.
    """

    def __init__(self) -> None:
        self._file = tempfile.SpooledTemporaryFile(max_size=IN_MEMORY)  # noqa: SIM115 - closed with the spool
        self._lock = threading.Lock()
        self._ends = [0]

    def __len__(self) -> int:
        return len(self._ends) - 1

    @property
    def nbytes(self) -> int:
        """Of all of them."""
        return self._ends[-1]

    def append(self, data: bytes) -> None:
        """Adds one.

        Raises:
            WsiSamServerError: OUT_OF_MEMORY: the disk of temporary files is full.
        """
        with self._lock:
            try:
                self._file.seek(self._ends[-1])
                self._file.write(data)
            except OSError as error:
                raise WsiSamServerError(Reason.OUT_OF_MEMORY, private=f"a temporary file: {error}") from error
            self._ends.append(self._ends[-1] + len(data))

    def read(self, number: int) -> bytes:
        """One of them; the first is 0."""
        start, end = self._ends[number : number + 2]
        with self._lock:
            self._file.seek(start)
            return self._file.read(end - start)

    def __iter__(self) -> Iterator[bytes]:
        for number in range(len(self)):
            yield self.read(number)

    def __del__(self) -> None:
        self._file.close()
