"""Finds QuPath's user directories: where it looks for extensions and scripts."""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass
from pathlib import Path

from wsisam_server.qupath.manifest import NAME as MANIFEST
from wsisam_server.qupath.preferences import user_paths

SUPPORTED = ("0.5", "0.6", "0.7")
"""Versions of QuPath that the jar and the scripts are made for."""

_FOLDERS = frozenset({"colormaps", "css", "localization", "logs", "scripts"})
"""What QuPath itself makes in its user directory, beside the extensions."""

_VERSION = re.compile(r"v?(\d+\.\d+)(?:\D.*)?")


@dataclass(frozen=True, slots=True)
class UserDirectory:
    """One user directory.

    Attributes:
        path: the folder; it exists.
        versions: the versions of QuPath that use it, as far as known.
    """

    path: Path
    versions: tuple[str, ...]

    @property
    def supported(self) -> bool:
        """Whether a QuPath uses it that the jar is made for; true when nothing is known."""
        return not self.versions or bool(set(self.versions) & set(SUPPORTED))


def find_user_directories(home: Path | None = None, platform: str = sys.platform) -> list[UserDirectory]:
    """The user directories of this user that exist: those in QuPath's preferences, and those at QuPath's own default.

    QuPath asks for the folder in its first session and suggests ~/QuPath/vVERSION. Before that there is none.

    Args:
        home: the user's home folder.
        platform: as `sys.platform`.
    """
    home = home or Path.home()
    versions: dict[Path, set[str]] = {}
    for version, path in user_paths(home, platform).items():
        versions.setdefault(Path(path), set()).add(version)
    for version in SUPPORTED:
        versions.setdefault(home / "QuPath" / f"v{version}", set()).add(version)
    return [
        UserDirectory(path, tuple(sorted(known)))
        for path, known in sorted(versions.items())
        if path.is_absolute() and path.is_dir()
    ]


def why_not(path: Path, home: Path | None = None) -> str:
    """Why nothing may be written into a folder: it is not one of QuPath's. "" if it is, or is empty.

    A preference may hold anything: QuPath takes each letter that is typed into its field, so that "/" was one.
    """
    if path.parent == path:
        return "it is the root of a drive"
    if path == (home or Path.home()):
        return "it is your home folder"
    inside = {entry.name for entry in path.iterdir()}
    if not inside or inside & {"extensions", MANIFEST}:
        return ""
    if _VERSION.fullmatch(path.name) and inside & _FOLDERS:
        return ""
    return "it holds other things, and no folder named extensions"


def given_user_directory(path: Path) -> UserDirectory:
    """A folder that the user names. Its version is taken from its name, if that has one."""
    match = _VERSION.fullmatch(path.name)
    return UserDirectory(path, (match[1],) if match else ())
