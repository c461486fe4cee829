"""Reads the path or file URI that a client sends, without touching the file system.

Java writes file URIs in several ways, and QuPath passes them on: `file:/x` (RFC 8089, minimal), `file:///x`,
`file:/C:/x` for a drive and `file:////host/share/x` for a UNC path.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

from wsisam_server.core.spelling import same_letters

_LONGEST = 4096  # PATH_MAX of Linux
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):(.*)", re.DOTALL)  # two characters at least: one is a drive
_DRIVE = re.compile(r"([A-Za-z]:)(/.*)?", re.DOTALL)
_UNC = re.compile(r"//([^/]+)(/.*)?", re.DOTALL)


@dataclass(frozen=True, slots=True)
class ClientPath:
    """A path in canonical form, free of `.` and `..`.

    Attributes:
        anchor: "" when relative, "/", a drive such as "C:", or a UNC host such as "//host".
        parts: the components below the anchor.
    """

    anchor: str
    parts: tuple[str, ...]

    @classmethod
    def parse(cls, text: str) -> ClientPath:
        r"""Reads a plain path or a file URI.

        Backslashes count as slashes everywhere: it is what Windows clients mean, and nothing can hide behind them. A
        file whose name holds one cannot be opened by reference.

        Raises:
            ValueError: empty, too long, holds NUL or a `..` component, is of another scheme, or is no path at all.
        """
        if not text or len(text) > _LONGEST:
            raise ValueError("empty or too long")
        scheme = _SCHEME.fullmatch(text)
        if scheme is not None:
            if scheme[1].lower() != "file":
                raise ValueError("not a file URI")
            text = _path_of_file_uri(scheme[2])
        text = text.replace("\\", "/")
        if "\0" in text:
            raise ValueError("holds NUL")
        anchor, rest = _split_anchor(text)
        parts = tuple(part for part in rest.split("/") if part not in {"", "."})
        if ".." in parts:
            raise ValueError("holds '..'")
        return cls(anchor, parts)

    def below(self, prefix: ClientPath) -> tuple[str, ...] | None:
        """The components below a prefix, or None. Windows paths compare without case, as on Windows."""
        count = len(prefix.parts)
        ours = tuple(map(same_letters, (self.anchor, *self.parts[:count])))
        theirs = tuple(map(same_letters, (prefix.anchor, *prefix.parts)))
        if self.is_windows:
            ours, theirs = tuple(map(str.casefold, ours)), tuple(map(str.casefold, theirs))
        return self.parts[count:] if ours == theirs else None

    def as_local(self) -> Path:
        """The path as this machine reads it. On POSIX a drive then lies below no absolute root, nor does a UNC host."""
        return Path("/".join((self.anchor.rstrip("/"), *self.parts)) if self.anchor else "/".join(self.parts))

    @property
    def is_windows(self) -> bool:
        """Whether it is of Windows: with a drive or a host."""
        return self.anchor not in {"", "/"}


def _path_of_file_uri(rest: str) -> str:
    """What follows `file:`, percent-decoded exactly once."""
    if "?" in rest or "#" in rest:
        raise ValueError("a file URI has no query and no fragment")
    if rest.startswith("//"):
        host, slash, path = rest[2:].partition("/")
        rest = slash + path if host.lower() in {"", "localhost"} else rest
    # An encoded slash or dot becomes a real one here, before anything is checked.
    path = unquote(rest, errors="strict").replace("\\", "/")
    if _DRIVE.fullmatch(path.removeprefix("/")):
        return path.removeprefix("/")
    if not path.startswith("/"):
        raise ValueError("a file URI is absolute")
    return path


def _split_anchor(text: str) -> tuple[str, str]:
    for pattern in (_DRIVE, _UNC):
        match = pattern.fullmatch(text)
        if match is not None:
            return match[1].upper() if pattern is _DRIVE else f"//{match[1].lower()}", match[2] or ""
    if _DRIVE.match(text):
        raise ValueError("relative to a drive's current folder")
    return ("/", text) if text.startswith("/") else ("", text)
