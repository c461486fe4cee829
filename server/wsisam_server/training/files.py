"""Files that are whole or not there."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from wsisam_server.training.errors import TrainingError

if TYPE_CHECKING:
    from pathlib import Path


def replace_with(path: Path, content: bytes) -> None:
    """Writes a file so that a kill or a full disk leaves either the old one or the new one.

    Raises:
        TrainingError: it cannot be written; the old file is still there.
    """
    beside = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        with beside.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    except OSError as error:
        beside.unlink(missing_ok=True)
        raise TrainingError(
            f"{path} cannot be written ({error.strerror}); nothing that was there is lost. Make room and run the same "
            "command with --resume"
        ) from error
