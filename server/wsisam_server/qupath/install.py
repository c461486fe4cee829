"""Installs, upgrades and uninstalls files in a user directory. What a user changed is never lost."""

from __future__ import annotations

import hashlib
import shutil
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

import wsisam_server
from wsisam_server.core.files import write_whole
from wsisam_server.qupath import installation
from wsisam_server.qupath import manifest as manifests
from wsisam_server.qupath.bundle import CLASSES_FOLDER, JAR_FOLDER, JAR_PREFIX, Bundle
from wsisam_server.qupath.errors import QuPathFilesError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from wsisam_server.qupath.manifest import Manifest


@dataclass(frozen=True, slots=True)
class FileAction:
    """What was done to one file.

    Attributes:
        done: "installed", "replaced", "kept", "removed" or "set aside".
        file: what it was done to.
        note: what the user should know of it; may be empty.
    """

    done: str
    file: Path
    note: str = ""


def install(bundle: Bundle, directory: Path, python: str = "") -> list[FileAction]:
    """Installs, or upgrades, or leaves as it is what is there already.

    A file that the user changed, and a jar of another version that somebody else put there, are set aside under a name
    that QuPath does not load.

    Args:
        bundle: what to install.
        directory: the user directory; it exists.
        python: the program by which QuPath may start a server on this computer; "" for none.

    Raises:
        QuPathFilesError: a folder or a file cannot be written, or the manifest is damaged.
    """
    before = manifests.read(directory)
    sources = bundle.targets()
    actions: list[FileAction] = []
    try:
        targets = {place: source.read_bytes() for place, source in sources.items()}
        if python:
            targets[installation.PLACE] = installation.note(python)
        folders = {*before.folders, *_missing_folders(directory, targets)}
        for place in sorted(before.files.keys() - targets.keys()):
            actions += _take_out(directory / place, before.files[place])
        actions += _set_aside_other_jars(directory, sources)
        for place, data in targets.items():
            actions += _put(directory / place, data, before.files.get(place, ""))
        files = {place: hashlib.sha256(data).hexdigest() for place, data in targets.items()}
        manifests.write(directory, manifests.Manifest(wsisam_server.__version__, files, tuple(sorted(folders))))
    except OSError as error:
        raise _cannot_write(directory, error) from error
    return actions


def uninstall(directory: Path) -> list[FileAction]:
    """Removes what was installed, and folders made for it; what the user changed stays, under another name.

    Raises:
        QuPathFilesError: a file cannot be removed, or the manifest is damaged.
    """
    before: Manifest = manifests.read(directory)
    actions: list[FileAction] = []
    try:
        for place, sha256 in sorted(before.files.items()):
            actions += _take_out(directory / place, sha256)
        manifests.write(directory, manifests.Manifest())
        if before.files:
            for made in (CLASSES_FOLDER, installation.LOCAL_FOLDER):  # by the extension
                shutil.rmtree(directory / made, ignore_errors=True)
        scripts = {str(PurePosixPath(place).parent) for place in before.files} - {JAR_FOLDER}
        for place in sorted({*before.folders, *scripts}, reverse=True):  # what lies in another one before that
            folder = directory / place
            if folder.is_dir() and not any(folder.iterdir()):
                folder.rmdir()
    except OSError as error:
        raise _cannot_write(directory, error) from error
    return actions


def other_jars(directory: Path, ours: str) -> Iterator[Path]:
    """Client jars beside the one that should be there: QuPath would load one of them, and nobody knows which."""
    for jar in sorted((directory / JAR_FOLDER).rglob(f"{JAR_PREFIX}*.jar")):
        if jar != directory / JAR_FOLDER / ours:
            yield jar


def _missing_folders(directory: Path, places: Iterable[str]) -> set[str]:
    """The folders, relative to the directory, that have to be made for files at these places."""
    parents = {str(folder) for place in places for folder in PurePosixPath(place).parents} - {"."}
    return {folder for folder in parents if not (directory / folder).exists()}


def _put(file: Path, data: bytes, installed_before: str) -> Iterator[FileAction]:
    present = manifests.digest(file)
    if file.is_file() and file.read_bytes() == data:
        yield FileAction("kept", file)
        return
    changed = bool(present) and present != installed_before
    if changed:
        yield _set_aside(file, "it was not as we had installed it")
    file.parent.mkdir(parents=True, exist_ok=True)
    write_whole(file, data)
    yield FileAction("replaced" if present and not changed else "installed", file)


def _take_out(file: Path, sha256: str) -> Iterator[FileAction]:
    present = manifests.digest(file)
    if present and present != sha256:
        yield _set_aside(file, "it was not as we had installed it")
    elif present:
        file.unlink()
        yield FileAction("removed", file)


def _set_aside_other_jars(directory: Path, targets: dict[str, Path]) -> Iterator[FileAction]:
    ours = next(source.name for place, source in targets.items() if place.startswith(JAR_FOLDER))
    for jar in other_jars(directory, ours):
        yield _set_aside(jar, "another version, which QuPath could load instead")


def _set_aside(file: Path, why: str) -> FileAction:
    number = 1
    while (aside := file.with_name(f"{file.name}.aside{number}")).exists():
        number += 1
    file.rename(aside)
    return FileAction("set aside", aside, why)


def _cannot_write(directory: Path, error: OSError) -> QuPathFilesError:
    return QuPathFilesError(
        f"cannot write below {directory}: {error.strerror or error}"
        f"{f' ({error.filename})' if error.filename else ''}. Close QuPath, and check that the folder is yours; "
        "then run the same command again."
    )
