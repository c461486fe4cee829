"""Whether a QuPath has a project open. What it holds in memory would overwrite what is written here.

QuPath leaves no lock in a project, and holds no file of a slide that OpenSlide reads. So several signs are looked for:

- a note in the project's folder that our scripts leave while a QuPath has it open (also from another machine or user);
- how a QuPath of this machine was started;
- the project that it opened last, as its preferences say (they are written within half a minute);
- the files that it has open.

What no sign tells: the project of a QuPath of another user or machine that never ran one of our scripts, and one that
was opened seconds ago. For those there is a second net: a data file that was saved from an older state is noticed by
the next sync, which then brings back what was overwritten.
"""

from __future__ import annotations

import contextlib
import json
import os
import platform
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import psutil

from wsisam_server.annotations.sync.record import FOLDER
from wsisam_server.qupath.preferences import recent_projects
from wsisam_server.slides.client_path import ClientPath

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

_MAIN_CLASS: Final = "qupath.QuPath"
_PREFERENCES: Final = "-Djava.util.prefs.userRoot="
_JAVA_OPTIONS: Final = ("JAVA_TOOL_OPTIONS", "JDK_JAVA_OPTIONS", "_JAVA_OPTIONS")

NOTES: Final = "open"
"""The folder of the notes that our scripts leave, in the project's own of ours."""

_CLOCK_SECONDS: Final = 2.0
"""By so much the times of a process and of a file may differ."""


@dataclass(frozen=True, slots=True)
class RunningQuPath:
    """A QuPath on this machine.

    Attributes:
        pid: its process.
        files: those that it has open; None when that may not be seen.
        named: the project that it was started with, if any.
        recent: the projects that its preferences name as opened last; None when these cannot be read.
    """

    pid: int
    files: frozenset[str] | None
    named: str | None = None
    recent: tuple[str, ...] | None = None

    def shows(self, paths: Iterable[Path]) -> bool:
        """Whether it has one of these files open."""
        return self.files is not None and any(_same(path, held) for path in paths for held in self.files)

    def why_open(self, project: Path) -> str | None:
        """What says that it has a project open, in words; None when nothing does."""
        if self.named is not None and _same(project, self.named):
            return f"QuPath (process {self.pid}) was started with this project"
        if any(_same(project, uri) for uri in self.recent or ()):
            return f"QuPath (process {self.pid}) is running, and this is the project that it opened last"
        return None


def running() -> list[RunningQuPath]:
    """Every QuPath of this machine that can be seen."""
    return [_seen(process) for process in _qupaths()]


def noted(project: Path) -> str | None:
    """What our scripts have noted of a QuPath that has a project open, in words; None when there is none.

    Args:
        project: the project file.
    """
    for path in sorted((project.parent / FOLDER / NOTES).glob("*.json")):
        try:
            said = json.loads(path.read_bytes())
            host, pid, since, user = said["host"], int(said["pid"]), float(said["started"]), said["user"]
        except (OSError, ValueError, KeyError, TypeError):
            continue
        if _bare(host) != _bare(platform.node()):
            return (
                f"QuPath has this project open on the machine {host} ({user}). If it does not run there any more, "
                f"delete {path}"
            )
        with contextlib.suppress(psutil.Error):
            if abs(psutil.Process(pid).create_time() - since) <= _CLOCK_SECONDS:
                return f"QuPath (process {pid}) has this project open"
    return None


def _bare(host: str) -> str:
    """A machine's name, however much of its domain is said along."""
    return host.partition(".")[0].casefold()


def _qupaths() -> Iterator[psutil.Process]:
    for process in psutil.process_iter(["name", "cmdline"]):
        name, words = process.info["name"] or "", process.info["cmdline"] or []
        # The installed program is named after its version, "QuPath-0.6.0"; from a source tree it is plain Java.
        if name.lower().startswith("qupath") or _MAIN_CLASS in words:
            yield process


def _seen(process: psutil.Process) -> RunningQuPath:
    words = process.info["cmdline"] or []
    return RunningQuPath(process.pid, _files(process), _project(words, process), _recent(words, process))


def _files(process: psutil.Process) -> frozenset[str] | None:
    try:
        return frozenset(file.path for file in process.open_files())
    except (psutil.Error, OSError):
        return None


def _project(words: Sequence[str], process: psutil.Process) -> str | None:
    """The project in a command line: -p FILE, --project FILE, --project=FILE, or a file that was double-clicked."""
    found = next((word for word in words if word.lower().endswith(".qpproj")), None)
    if found is None:
        return None
    found = found.partition("=")[2] if found.startswith("-") and "=" in found else found
    try:
        return str(Path(process.cwd()) / found)
    except (psutil.Error, OSError):
        return found


def _recent(words: Sequence[str], process: psutil.Process) -> tuple[str, ...] | None:
    options = [*words]
    with contextlib.suppress(psutil.Error, OSError, ValueError):
        environment = process.environ()
        options += [word for name in _JAVA_OPTIONS for word in shlex.split(environment.get(name, ""))]
    root = next((word.removeprefix(_PREFERENCES) for word in options if word.startswith(_PREFERENCES)), None)
    try:
        if process.username() != psutil.Process().username():
            return None
        found = recent_projects(Path.home() if root is None else Path(root))
    except (psutil.Error, OSError):
        return None
    return tuple(found.values()) or None


def _same(path: Path, other: str) -> bool:
    """Whether a path or URI names a file. Windows tells no capital letters from small ones."""
    try:
        there = ClientPath.parse(other).as_local()
    except ValueError:
        return False
    if os.path.normcase(path) == os.path.normcase(there):
        return True
    try:
        return path.samefile(there)
    except OSError:
        return False
