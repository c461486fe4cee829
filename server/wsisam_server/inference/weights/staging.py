"""Files on their way into the folder of models: out of sight until they are complete, gone if they never are."""

from __future__ import annotations

import errno
import shutil
import uuid
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

import filelock

from wsisam_server.inference.weights.errors import WeightsError

if TYPE_CHECKING:
    from collections.abc import Iterator

ADDING: Final = ".adding-"
REMOVED: Final = ".removed-"
"""Prefixes of what is no model yet, and of what is none any more; names of models never begin with a dot."""

_LOCK: Final = ".lock"


@contextmanager
def staging(folder: Path) -> Iterator[Path]:
    """A folder for a model's files, on the disk on which they will stay. Deleted on leaving unless it was moved.

    While it is used it is locked, so that others can tell it from what a killed process left behind.

    Args:
        folder: of the models; made if it is missing.

    Raises:
        WeightsError: it cannot be written to.
    """
    place = folder / f"{ADDING}{uuid.uuid4().hex}"
    lock = filelock.FileLock(f"{place}{_LOCK}")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        remove_leftovers(folder)
        lock.acquire()
    except OSError as error:
        raise write_error(folder, error) from error
    try:
        place.mkdir()
        yield place
    finally:
        shutil.rmtree(place, ignore_errors=True)
        _release(lock)


def leftovers(folder: Path) -> list[Path]:
    """The folders that killed processes left behind."""
    return [*folder.glob(f"{REMOVED}*"), *(place for place in _abandoned(folder) if place.exists())]


def remove_leftovers(folder: Path) -> None:
    """Deletes what killed processes left behind, and what was put aside to be removed."""
    for places in (folder.glob(f"{REMOVED}*"), _abandoned(folder)):
        for place in places:
            shutil.rmtree(place, ignore_errors=True)


def write_error(place: Path, error: OSError) -> WeightsError:
    """The text for a user whose file could not be written."""
    is_full = error.errno in {errno.ENOSPC, errno.EDQUOT}
    problem = "its disk is full" if is_full else error.strerror or str(error)
    return WeightsError(f"cannot write to {place}: {problem}. Nothing was added. Another folder: --weights-dir")


def _abandoned(folder: Path) -> Iterator[Path]:
    """The staging folders that no process uses, each locked while it is yielded."""
    for path in folder.glob(f"{ADDING}*{_LOCK}"):
        lock = filelock.FileLock(path)
        try:
            lock.acquire(blocking=False)
        except filelock.Timeout:
            continue
        place = path.with_suffix("")
        try:
            yield place
        finally:
            if place.exists():
                lock.release()
            else:
                _release(lock)


def _release(lock: filelock.BaseFileLock) -> None:
    file = Path(lock.lock_file)
    # While it is locked, or on Windows, which does not delete open files, right after.
    with suppress(OSError):
        file.unlink()
    lock.release()
    with suppress(OSError):
        file.unlink()
