"""What `wsisam sync` remembers of a project, in a folder of it (`wsisam-sync`): which images need not be looked into.

What both sides have in common is in records of its own, which QuPath's script shares: see `common_record`. In the
project, because both must share the fate of the data files when the project is moved, renamed, copied, or restored from
a backup. For each image a file, so that an image that is done costs nothing when the next one is written. JSON and not
a database, because projects lie on network drives.
"""

from __future__ import annotations

import hashlib
import json
import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from wsisam_server.annotations.sync.common_record import CommonRecords
from wsisam_server.annotations.sync.errors import SyncError
from wsisam_server.annotations.sync.files import Stamp, replace_text

if TYPE_CHECKING:
    from pathlib import Path

    from wsisam_server.annotations.sync.model import Image

FOLDER: Final = "wsisam-sync"

_FORMAT: Final = 1
_IMAGE_FORMAT: Final = 2
"""Of an image's file. The first form held the record of what both sides have in common, too: see `common_record`."""


@dataclass(frozen=True, slots=True)
class SlideSeen:
    """Which slide an image was found to show.

    Attributes:
        uris: the image's, at that time.
        file: path, size and time of change (ns) of its file; None when it was not found on this machine.
    """

    slide_id: str
    uris: tuple[str, ...]
    file: tuple[str, int, int] | None


@dataclass(frozen=True, slots=True)
class Look:
    """How an image and one store were when they were last compared.

    Attributes:
        revision: the store's, up to which everything on the slide was considered.
        data: the data file at that time; None when there was none.
        done: nothing was left to do then.
        left_out: what was left out then, and why, for people; said again while nothing is new.
        count: of annotations that both sides held.
    """

    revision: int = 0
    data: Stamp | None = None
    done: bool = False
    left_out: tuple[str, ...] = ()
    count: int = 0


@dataclass(slots=True)
class ImageRecord:
    """What is remembered of an image; `looks` by the stores' identities."""

    slide: SlideSeen | None = None
    looks: dict[str, Look] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SyncedEntry:
    """Which image of a project is synced for a slide that several of them may show.

    Attributes:
        image: its number.
        uris: its files', by which it is known that the number still means the same image.
        saved: it had a data file then.
    """

    image: str
    uris: tuple[str, ...]
    saved: bool = False


@dataclass(slots=True)
class ProjectRecord:
    """What is remembered of a project.

    Attributes:
        id: the project's own, random; it stays when the project is moved.
        name: of the project in the store: its folder's name when it was synced first.
        witnesses: for each store an annotation's revision, with its time; if the store does not know it any more, it
            was restored from a backup, and what is remembered of it is worth nothing.
    """

    id: str
    name: str
    witnesses: dict[str, tuple[uuid.UUID, int, str]] = field(default_factory=dict)


