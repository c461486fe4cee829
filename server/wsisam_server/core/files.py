"""Files that are whole or not there: content in, and on the disk under its name, or not at all.

It must never know what it writes, or whom an error is shown to.
"""

from __future__ import annotations

import os
import uuid
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def write_whole(path: Path, data: bytes, *, mode: int = 0o666) -> None:
    """Writes a file so that a kill, a full disk or a reader meanwhile finds either the old one or the new one.

    A kill may leave a file beside it, whose name ends in `.part`.

    Args:
        path: its place, in a folder that is there.
        data: all of it.
        mode: its permissions, from the first byte on, less what the process's umask takes away.

    Raises:
        OSError: it cannot be written; what was there is still there.
    """
    part = path.with_name(f".{uuid.uuid4().hex}.part")
    try:
        # O_BINARY is Windows' alone.
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
        with os.fdopen(os.open(part, flags, mode), "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
