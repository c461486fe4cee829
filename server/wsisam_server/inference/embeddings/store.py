"""Entries on a disk, bounded in bytes, which several processes may read and write at once.

A folder a slide, a file an entry. The files are all there is to it: no index that could be wrong. A file's first bytes
prove the rest, and that it is the entry whose name it has, each time it is read; so nothing has to be flushed to the
disk, and what a killed process, a full disk or a failing one left behind is never more than a miss.
"""

from __future__ import annotations

import hashlib
import logging
import os
import threading
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

import filelock

from wsisam_server.inference.embeddings.circuit_breaker import CircuitBreaker

if TYPE_CHECKING:
    from collections.abc import Iterator

_log = logging.getLogger(__name__)

SUFFIX: Final = ".embedding"

_MAGIC: Final = b"wsisam embedding 1\n"
_DIGEST_BYTES: Final = 32
OVERHEAD: Final = len(_MAGIC) + _DIGEST_BYTES
"""Bytes of a file beside its entry's."""

_LOCK: Final = ".lock"
_WRITING: Final = ".writing"
_SIZE: Final = ".size"

LOCK_SECONDS: Final = 10.0
"""That a write waits for other processes'; then it is given up."""

TIMEOUT_SECONDS: Final = 2.0
"""That a read may take. Computing an entry anew takes about as long, so that a disk which takes longer is of no use."""

SLACK: Final = 16
"""When room must be made, a sixteenth of the limit is made free: looking through all entries takes its time."""


class EntryKey(NamedTuple):
    """What an entry is of.

    Attributes:
        slide: fingerprint of the slide; hexadecimal, for it names a folder.
        about: all else on which the entry depends, as a text.
    """

    slide: str
    about: str


@dataclass(slots=True)
class StoreCounters:
    """What this process did with the store."""

    hits: int = 0
    misses: int = 0
    damaged: int = 0
    written: int = 0
    evicted: int = 0


class _Entry(NamedTuple):
    used: float
    nbytes: int
    path: str


