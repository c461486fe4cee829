"""The list of what was installed into a user directory, kept there: only what is on it is ever replaced or removed."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from wsisam_server.core.files import write_whole
from wsisam_server.qupath.errors import QuPathFilesError

if TYPE_CHECKING:
    from pathlib import Path

NAME = "wsisam-files.json"


@dataclass(frozen=True, slots=True)
class Manifest:
    """What was installed.

    Attributes:
        version: of wsisam that installed it; "" when nothing is installed.
        files: SHA-256 by place, relative to the user directory, with forward slashes.
        folders: places of the folders that were made for them, in the same form.
    """

    version: str = ""
    files: dict[str, str] = field(default_factory=dict)
    folders: tuple[str, ...] = ()


def read(directory: Path) -> Manifest:
    """The manifest of a user directory; an empty one when there is none.

    Raises:
        QuPathFilesError: it cannot be read, or names places outside the user directory.
    """
    file = directory / NAME
    try:
        data = json.loads(file.read_text(encoding="utf-8"))
        files = {str(key): str(value) for key, value in data["files"].items()}
        manifest = Manifest(str(data["wsisam"]), files, tuple(str(folder) for folder in data.get("folders", ())))
    except FileNotFoundError:
        return Manifest()
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise _damaged(file) from error
    if not all(_inside(place) for place in (*manifest.files, *manifest.folders)):
        raise _damaged(file)
    return manifest


def write(directory: Path, manifest: Manifest) -> None:
    """Writes, or removes when it lists nothing, the manifest of a user directory.

    Raises:
        OSError: it cannot be written.
    """
    file = directory / NAME
    if manifest.files:
        content = {
            "wsisam": manifest.version,
            "files": dict(sorted(manifest.files.items())),
            "folders": sorted(manifest.folders),
        }
        text = json.dumps(content, indent=2)
        directory.mkdir(parents=True, exist_ok=True)
        write_whole(file, f"{text}\n".encode())
    else:
        file.unlink(missing_ok=True)


def digest(file: Path) -> str:
    """SHA-256 of a file, hexadecimal; "" when it is not there.

    Raises:
        OSError: it cannot be read.
    """
    return hashlib.sha256(file.read_bytes()).hexdigest() if file.is_file() else ""


def _inside(place: str) -> bool:
    path = PurePosixPath(place)
    return bool(path.parts) and not path.is_absolute() and ".." not in path.parts and ":" not in place


def _damaged(file: Path) -> QuPathFilesError:
    return QuPathFilesError(
        f"{file} is damaged, so it is not known what was installed. Remove it, and run `wsisam qupath install` again."
    )
