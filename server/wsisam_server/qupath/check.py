"""Tells whether what is in a user directory is what should be there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from wsisam_server.qupath import installation
from wsisam_server.qupath import manifest as manifests
from wsisam_server.qupath.bundle import JAR_FOLDER
from wsisam_server.qupath.directories import SUPPORTED
from wsisam_server.qupath.install import other_jars

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from wsisam_server.qupath.bundle import Bundle
    from wsisam_server.qupath.directories import UserDirectory


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        fits: whether it is as it should be.
        text: what was found and, where it does not fit, what to do.
    """

    fits: bool
    text: str


def check(bundle: Bundle, directory: UserDirectory) -> list[Finding]:
    """Looks at one user directory.

    Raises:
        QuPathFilesError: the manifest is damaged.
    """
    return list(_findings(bundle, directory))


def _findings(bundle: Bundle, directory: UserDirectory) -> Iterator[Finding]:
    yield _version(directory)
    installed = manifests.read(directory.path)
    if not installed.files:
        yield Finding(fits=False, text="nothing is installed: run `wsisam qupath install`")
        return
    for place, source in bundle.targets().items():
        yield _file(directory.path / place, source, installed.files.get(place, ""))
    if installation.PLACE in installed.files:
        yield _noted(directory.path / installation.PLACE)
    for jar in other_jars(directory.path, bundle.jar.name):
        yield Finding(fits=False, text=f"{jar.name} is in {JAR_FOLDER}, too: run `wsisam qupath install`")


def _version(directory: UserDirectory) -> Finding:
    supported = ", ".join(SUPPORTED)
    if not directory.versions:
        return Finding(fits=True, text=f"used by a QuPath of unknown version (made for {supported})")
    versions = ", ".join(directory.versions)
    return Finding(fits=directory.supported, text=f"used by QuPath {versions} (made for {supported})")


def _noted(file: Path) -> Finding:
    python = installation.noted(file)
    if python is None:
        return Finding(fits=False, text=f"{file.name} is missing or damaged: run `wsisam qupath install`")
    if not python.is_file():
        text = f"QuPath cannot start a server here: {python} is gone. Run `wsisam qupath install` again"
        return Finding(fits=False, text=text)
    return Finding(fits=True, text=f"QuPath starts a server on this computer with {python}")


def _file(file: Path, source: Path, installed: str) -> Finding:
    present, wanted = manifests.digest(file), manifests.digest(source)
    if not present:
        return Finding(fits=False, text=f"{file.name} is missing: run `wsisam qupath install`")
    if present == wanted:
        return Finding(fits=True, text=f"{file.name} is this version's")
    if present == installed:
        return Finding(fits=False, text=f"{file.name} is another version's: run `wsisam qupath install`")
    return Finding(fits=file.suffix == ".groovy", text=f"{file.name} was changed by somebody")
