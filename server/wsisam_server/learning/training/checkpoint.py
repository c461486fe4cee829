"""The state of a run on the disk: whole or not there, and only for the run that wrote it."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import torch

from wsisam_server.learning.training.errors import TrainingError
from wsisam_server.learning.training.files import replace_with

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
        raise TrainingError(f"there is no checkpoint at {path}; leave out --resume to start anew") from error
    except Exception as error:  # arbitrary bytes make the unpickler fail in arbitrary ways
        raise TrainingError(f"{path} is no checkpoint of this program; leave out --resume to start anew") from error
    if known != run:
        raise TrainingError(f"{path} belongs to a run with other settings or data; resume with the same, or use --out")
    found: dict[str, Any] = state
    return found
