"""The folder of named models: one folder each, made and removed in one step."""

from __future__ import annotations

import os
import uuid
from pathlib import Path
from typing import Final

from wsisam_server.core.settings import default_weights_dir
from wsisam_server.inference.weights.errors import WeightsError
from wsisam_server.inference.weights.names import check_name
from wsisam_server.inference.weights.record import RECORD, ModelRecord
from wsisam_server.inference.weights.staging import REMOVED, remove_leftovers, write_error

VARIABLE: Final = "WSISAM_WEIGHTS_DIR"


def default_folder() -> Path:
    """The folder in $WSISAM_WEIGHTS_DIR, or else the platform's folder for the user's application data."""
    named = os.environ.get(VARIABLE)
    return Path(named) if named else default_weights_dir()


class WeightsFolder:
    """Named models on this machine. Any number of processes may use the folder at the same time.

    Args:
        path: the folder; made when the first model is added.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def names(self) -> list[str]:
        """The names that are taken, sorted; also by models whose record is damaged.

        Raises:
            WeightsError: the folder cannot be read.
        """
        try:
            return sorted(each.name for each in self.path.iterdir() if not each.name.startswith(".") and each.is_dir())
        except FileNotFoundError:
            return []
        except OSError as error:
            raise WeightsError(f"{self.path} cannot be read as a folder of models: {error.strerror}") from error

    def record(self, name: str) -> ModelRecord:
        """What is known of a model.

        Raises:
            WeightsError: there is none of this name, or its record is damaged.
        """
        check_name(name)
        if not (self.path / name).is_dir():
            there = f"has {', '.join(self.names())}" if self.names() else "is empty"
            raise WeightsError(
                f"there is no model {name!r} in {self.path}, which {there}. Add it: wsisam weights add {name}"
            )
        return ModelRecord.read(self.path / name)

    def publish(self, staged: Path, record: ModelRecord) -> None:
        """Makes a staged folder a model of this folder, in one step.

        Args:
            staged: from `staging`, with the model's files in it.
            record: written beside them.

        Raises:
            WeightsError: the name is taken, or the disk is full.
        """
        self.require_free(record.name)
        try:
            (staged / RECORD).write_text(record.to_json(), encoding="utf-8")
            # Renaming does not replace a folder that has something in it: of two who add the same name, one wins.
            staged.rename(self.path / record.name)
        except OSError as error:
            self.require_free(record.name)
            raise write_error(self.path, error) from error

    def require_free(self, name: str) -> None:
        """Passes a name that no model here has.

        Raises:
            WeightsError: it is taken.
        """
        if (self.path / name).exists():
            raise WeightsError(f"there is a model {name!r} already; remove it first: wsisam weights remove {name}")

    def remove(self, name: str) -> None:
        """Removes a model. Files that were linked stay where they are.

        Raises:
            WeightsError: there is none of this name, others are built on it, or it cannot be deleted.
        """
        check_name(name)
        if not (self.path / name).is_dir():
            self.record(name)
        built_on_it = [other for other in self.names() if other != name and self._base(other) == name]
        if built_on_it:
            raise WeightsError(f"{', '.join(built_on_it)} use the frozen SAM of {name!r}; remove them first")
        try:
            (self.path / name).rename(self.path / f"{REMOVED}{uuid.uuid4().hex}")
        except OSError as error:
            raise WeightsError(f"{self.path / name} cannot be removed: {error.strerror}") from error
        remove_leftovers(self.path)

    def _base(self, name: str) -> str | None:
        try:
            return ModelRecord.read(self.path / name).base
        except WeightsError:
            return None
