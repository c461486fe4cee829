"""One slide's file, held open: all that is said of a slide comes from the bytes behind one descriptor.

A path names another file the next moment: a link takes its place, a scanner writes a new slide over it. So a file is
opened first, and looked at afterwards. Where the system names descriptors (`/proc/self/fd`), libraries that take
paths get that name; elsewhere they get the path, and whether it still names the same file is compared afterwards.
"""

from __future__ import annotations

import contextlib
import os
import stat
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from wsisam_server.core.errors import Reason, WsiSamServerError
from wsisam_server.slides.unreadable import unreadable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

StatSignature = tuple[int, int, int, int, int]
"""Device, inode, size, and the times in nanoseconds when content and inode last changed."""

_DESCRIPTORS: Path | None = Path("/proc/self/fd")

_WALKS: Final = os.open in os.supports_dir_fd and hasattr(os, "O_NOFOLLOW") and hasattr(os, "O_DIRECTORY")
_FOLDER: Final = getattr(os, "O_PATH", os.O_RDONLY) | getattr(os, "O_DIRECTORY", 0) | getattr(os, "O_CLOEXEC", 0)
_NO_LINK: Final = getattr(os, "O_NOFOLLOW", 0)
_NO_WAITING: Final = getattr(os, "O_NONBLOCK", 0)  # for the reader of a FIFO that took the file's place
_READ: Final = os.O_RDONLY | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0) | getattr(os, "O_NOCTTY", 0)

_COARSEST_CLOCK: Final = 2_000_000_000
"""Nanoseconds in which a file may change twice and look as if it had once: FAT's; of most others a few milliseconds."""


class SlideFile:
    """A regular file that is open for reading.

    Args:
        path: under which it was opened.
        descriptor: of it; closed with this object.
        roots: real paths of the folders outside of which nothing may be read for it; none for no bounds.

    Attributes:
        members: the other files of a set that is one slide, by their paths.
        by_path: whether a library reads it by its path, not by its `name`.
        read_as: the stat signatures of what the slide was made of.
    """

    def __init__(self, path: Path, descriptor: int, roots: Sequence[Path] = ()) -> None:
        self.path = path
        self.roots = tuple(roots)
        self.members: tuple[Path, ...] = ()
        self.by_path = False
        self.read_as: tuple[StatSignature, ...] = ()
        self._descriptor: int | None = descriptor

    @classmethod
    def open(cls, path: Path) -> SlideFile:
        """Opens a file wherever it lies, links followed.

        Raises:
            WsiSamServerError: SLIDE_NOT_FOUND: there is no regular file; SLIDE_UNREADABLE: it may not be read.
        """
        return cls._opened(path, lambda: _regular(path, None, follow=True))

    @classmethod
    def open_below(cls, path: Path, roots: Sequence[Path]) -> SlideFile:
        """Opens a file below one of some folders by a path without links; where one is in it by now, there is no file.

        Args:
            path: a real path, as it was a moment ago.
            roots: trusted, real paths.

        Raises:
            WsiSamServerError: as for `open`.
        """
        return cls._opened(path, lambda: _below(roots, path), roots)

    @classmethod
    def _opened(cls, path: Path, opening: Callable[[], int], roots: Sequence[Path] = ()) -> SlideFile:
        try:
            return cls(path, opening(), roots)
        except PermissionError as error:
            raise unreadable(error, path) from error
        except OSError as error:
            raise WsiSamServerError(Reason.SLIDE_NOT_FOUND, private=repr(error), path=path) from error

    @property
    def name(self) -> Path:
        """A path by which this very file can be opened again; where the system has none, that under which it was."""
        if self._descriptor is not None and _DESCRIPTORS is not None:
            name = _DESCRIPTORS / str(self._descriptor)
            with contextlib.suppress(OSError):
                if os.path.samestat(name.stat(), os.fstat(self._descriptor)):
                    return name
        return self.path

    def held(self) -> tuple[StatSignature, ...]:
        """Stat signatures of what is read: the open file, and the other files of a set.

        Raises:
            WsiSamServerError: SLIDE_UNREADABLE: a file of the set is gone.
        """
        assert self._descriptor is not None
        try:
            own = signature(os.fstat(self._descriptor))
            others = (self.path, *self.members) if self.by_path or self.name == self.path else self.members
            return (own, *(signature(one.stat()) for one in others))
        except OSError as error:
            raise unreadable(error, self.path) from error

    def close(self) -> None:
        """Lets go of the file; twice is harmless. Nobody may be reading by its `name`."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)

    def __del__(self) -> None:
        """A file that nobody can read any more is closed: a read that was abandoned may end long after its slide."""
        self.close()


def signature(status: os.stat_result) -> StatSignature:
    """What changes when a file is edited or replaced. A new time alone is a reason to look, not a change."""
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns


def named(path: Path, members: tuple[Path, ...] = ()) -> tuple[StatSignature, ...]:
    """Stat signatures of what lies at these paths now.

    Raises:
        WsiSamServerError: SLIDE_NOT_FOUND when the file is gone; SLIDE_UNREADABLE when another one of the set is.
    """
    try:
        own = signature(path.stat())
    except OSError as error:
        raise WsiSamServerError(Reason.SLIDE_NOT_FOUND, private=repr(error), path=path) from error
    try:
        return (own, *(signature(one.stat()) for one in members))
    except OSError as error:
        raise unreadable(error, path) from error


def is_settled(signatures: tuple[StatSignature, ...]) -> bool:
    """Whether a change after these signatures were taken would show in them: the last one was not just now."""
    now = time.time_ns()
    return all(abs(now - max(changed, altered)) > _COARSEST_CLOCK for *_, changed, altered in signatures)


def _regular(name: str | Path, folder: int | None, *, follow: bool) -> int:
    """Opens a regular file, and nothing else: opening a FIFO or a device would block, or act."""
    if not stat.S_ISREG(os.stat(name, dir_fd=folder, follow_symlinks=follow).st_mode):
        raise FileNotFoundError("not a regular file")
    flags = _READ if follow else _READ | _NO_LINK
    try:
        descriptor = os.open(name, flags | _NO_WAITING, dir_fd=folder)
    except BlockingIOError:
        # Another program holds a lease, as Samba does: the system has it given back.
        descriptor = os.open(name, flags, dir_fd=folder)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise FileNotFoundError("not a regular file")
    return descriptor


def _below(roots: Sequence[Path], path: Path) -> int:
    root = next((root for root in roots if path.is_relative_to(root) and path != root), None)
    if root is None:
        raise FileNotFoundError("outside the roots")
    parts = path.relative_to(root).parts
    if not _WALKS:
        return _compared(path)
    folder = os.open(root, _FOLDER)
    try:
        for part in parts[:-1]:
            below = os.open(part, _FOLDER | _NO_LINK, dir_fd=folder)
            os.close(folder)
            folder = below
        return _regular(parts[-1], folder, follow=False)
    finally:
        os.close(folder)


def _compared(path: Path) -> int:
    """Opens a file by its real path where folders cannot be walked, and looks afterwards whether that is still real."""
    descriptor = _regular(path, None, follow=True)
    try:
        same = os.path.samestat(path.lstat(), os.fstat(descriptor))
        if same and os.path.normcase(os.path.realpath(path)) == os.path.normcase(path):
            return descriptor
    except BaseException:
        os.close(descriptor)
        raise
    os.close(descriptor)
    raise FileNotFoundError("another file took its place")
