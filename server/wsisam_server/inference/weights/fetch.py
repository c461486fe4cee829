"""One file from where it is to where it shall be: copied or downloaded, hashed on the way."""

from __future__ import annotations

import hashlib
import os
import shutil
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any, Final, Protocol
from urllib.parse import urlsplit

from wsisam_server.inference.weights.errors import WeightsError
from wsisam_server.inference.weights.staging import write_error

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from typing import BinaryIO

CHUNK: Final = 1 << 20
XXH128: Final = "xxh128:"
"""Begins a checksum by XXH3-128, which tells a damaged download. Against a forged one there is HTTPS alone."""

SECONDS: Final = 30
"""How long a server may be silent."""


class Progress(Protocol):
    """Is called with the progress of a file."""

    def __call__(self, done: int, total: int | None) -> None:
        """Takes the bytes so far, and of how many where that is known."""
        ...


def is_url(origin: str) -> bool:
    """Whether a file must be downloaded."""
    return urlsplit(origin).scheme in {"http", "https"}


def download(url: str, to: Path, progress: Progress) -> tuple[str, int]:
    """Downloads a file.

    Args:
        url: http or https.
        to: a file that does not exist yet.
        progress: called with each piece.

    Returns:
        SHA-256 in hex, and size.

    Raises:
        WeightsError: the server does not give it, the connection was lost, or it cannot be written.
    """
    bar = _Bar(to, progress)
    with _new_file(to) as file, ExitStack() as connections:

        def answered(response: Any, **_: Any) -> None:
            # The downloader leaves a connection open that it did not read to its end.
            connections.callback(response.close)

        sink = _Sink(file, to)
        import pooch  # noqa: PLC0415 - comes with the extra 'server', which whoever adds a model has

        fetch = pooch.HTTPDownloader(
            progressbar=bar,
            chunk_size=CHUNK,
            timeout=SECONDS,
            hooks={"response": answered},
            # As the file is, not packed for the way: its length would be another one.
            headers={"Accept-Encoding": "identity"},
        )
        try:
            fetch(url, sink, None)
        except OSError as error:  # whatever requests raises is one too
            raise WeightsError(
                f"{url} cannot be downloaded: {error}. Nothing was added. "
                "If it opens in a browser, download it there and give the path of the file"
            ) from error
    if bar.total and sink.nbytes != bar.total:
        raise WeightsError(f"{url} broke off after {sink.nbytes} of {bar.total} bytes. Nothing was added; try again")
    return sink.sha256, sink.nbytes


def copy(path: Path, to: Path, progress: Progress) -> tuple[str, int]:
    """Copies a file.

    Args:
        path: an existing file.
        to: a file that does not exist yet.
        progress: called with each piece.

    Returns:
        SHA-256 in hex, and size.

    Raises:
        WeightsError: it cannot be read or written.
    """
    total = require_file(path).stat().st_size
    require_room(to, total)
    with _new_file(to) as file:
        return _through(path, _Sink(file, to), progress, total)


def examine(path: Path, progress: Progress) -> tuple[str, int]:
    """Reads a file where it is.

    Args:
        path: an existing file.
        progress: called with each piece.

    Returns:
        SHA-256 in hex, and size.

    Raises:
        WeightsError: it cannot be read.
    """
    return _through(path, _Sink(None, path), progress, require_file(path).stat().st_size)


def xxh128(path: Path) -> str:
    """The XXH3-128 of a file, in hex."""
    import xxhash  # noqa: PLC0415 - comes with the extra 'server', as pooch does

    digest = xxhash.xxh3_128()
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def require_file(path: Path) -> Path:
    """Passes the path of a file.

    Raises:
        WeightsError: there is none.
    """
    if not path.is_file():
        raise WeightsError(f"{path}: no such file")
    return path


def require_room(to: Path, nbytes: int) -> None:
    """Passes a file for which the disk has room.

    Raises:
        WeightsError: it has not.
    """
    free = shutil.disk_usage(to.parent).free
    if nbytes > free:
        raise WeightsError(
            f"{to.name} has {nbytes} bytes, and the disk of {to.parent.parent} has room for {free}. Nothing was added. "
            "Another folder: --weights-dir"
        )


@contextmanager
def _new_file(path: Path) -> Iterator[BinaryIO]:
    """A file that is on the disk when the block ends."""
    try:
        with path.open("xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise write_error(path.parent.parent, error) from error


def _through(path: Path, sink: _Sink, progress: Progress, total: int) -> tuple[str, int]:
    progress(0, total)
    try:
        with path.open("rb") as source:
            while chunk := source.read(CHUNK):
                sink.write(chunk)
                progress(sink.nbytes, total)
    except OSError as error:
        raise WeightsError(f"{path} cannot be read: {error.strerror}") from error
    return sink.sha256, sink.nbytes


class _Sink:
    """What is written is hashed, and goes to a file if there is one."""

    def __init__(self, file: BinaryIO | None, place: Path) -> None:
        self._file = file
        self._place = place
        self._digest = hashlib.sha256()
        self.nbytes = 0

    @property
    def sha256(self) -> str:
        return self._digest.hexdigest()

    def write(self, data: bytes) -> int:
        if self._file is not None:
            try:
                self._file.write(data)
            except OSError as error:
                raise write_error(self._place.parent.parent, error) from error
        self._digest.update(data)
        self.nbytes += len(data)
        return len(data)

    def flush(self) -> None:
        """What a downloader does with each piece; the file is flushed when it is closed."""


class _Bar:
    """Forwards pooch's progress."""

    def __init__(self, to: Path, progress: Progress) -> None:
        self._to = to
        self._progress = progress
        self._total = 0
        self._done = 0

    @property
    def total(self) -> int:
        """Bytes that the server promised; 0 if it did not."""
        return self._total

    @total.setter
    def total(self, nbytes: int) -> None:
        require_room(self._to, nbytes)
        self._total = nbytes

    def update(self, nbytes: int) -> None:
        self._done += nbytes
        self._progress(min(self._done, self._total or self._done), self._total or None)

    def reset(self) -> None:
        self._done = 0

    def close(self) -> None:
        pass