class Records:
    """The records of a project.

    Args:
        project: the project's folder.
    """

    def __init__(self, project: Path) -> None:
        self._name = project.resolve().name
        self.folder = project / FOLDER
        self.common = CommonRecords(self.folder)
        self.lost: list[str] = []
        """Records that could not be read, for people; they are as good as never written."""

    def project(self) -> ProjectRecord:
        """Of the project; a new one when there is none.

        Raises:
            SyncError: a newer wsisam wrote it.
        """
        said = self._read(self.folder / "project.json")
        try:
            return _project(said) if said else ProjectRecord(str(uuid.uuid4()), self._name)
        except (KeyError, TypeError, ValueError):
            self.lost.append("project.json")
            return ProjectRecord(str(uuid.uuid4()), self._name)

    def image(self, image_id: str) -> ImageRecord:
        """Of an image; a new one when there is none.

        Raises:
            SyncError: a newer wsisam wrote it.
        """
        path = self._path(image_id)
        said = self._read(path)
        try:
            return _image(said) if said else ImageRecord()
        except (KeyError, TypeError, ValueError):
            self.lost.append(path.name)
            return ImageRecord()

    def had_data(self, image: Image, slide_id: str | None) -> bool:
        """Whether an image had a data file when it was last synced, in whichever way and with whichever store.

        Args:
            image: which.
            slide_id: of the slide that it shows; None where that is not known.
        """
        before = None if slide_id is None else self.entry(slide_id)
        if before is not None and (before.image, before.uris) == (image.id, image.uris) and before.saved:
            return True
        return any(look.data is not None for look in self.image(image.id).looks.values())

    def entry(self, slide_id: str) -> SyncedEntry | None:
        """Which image is synced for a slide; None when none was yet.

        WsiSamSync.groovy reads and writes the same files.
        """
        try:
            said = json.loads(self._entry_path(slide_id).read_bytes())
            return SyncedEntry(said["image"], tuple(said["uris"]), bool(said.get("saved")))
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def write_entry(self, slide_id: str, image: Image, *, saved: bool) -> None:
        """Notes that an image is the one that is synced for a slide.

        Args:
            slide_id: the slide's.
            image: the one.
            saved: whether it has a data file, or had one.

        Raises:
            OSError: it cannot be written.
        """
        said = {"image": image.id, "name": image.name, "slide": slide_id, "uris": list(image.uris), "saved": saved}
        replace_text(self._entry_path(slide_id), json.dumps(said, sort_keys=True, separators=(",", ":")) + "\n")

    def _entry_path(self, slide_id: str) -> Path:
        return self.folder / "slides" / f"{hashlib.sha256(slide_id.encode()).hexdigest()[:32]}.json"

    def write_project(self, record: ProjectRecord) -> None:
        """Writes the project's record, if it says something new.

        Raises:
            OSError: it cannot be written.
        """
        witnesses = {store: [str(one), revision, at] for store, (one, revision, at) in record.witnesses.items()}
        self._write(self.folder / "project.json", {"id": record.id, "name": record.name, "witnesses": witnesses})

    def write_image(self, image_id: str, record: ImageRecord) -> None:
        """Writes an image's record, if it says something new.

        Raises:
            OSError: it cannot be written.
        """
        self.common.keep_first(image_id)
        slide = record.slide
        self._write(
            self._path(image_id),
            {
                "format": _IMAGE_FORMAT,
                "slide": None if slide is None else [slide.slide_id, list(slide.uris), slide.file],
                "stores": {store: _said(look) for store, look in record.looks.items()},
            },
        )

    def _path(self, image_id: str) -> Path:
        return self.folder / "images" / f"{image_id}.json"

    def _write(self, path: Path, said: dict[str, Any]) -> None:
        # A line for each entry of the outer levels; keys in order, so that the same record is the same file.
        replace_text(path, json.dumps({"format": _FORMAT, **said}, sort_keys=True, separators=(",", ":")) + "\n")

    def _read(self, path: Path) -> dict[str, Any]:
        try:
            said = json.loads(path.read_bytes())
        except FileNotFoundError:
            return {}
        except (OSError, ValueError):
            self.lost.append(path.name)
            return {}
        if not isinstance(said, dict) or not isinstance(said.get("format"), int):
            self.lost.append(path.name)
            return {}
        if said["format"] > _IMAGE_FORMAT:
            raise SyncError(f"{path} was written by a newer version of wsisam. Sync this project with that one.")
        return said


def _project(said: dict[str, Any]) -> ProjectRecord:
    return ProjectRecord(
        id=said["id"],
        name=said["name"],
        witnesses={store: (uuid.UUID(one), revision, at) for store, (one, revision, at) in said["witnesses"].items()},
    )


def _image(said: dict[str, Any]) -> ImageRecord:
    slide = None
    if said["slide"] is not None:
        slide_id, uris, file = said["slide"]
        slide = SlideSeen(slide_id, tuple(uris), None if file is None else (file[0], file[1], file[2]))
    return ImageRecord(slide, {store: _look(value) for store, value in said["stores"].items()})


def _said(look: Look) -> dict[str, Any]:
    data = look.data
    return {
        "revision": look.revision,
        "data": None if data is None else [data.size, data.modified, data.sha256],
        "done": look.done,
        "left_out": list(look.left_out),
        "count": look.count,
    }


def _look(said: dict[str, Any]) -> Look:
    return Look(
        revision=said["revision"],
        data=None if said["data"] is None else Stamp(*said["data"]),
        done=said["done"],
        left_out=tuple(said.get("left_out", ())),
        count=said["count"] if "count" in said else len(said["annotations"]),
    )