class EmbeddingStore:
    """Least recently used entries on a disk, within a byte limit. Blocks; safe from several threads.

    On a disk that hangs, `put` hangs, too: call it from a thread of its own (`WriteBehindQueue`). All else then finds
    nothing.

    Args:
        folder: where they lie, alone; made with the first of them.
        limit_bytes: the files together never hold more than this, also when several processes with the same limit
            write.
        seconds: that the disk may take to answer.
    """

    def __init__(self, folder: Path, limit_bytes: int, seconds: float = TIMEOUT_SECONDS) -> None:
        self.folder = folder
        self.limit = limit_bytes
        self.counters = StoreCounters()
        self._counting = threading.Lock()
        self._breaker = CircuitBreaker(folder, seconds)
        self._lock = filelock.FileLock(folder / _LOCK, timeout=LOCK_SECONDS)
        self._complained = False
        self._looked = False

    @property
    def room(self) -> int:
        """Bytes that can be written one after the other without the first going for the last."""
        return self.limit - self.limit // SLACK

    @property
    def is_in_the_way(self) -> bool:
        """Whether a file lies where the folder should be."""
        return self._breaker.run(self.folder.is_file, otherwise=False)

    @property
    def nbytes(self) -> int:
        """Bytes held, as the last writer left them; 0 where nothing was ever written."""
        return self._breaker.run(self._noted, None) or 0

    def __contains__(self, key: EntryKey) -> bool:
        """Whether there is such an entry, damaged or not. Reads the disk."""
        return self._breaker.run(self._path(key).is_file, otherwise=False)

    def get(self, key: EntryKey) -> bytes | None:
        """An entry's very bytes, or None. One that is not what was written is removed; nothing is ever raised."""
        answer = self._breaker.run(lambda: (self._get(key),), None)
        if answer is None:
            self._count("misses")
            return None
        return answer[0]

    def _get(self, key: EntryKey) -> bytes | None:
        path = self._path(key)
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            self._count("misses")
            return None
        except OSError as error:
            self._count("misses")
            self._complain(error)
            return None
        data = content[OVERHEAD:]
        if content[:OVERHEAD] != _head(key, data):
            self._discard(key, "it is not what was written")
            return None
        self._count("hits")
        # On a disk that cannot be written, others decide what goes.
        with suppress(OSError):
            os.utime(path)
        return data

    def put(self, key: EntryKey, data: bytes, *, anew: bool = False) -> None:
        """Writes an entry, and removes those that were not used for longest if there is no room.

        Args:
            key: of the entry.
            data: its bytes.
            anew: write over a known one, which is kept otherwise.

        Raises:
            OSError: it cannot be written; whatever was there before is still there.
        """
        path = self._path(key)
        if (path.is_file() and not anew) or len(data) + OVERHEAD > self.limit:
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        with self._lock:
            total = self._make_room(len(data) + OVERHEAD)
            # Noted in advance: after a kill in between, the note is too large, and the next count corrects it.
            self._note(total + len(data) + OVERHEAD)
            path.parent.mkdir(exist_ok=True)
            aside = self.folder / _WRITING
            # Under the lock it can only be what a killed writer left.
            aside.unlink(missing_ok=True)
            try:
                with aside.open("xb") as file:
                    file.write(_head(key, data))
                    file.write(data)
                known = path.stat().st_size if path.is_file() else 0
                aside.replace(path)
                if known:
                    self._note(total + len(data) + OVERHEAD - known)
            except OSError:
                with suppress(OSError):
                    aside.unlink(missing_ok=True)
                    self._note(total)
                raise
        self._count("written")

    def discard(self, key: EntryKey, why: str) -> None:
        """Removes an entry that is of no use, and says so in the log."""
        self._breaker.run(lambda: self._discard(key, why), None)

    def _discard(self, key: EntryKey, why: str) -> None:
        self._count("damaged")
        _log.warning("an embedding on the disk is removed, %s: %s", why, self._path(key))
        with suppress(OSError):
            self._path(key).unlink(missing_ok=True)

    def _path(self, key: EntryKey) -> Path:
        return self.folder / key.slide / f"{hashlib.sha256(key.about.encode()).hexdigest()}{SUFFIX}"

    def _make_room(self, nbytes: int) -> int:
        """Bytes that are held once there is room for so many more. Call it with the lock."""
        noted = self._noted()
        if self._looked and noted is not None and noted + nbytes <= self.limit:
            return noted
        # With the first write, too: entries may have come or gone without us.
        entries = sorted(self._entries())
        total = sum(entry.nbytes for entry in entries)
        self._looked = True
        if total + nbytes <= self.limit:
            return total
        for entry in entries:
            if total + nbytes <= self.room:
                break
            # What cannot be removed stays counted: rather nothing is written than too much.
            with suppress(OSError):
                Path(entry.path).unlink(missing_ok=True)
                total -= entry.nbytes
                self._count("evicted")
                Path(entry.path).parent.rmdir()
        if total + nbytes > self.limit:
            raise OSError(f"{self.folder} holds {total} bytes that cannot be removed, and its limit is {self.limit}")
        return total

    def _entries(self) -> Iterator[_Entry]:
        with os.scandir(self.folder) as slides:
            folders = [slide.path for slide in slides if slide.is_dir(follow_symlinks=False)]
        for folder in folders:
            with os.scandir(folder) as files:
                for file in files:
                    if file.name.endswith(SUFFIX):
                        # A reader may just have removed a damaged one.
                        with suppress(FileNotFoundError):
                            status = file.stat()
                            yield _Entry(status.st_mtime, status.st_size, file.path)

    def _noted(self) -> int | None:
        try:
            return int((self.folder / _SIZE).read_text(encoding="ascii"))
        except (OSError, ValueError):
            return None

    def _note(self, total: int) -> None:
        (self.folder / _SIZE).write_text(str(total), encoding="ascii")

    def _count(self, what: str) -> None:
        with self._counting:
            setattr(self.counters, what, getattr(self.counters, what) + 1)

    def _complain(self, error: OSError) -> None:
        if not self._complained:
            self._complained = True
            _log.warning("embeddings on the disk cannot be read, and are computed instead: %s", error)


def _head(key: EntryKey, data: bytes) -> bytes:
    digest = hashlib.sha256(b"\0".join((key.slide.encode(), key.about.encode(), b"")))
    digest.update(data)
    return _MAGIC + digest.digest()
