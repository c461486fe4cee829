"""Files that are either as they were or as they shall be, also after the process was killed or the power failed."""

from __future__ import annotations

import hashlib
import os
import shutil
import uuid
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Final

from wsisam_server.core.files import flush, flush_folder, put_in_place

if TYPE_CHECKING:
    from pathlib import Path

TEMPORARY: Final = ".wsisam-"
"""In the name of every file that is not finished yet."""

_CHUNK: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Stamp:
    """By what a file is known again.

    Attributes:
        size: bytes.
        modified: nanoseconds, by the clock of the file system.
        sha256: of the content.
    """

    size: int
    modified: int
    sha256: str

    @property
    def saved(self) -> datetime:
        """When it was written, by the clock of the file system."""
        return datetime.fromtimestamp(self.modified / 1e9, timezone.utc)


def stamp(path: Path) -> Stamp | None:
    """A file's stamp; None when there is none."""
    try:
        with path.open("rb") as file:
            status = os.fstat(file.fileno())
            digest = hashlib.sha256()
            while chunk := file.read(_CHUNK):
                digest.update(chunk)
    except FileNotFoundError:
        return None
    return Stamp(status.st_size, status.st_mtime_ns, digest.hexdigest())


def unchanged(path: Path, known: Stamp | None) -> bool:
    """Whether a file is the one that is known; read only when size and time do not already tell."""
    try:
        status = path.stat()
    except FileNotFoundError:
        return known is None
    if known is None or status.st_size != known.size:
        return False
    if status.st_mtime_ns == known.modified:
        return True
    found = stamp(path)
    return found is not None and found.sha256 == known.sha256


def replace_text(path: Path, text: str) -> bool:
    """Writes a small file whole, unless it says so already. Its folder is made if it is missing.

    Returns:
        Whether it was written.

    Raises:
        OSError: it cannot be written; what was there is still there.
    """
    data = text.encode()
    if path.is_file() and path.read_bytes() == data:
        return False
    path.parent.mkdir(parents=True, exist_ok=True)
    side = path.with_name(f"{path.name}{TEMPORARY}{uuid.uuid4().hex}")
    try:
        side.write_bytes(data)
        flush(side)
        put_in_place(side, path)
    finally:
        side.unlink(missing_ok=True)
    flush_folder(path.parent)
    return True


def copy(source: Path, target: Path) -> None:
    """Copies a file, with its times, so that the copy is on the disk when this returns.

    Raises:
        OSError: it cannot be written.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    side = target.with_name(f"{target.name}{TEMPORARY}{uuid.uuid4().hex}")
    try:
        shutil.copy2(source, side)
        flush(side)
        put_in_place(side, target)
    finally:
        side.unlink(missing_ok=True)
    flush_folder(target.parent)


def remove_leftovers(folder: Path) -> None:
    """Deletes unfinished files that a killed process left behind."""
    for path in folder.glob(f"*{TEMPORARY}*"):
        path.unlink(missing_ok=True)
