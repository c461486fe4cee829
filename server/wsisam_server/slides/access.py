"""Decides which file a client's URI names, and whether it may be opened."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING

from wsisam_server.errors import Reason, WsiSamServerError
from wsisam_server.slides.client_path import ClientPath

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from wsisam_server.config import PathMapping


class SlideAccess:
    """The gate between clients' paths and the server's files: nothing outside the roots is ever touched.

    The roots are trusted: whoever can write there could exchange a file between the check and its opening, or name
    files elsewhere in the index of a multi-file format. They should be read-only to clients.

    Args:
        roots: folders whose files may be opened; a root may be, or lie behind, a symbolic link.
        mappings: client prefixes and what takes their place. A mapping grants nothing: its target must lie in a root.

    Raises:
        ValueError: a mapping's client prefix is no path.
    """

    def __init__(self, roots: Sequence[Path], mappings: Sequence[PathMapping]) -> None:
        self._roots = tuple(Path(os.path.abspath(root)) for root in roots)  # noqa: PTH100 - lexical, resolves no link
        parsed = [(ClientPath.parse(mapping.client_prefix), mapping.server_prefix.absolute()) for mapping in mappings]
        self._mappings = sorted(parsed, key=lambda mapping: len(mapping[0].parts), reverse=True)

    def resolve(self, uri: str) -> Path:
        r"""Finds the file that a URI names.

        Accepted are plain paths and file URIs. The longest mapping whose prefix matches on whole components is
        applied; a relative path that no mapping matches is tried below each root in turn. `..` is refused outright.
        Windows paths (`C:\...`, `\\host\share\...`) need a mapping on a POSIX server.

        Returns:
            The real path, free of links: a regular file inside a root.

        Raises:
            WsiSamServerError: SLIDE_NOT_FOUND for everything else, always with the same text, so that nobody learns
                what exists outside the roots.
        """
        try:
            path = ClientPath.parse(uri)
            for candidate in self._candidates(path):
                found = self._inside(candidate)
                if found is not None:
                    return found
        except ValueError:
            # No path at all, or one that the file system's encoding cannot express.
            pass
        raise WsiSamServerError(Reason.SLIDE_NOT_FOUND, private="refused or missing", place=uri[:300])

    def _candidates(self, path: ClientPath) -> Iterable[Path]:
        for prefix, server_prefix in self._mappings:
            rest = path.below(prefix)
            if rest is not None:
                return [server_prefix.joinpath(*rest)]
        if path.anchor:
            return [path.as_local()]
        return [root.joinpath(*path.parts) for root in self._roots]

    def _inside(self, candidate: Path) -> Path | None:
        real_roots = [Path(os.path.realpath(root)) for root in self._roots]
        # Lexically first: only then may the file system be asked about the path, so that not even the time taken
        # tells what exists elsewhere.
        if not any(candidate.is_relative_to(root) for root in (*self._roots, *real_roots)):
            return None
        try:
            real = candidate.resolve(strict=True)
            inside = any(real.is_relative_to(root) for root in real_roots)
            # Before any open: opening a FIFO or a device blocks, or acts.
            return real if inside and stat.S_ISREG(real.stat().st_mode) else None
        except (OSError, RuntimeError):
            # Python before 3.13 reports a loop of links as RuntimeError.
            return None
