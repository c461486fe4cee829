"""Files that are whole or not there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wsisam_server.core.files import write_whole
from wsisam_server.learning.training.errors import TrainingError

if TYPE_CHECKING:
    from pathlib import Path


def replace_with(path: Path, content: bytes) -> None:
    """Writes a file so that a kill or a full disk leaves either the old one or the new one.

    Raises:
        TrainingError: it cannot be written; the old file is still there.
    """
    try:
        write_whole(path, content)
    except OSError as error:
        raise TrainingError(
            f"{path} cannot be written ({error.strerror}); nothing that was there is lost. Make room and run the same "
            "command with --resume"
        ) from error
