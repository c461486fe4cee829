"""Whether a QuPath on this machine has a project open. What it holds in memory would overwrite what is written here.

QuPath leaves no lock and no sign in a project. What can be seen is its process, and which files that has open: while
an image is shown, its file is, for most formats. What cannot be seen: a QuPath on another machine or of another user,
and an image of a format that is read whole and closed again (plain TIFF, PNG, JPEG). For those there is a second net: a
data file that was saved from an older state is noticed by the next sync, which then brings back what was overwritten.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import psutil

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

_MAIN_CLASS: Final = "qupath.QuPath"


@dataclass(frozen=True, slots=True)
class RunningQuPath:
    """A QuPath on this machine.

    Attributes:
        pid: its process.
        files: those that it has open; None when that may not be seen.
    """

    pid: int
    files: frozenset[str] | None

    def shows(self, paths: Iterable[Path]) -> bool:
        """Whether it has one of these files open."""
        return self.files is not None and any(str(path) in self.files for path in paths)


def running() -> list[RunningQuPath]:
    """Every QuPath of this machine that can be seen."""
    return [RunningQuPath(process.pid, _files(process)) for process in _qupaths()]


def _qupaths() -> Iterator[psutil.Process]:
    for process in psutil.process_iter(["name", "cmdline"]):
        name, words = process.info["name"] or "", process.info["cmdline"] or []
        # The installed program is named after its version, "QuPath-0.6.0"; from a source tree it is plain Java.
        if name.lower().startswith("qupath") or _MAIN_CLASS in words:
            yield process


def _files(process: psutil.Process) -> frozenset[str] | None:
    try:
        return frozenset(file.path for file in process.open_files())
    except psutil.Error:
        return None
