"""Decides which file a client's URI names, and whether it may be opened."""

from __future__ import annotations

import os
import stat
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from wsisam_server.core.errors import Reason, WsiSamServerError
from wsisam_server.core.settings import Limits
from wsisam_server.core.spelling import find_spelled, same_letters
from wsisam_server.slides.client_path import ClientPath
from wsisam_server.slides.file import SlideFile

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from wsisam_server.core.settings import PathMapping


@dataclass(frozen=True, slots=True)
class FileLocation:
    """A location at which a file may lie.

    Attributes:
        root: the folder that is searched; None for no bounds.
        path: the file as the URI names it, links not followed.
        is_below: whether the path lies below the root as it is written; if not, perhaps below its real path.
        ignore_case: whether the client's system ignores it.
    """

    root: Path | None
    path: Path
    is_below: bool = True
    ignore_case: bool = False


class SlideAccess:
    """Access control between clients' paths and the server's files: nothing outside the roots is ever opened.

    What was found is opened folder by folder without following links, so that one which takes a file's place after
    the check leads nowhere. Files that belong to a slide of several files must lie in the roots, too.

    Args:
        roots: folders whose files may be opened; a root may be, or lie behind, a symbolic link.
        mappings: client prefixes and what takes their place. A mapping grants nothing: its target must lie in a root.
        seconds: timeout for the roots' answers now; a silent one may answer later.

    Attributes:
        missing: roots that are no folders.
        silent: roots that did not answer.

    Raises:
        ValueError: a mapping's client prefix is no path.
    """

    def __init__(
        self, roots: Sequence[Path], mappings: Sequence[PathMapping], seconds: float = Limits().file_system_seconds
    ) -> None:
        self._roots = tuple(Path(os.path.abspath(root)) for root in roots)  # noqa: PTH100 - lexical, resolves no link
        known = inspect_roots(self._roots, seconds)
        self.missing = tuple(root for root, found in known.items() if not found.is_folder)
        self.silent = tuple(root for root in self._roots if root not in known)
        # As they were last seen: of other roots than a slide's own, which may hang, nothing is asked.
        self._real = {root: known[root].real if root in known else root for root in self._roots}
        parsed = [(ClientPath.parse(mapping.client), mapping.server.absolute()) for mapping in mappings]
        self._mappings = sorted(parsed, key=lambda mapping: len(mapping[0].parts), reverse=True)

    def resolve(self, uri: str) -> Path:
        r"""Finds the file that a URI names.

        Accepted are plain paths and file URIs. The longest mapping whose prefix matches on whole components is
        applied; a relative path that no mapping matches is tried below each root in turn. `..` is refused outright.
        Windows paths (`C:\...`, `\\host\share\...`) need a mapping on a POSIX server; below it, case is ignored where
        no file has the name as it is written. Composed and decomposed letters (a Mac's) are the same everywhere.

        Returns:
            The real path, free of links: a regular file inside a root.

        Raises:
            WsiSamServerError: SLIDE_NOT_FOUND for everything else, always with the same text, so that nobody learns
                what exists outside the roots.
        """
        for location in self.locations(uri):
            found = self.find(location)
            if found is not None:
                return found
        raise not_found(uri)

    def locations(self, uri: str) -> Sequence[FileLocation]:
        """Where the file that a URI names may lie, in the order in which it is looked for. Asks no file system.

        Raises:
            WsiSamServerError: SLIDE_NOT_FOUND: nowhere in the roots.
        """
        try:
            client = ClientPath.parse(uri)
            found = [location for path in self._candidates(client) for location in self._below(path, client)]
        except ValueError as error:  # no path at all
            raise not_found(uri) from error
        if not found:
            raise not_found(uri)
        # Below a root as it is written, if any; the others are asked only if there is none.
        return [location for location in found if location.is_below] or found

    def find(self, location: FileLocation) -> Path | None:
        """The real path of the regular file at a place; None where there is none, or outside the roots."""
        root = location.root
        assert root is not None
        try:
            self._real[root] = real_root = Path(os.path.realpath(root))
            # Lexically first: only then may the file system be asked about the path, so that not even the time taken
            # tells what exists elsewhere.
            above = next((one for one in (root, real_root) if location.path.is_relative_to(one)), None)
            if above is None:
                return None
            parts = location.path.relative_to(above).parts
            spelled = find_spelled(above, parts, ignore_case=location.ignore_case)
            if spelled is None:
                return None
            real = spelled.resolve(strict=True)
            inside = any(real.is_relative_to(one) for one in self._real.values())
            # Before any open: opening a FIFO or a device blocks, or acts.
            return real if inside and stat.S_ISREG(real.stat().st_mode) else None
        except (OSError, RuntimeError, ValueError):
            # Python before 3.13 reports a loop of links as RuntimeError; ValueError is a name that the file system's
            # encoding cannot express.
            return None

    def open(self, path: Path) -> SlideFile:
        """Opens what `find` found, if it is still there and no link has taken its place, or that of a folder above it.

        Raises:
            WsiSamServerError: SLIDE_NOT_FOUND; SLIDE_UNREADABLE where the server may not read it.
        """
        return SlideFile.open_below(path, tuple(self._real.values()))

    def _candidates(self, path: ClientPath) -> Iterable[Path]:
        for prefix, server_prefix in self._mappings:
            rest = path.below(prefix)
            if rest is not None:
                return [server_prefix.joinpath(*rest)]
        if path.anchor:
            return [path.as_local()]
        return [root.joinpath(*path.parts) for root in self._roots]

    def _below(self, path: Path, client: ClientPath) -> list[FileLocation]:
        case = client.is_windows
        sure = [
            FileLocation(root, spelled, ignore_case=case)
            for root, real in self._real.items()
            for spelled in [_as_below(root, path) or _as_below(real, path)]
            if spelled is not None
        ]
        return sure or [FileLocation(root, path, is_below=False, ignore_case=case) for root in self._roots]


def _as_below(root: Path, path: Path) -> Path | None:
    """A path below a root, with the root's own spelling; None where it lies elsewhere."""
    count = len(root.parts)
    if tuple(map(same_letters, path.parts[:count])) != tuple(map(same_letters, root.parts)):
        return None
    return root.joinpath(*path.parts[count:])


def not_found(uri: str) -> WsiSamServerError:
    """The same error for missing and for forbidden files."""
    return WsiSamServerError(Reason.SLIDE_NOT_FOUND, private="refused or missing", path=uri[:300])


class Root(NamedTuple):
    """A root as it was found at the start: its real path, free of links, and whether it is a folder."""

    real: Path
    is_folder: bool


def inspect_roots(roots: Iterable[Path], seconds: float) -> dict[Path, Root]:
    """Inspects all roots at once, each on a thread of its own, so that a hanging drive does not delay the start.

    The thread of a root that does not answer is abandoned.

    Args:
        roots: absolute paths.
        seconds: timeout for all of them together.

    Returns:
        The roots that answered in time.
    """
    found: dict[Path, Root] = {}

    def look(root: Path) -> None:
        found[root] = Root(Path(os.path.realpath(root)), root.is_dir())

    wanted = list(roots)
    threads = [threading.Thread(target=look, args=(root,), name="wsisam-root", daemon=True) for root in wanted]
    deadline = time.monotonic() + seconds
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))
    # Not `found` itself: a thread that is late may yet add to it.
    return {root: found[root] for root in wanted if root in found}
