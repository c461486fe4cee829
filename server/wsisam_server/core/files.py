"""Files that are whole or not there: content in, and on the disk under its name, or not at all.

It must never know what it writes, or whom an error is shown to.
"""

from __future__ import annotations

import contextlib
import os
import time
import uuid
from pathlib import Path
from typing import Final

HELD_SECONDS: Final = 1.0
"""Virus scanners and indexers of Windows open what was just written, and let go of it a moment later."""

_PAUSE: Final = 0.05
_IS_WINDOWS: Final = os.name == "nt"


def write_whole(path: Path, data: bytes, *, mode: int = 0o666) -> None:
    """Writes a file so that a kill, a full disk or a reader meanwhile finds either the old one or the new one.

    A kill may leave a file beside it, whose name ends in `.part`. Owner and permissions of a file that is there stay as
    they are, where this process may say so: whoever runs a command as root must not lock out whom the file is for.

    Args:
        path: its place, in a folder that is there.
        data: all of it.
        mode: permissions of a new one, from the first byte on, less what the process's umask takes away.

    Raises:
        OSError: it cannot be written; what was there is still there.
    """
    part = path.with_name(f".{uuid.uuid4().hex}.part")
    before = _status(path)
    try:
        # O_BINARY is Windows' alone.
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
        allowed = mode if before is None else before.st_mode & 0o700
        with os.fdopen(os.open(part, flags, allowed), "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        if before is not None:
            _as_before(part, before)
        put_in_place(part, path)
    finally:
        part.unlink(missing_ok=True)


def belong_to_folder(path: Path) -> None:
    """Gives what root has made to the owner of the folder that it lies in. For anybody else, nothing is done."""
    if os.name != "posix" or os.geteuid() != 0:
        return
    folder = path.parent.stat()
    with contextlib.suppress(OSError):  # a drive that knows no owners
        os.chown(path, folder.st_uid, folder.st_gid)


def put_in_place(part: Path, path: Path) -> None:
    """Gives a finished file its name, and replaces what has it. On Windows, waits for programs that hold it a moment.

    Raises:
        OSError: it cannot be replaced; the text says so where another program has it open.
    """
    until = time.monotonic() + HELD_SECONDS
    while True:
        try:
            part.replace(path)
        except PermissionError as error:
            if not _IS_WINDOWS:
                raise
            if time.monotonic() >= until:
                problem = "another program has the file open, or it is read-only; close it there and try again"
                raise PermissionError(error.errno, problem, str(path)) from error
            time.sleep(_PAUSE)
        else:
            return


def flush(path: Path) -> None:
    """Waits until a file's content is on the disk."""
    with path.open("rb+") as file:  # Windows flushes nothing that is open to be read only
        os.fsync(file.fileno())


def flush_folder(path: Path) -> None:
    """Waits until the names in a folder are on the disk, where the system knows of that."""
    if os.name != "posix":
        return
    folder = os.open(path, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def moved_along(path: Path, before: Path, now: Path) -> Path | None:
    """Where a file lies after it and a folder were moved together.

    Args:
        path: where the file was.
        before: where the folder was.
        now: where the folder is.

    Returns:
        None where the two were on different drives of Windows, and so cannot have been moved together.
    """
    try:
        relative = os.path.relpath(path, before)
    except ValueError:
        return None
    return Path(os.path.normpath(now / relative))


def _status(path: Path) -> os.stat_result | None:
    try:
        return path.stat()
    except OSError:
        return None


def _as_before(part: Path, before: os.stat_result) -> None:
    with contextlib.suppress(OSError):  # another's file, which this process may replace but not give away
        if os.name == "posix" and (before.st_uid, before.st_gid) != (os.geteuid(), os.getegid()):
            os.chown(part, before.st_uid, before.st_gid)
    with contextlib.suppress(OSError):
        part.chmod(before.st_mode & 0o777)
