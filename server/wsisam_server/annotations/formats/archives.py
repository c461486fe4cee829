"""Files that are packed: .gz and .zip, by what is in them and not by their names; never more than fits the memory."""

from __future__ import annotations

import gzip
import io
import zipfile
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from wsisam_server.annotations.formats.errors import FormatError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import IO

MOST_BYTES: Final = 512 * 1024 * 1024
"""Of all that one file unpacks to: some million annotations."""

MOST_FILES: Final = 10_000

_DEPTH: Final = 2
"""A .zip of .gz files."""

_GZIP: Final = b"\x1f\x8b"
_ZIP: Final = (b"PK\x03\x04", b"PK\x05\x06")
_SUFFIXES: Final = (".geojson", ".json", ".xml", ".gz", ".zip")
_BROKEN: Final = (OSError, EOFError, zlib.error, zipfile.BadZipFile, RuntimeError, NotImplementedError, ValueError)


@dataclass(frozen=True, slots=True)
class ArchiveMember:
    """A file, perhaps out of an archive.

    Attributes:
        name: in the archive; empty for the file itself.
        data: its content; nothing where it cannot be read.
        problem: why not, in words.
    """

    name: str
    data: bytes = b""
    problem: str = ""


def unpacked(data: bytes, most_bytes: int = MOST_BYTES) -> list[ArchiveMember]:
    """The files that a file holds: itself, unless it is an archive.

    Of an archive, only what may be annotations: not pictures, nor what systems add for themselves.

    Args:
        data: the file's content.
        most_bytes: of what it unpacks to.

    Raises:
        FormatError: it is damaged, holds no annotations, or unpacks to more than may be.
    """
    parts = list(_parts("", data, _Budget(most_bytes), _DEPTH))
    if not parts:
        raise FormatError("there is no .geojson, .json or .xml file in this archive")
    return parts


class _Budget:
    """How many bytes may still be unpacked."""

    def __init__(self, left: int) -> None:
        self._all = self._left = left

    def read(self, file: IO[bytes] | gzip.GzipFile) -> bytes:
        data = file.read(self._left + 1)
        if len(data) > self._left:
            raise FormatError(f"it unpacks to more than {self._all >> 20} MiB; unpack it, and import it in parts")
        self._left -= len(data)
        return data


def _parts(name: str, data: bytes, budget: _Budget, depth: int) -> Iterator[ArchiveMember]:
    packed = data.startswith((_GZIP, *_ZIP))
    if not packed:
        yield ArchiveMember(name, data)
    elif depth == 0:
        yield ArchiveMember(name, problem="it is an archive in archives; unpack it")
    elif data.startswith(_GZIP):
        try:
            with gzip.GzipFile(fileobj=io.BytesIO(data)) as file:
                inner = budget.read(file)
        except _BROKEN as error:
            raise FormatError("this .gz file is damaged, or not all of it; copy it again") from error
        yield from _parts(name, inner, budget, depth - 1)
    else:
        yield from _members(name, data, budget, depth)


def _members(name: str, data: bytes, budget: _Budget, depth: int) -> Iterator[ArchiveMember]:
    try:
        archive = zipfile.ZipFile(io.BytesIO(data))
    except _BROKEN as error:
        raise FormatError("this .zip file is damaged, or not all of it; copy it again") from error
    with archive:
        members = [one for one in archive.infolist() if _is_wanted(one)]
        if len(members) > MOST_FILES:
            raise FormatError(f"it holds {len(members)} files, and {MOST_FILES} are the most; import it in parts")
        for member in members:
            named = f"{name}/{member.filename}" if name else member.filename
            try:
                with archive.open(member) as file:
                    inner = budget.read(file)
                yield from _parts(named, inner, budget, depth - 1)
            except FormatError:
                raise
            except _BROKEN as error:
                locked = member.flag_bits & 1
                yield ArchiveMember(
                    named, problem="it needs a password" if locked else f"it is damaged ({type(error).__name__})"
                )


def _is_wanted(member: zipfile.ZipInfo) -> bool:
    parts = member.filename.split("/")
    hidden = parts[0] == "__MACOSX" or parts[-1].startswith(".")
    return not member.is_dir() and not hidden and parts[-1].lower().endswith(_SUFFIXES)
