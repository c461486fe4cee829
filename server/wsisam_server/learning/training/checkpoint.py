"""The state of a run on the disk: written atomically, and read only by the run that wrote it."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import torch

from wsisam_server.core.files import write_whole
from wsisam_server.learning.training.errors import TrainingError

if TYPE_CHECKING:
    from pathlib import Path


def save_state(path: Path, run: str, state: dict[str, Any]) -> None:
    """Writes a state; the one before stays until the new one is whole.

    Args:
        path: the file.
        run: identifies settings and data, see `load_state`.
        state: tensors and plain values.

    Raises:
        TrainingError: it cannot be written, because the disk is full for example.
    """
    buffer = io.BytesIO()
    torch.save({"run": run, "state": state}, buffer)
    replace_with(path, buffer.getvalue())


def load_state(path: Path, run: str) -> dict[str, Any]:
    """Reads what `save_state` wrote, without running anything that the file may hold.

    Raises:
        TrainingError: there is no such file, it is damaged, or it is of a run with other settings or data.
    """
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
        known, state = content["run"], content["state"]
    except FileNotFoundError as error:
        raise TrainingError(f"there is no checkpoint at {path}; leave out --resume to start again") from error
    except Exception as error:  # arbitrary bytes make the unpickler fail in arbitrary ways
        raise TrainingError(f"{path} is no checkpoint of this program; leave out --resume to start again") from error
    if known != run:
        raise TrainingError(f"{path} belongs to a run with other settings or data; resume with the same, or use --out")
    found: dict[str, Any] = state
    return found


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
