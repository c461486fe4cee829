"""The record of an image's last sync: what it and a store had in common. One for `wsisam sync` and for QuPath.

Each data file that a sync leaves names its record (the property `wsisam.sync`, see `runner.data_file.GENERATION`), and
the record is a file of that name in the project's folder. So a data file always meets the record of the state that it
was saved from: also when it comes from a backup, or when a QuPath saves what it had in memory. WsiSamSync.groovy reads
and writes the same files, see io.wsisam.qupath.SyncRecord.
"""

from __future__ import annotations

import json
import re
import uuid
from dataclasses import dataclass, field, replace
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final

from wsisam_server.annotations.sync.errors import ImageError
from wsisam_server.annotations.sync.files import Stamp, replace_text
from wsisam_server.annotations.sync.plan import Base

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

KEPT: Final = 8
"""Records of each image: of the newest data file, of those that are kept as backups, and of the files before them."""

_FORMAT: Final = 1
_FIRST_FORMAT: Final = 1
"""Of the file of an image (see `record`) that held the record of `wsisam sync` before both had one."""

_NAME: Final = re.compile("[0-9a-f]{32}")
_FIRST: Final = "first"
"""The record of data files that no sync has written."""


@dataclass(slots=True)
class Common:
    """What an image and one store had in common.

    Attributes:
        annotations: what both sides held.
        settling: conflicts that are being settled with the store's version of this revision.
        data: the data file that was compared; None where it was not seen on the disk. An older one is not of this.
        sent: what is on its way to the store, by the digests of the image's versions. Whether it arrived, the store
            tells: see `in_common.arrived`.
        doubtful: what a data file of this name held when it was synced, but another state of this name may not have
            held: another QuPath may have had that in memory. With what the record said before, None for nothing.
    """

    annotations: dict[uuid.UUID, Base] = field(default_factory=dict)
    settling: dict[uuid.UUID, int] = field(default_factory=dict)
    data: Stamp | None = None
    sent: dict[uuid.UUID, str] = field(default_factory=dict)
    doubtful: dict[uuid.UUID, Base | None] = field(default_factory=dict)


@dataclass(slots=True)
class CommonRecord:
    """The record of an image.

    Attributes:
        slide_id: which it shows.
        stores: by their identity.
        carried: SHA-256 of the property's text (see `with_property`) that this record holds already; empty for none.
    """

    slide_id: str
    stores: dict[str, Common] = field(default_factory=dict)
    carried: str = ""

    def with_store(self, store_id: str, common: Common) -> CommonRecord:
        """The same with what one store has in common with the image; what others have stays."""
        return replace(self, stores={**self.stores, store_id: common})

    def with_property(self, text: str) -> None:
        """Takes in what QuPath's script kept in a property of the image before both had one record.

        Each way knew what it had brought into the project. Of what both knew, the later revision counts.
        """
        digest = sha256(text.encode()).hexdigest() if text else ""
        if not text or digest == self.carried:
            return
        self.carried = digest
        store_id, *lines = text.split("\n")
        known = self.stores.setdefault(store_id, Common()).annotations
        for line in lines:
            try:
                one, revision = line.split(" ")[:2]
                base = Base(int(revision), "")
                annotation_id = uuid.UUID(one)
            except ValueError:
                continue
            if annotation_id not in known or known[annotation_id].revision < base.revision:
                known[annotation_id] = base


class CommonRecords:
    """The records of a project's images.

    Args:
        folder: where syncs of the project keep what they remember.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def read(self, image_id: str, generation: str | None) -> CommonRecord | None:
        """The record that an image's data file names; None where there is none, or it cannot be read.

        Raises:
            ImageError: a newer wsisam wrote it.
        """
        path = self._path(image_id, generation)
        try:
            said = json.loads(path.read_bytes())
            if said["format"] > _FORMAT:
                raise ImageError(f"{path} was written by a newer version of wsisam; sync this project with that one")
            return _record(said)
        except FileNotFoundError:
            return self._as_at_first(image_id, generation)
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return None

    def write(self, image_id: str, generation: str | None, record: CommonRecord) -> None:
        """Writes a record, if it says something new.

        Raises:
            OSError: it cannot be written.
        """
        said = {
            "format": _FORMAT,
            "slide": record.slide_id,
            "carried": record.carried,
            "stores": {store: _said(common) for store, common in record.stores.items()},
        }
        replace_text(self._path(image_id, generation), json.dumps(said, sort_keys=True, separators=(",", ":")) + "\n")

    def keep_first(self, image_id: str) -> None:
        """Writes what an image's file held at first as records, before that file is written anew.

        Raises:
            OSError: they cannot be written.
        """
        for generation in self._names_at_first(image_id):
            record = self._as_at_first(image_id, generation)
            if record is not None and not self._path(image_id, generation).exists():
                self.write(image_id, generation, record)

    def prune(self, image_id: str, needed: Collection[str | None]) -> None:
        """Deletes all but the newest records of an image; those of the needed generations stay."""
        keep = {self._path(image_id, generation) for generation in needed}
        spare = [path for path in self._path(image_id, None).parent.glob("*.json") if path not in keep]
        spare.sort(key=lambda path: path.stat().st_mtime_ns, reverse=True)
        for path in spare[max(0, KEPT - len(keep)) :]:
            path.unlink(missing_ok=True)

    def _path(self, image_id: str, generation: str | None) -> Path:
        # What a data file says becomes no name of a file anywhere else.
        name = generation if generation is not None and _NAME.fullmatch(generation) else _FIRST
        return self._folder / "synced" / image_id / f"{name}.json"

    def _first(self, image_id: str) -> dict[str, Any]:
        try:
            said = json.loads((self._folder / "images" / f"{image_id}.json").read_bytes())
        except (OSError, ValueError):
            return {}
        return said if isinstance(said, dict) and said.get("format") == _FIRST_FORMAT else {}

    def _names_at_first(self, image_id: str) -> list[str | None]:
        said = self._first(image_id)
        names = [said.get("generation")] if said else []
        return [*names, said["writing"]] if said.get("writing") else names

    def _as_at_first(self, image_id: str, generation: str | None) -> CommonRecord | None:
        """The record of `wsisam sync` as it was before both had one."""
        said = self._first(image_id)
        if generation not in self._names_at_first(image_id) or not said.get("slide"):
            return None
        try:
            return _record({"slide": said["slide"][0], "stores": said["stores"]})
        except (ValueError, KeyError, TypeError, AttributeError):
            return None


def _record(said: dict[str, Any]) -> CommonRecord:
    stores = {store: _common(value) for store, value in said["stores"].items()}
    return CommonRecord(said["slide"], stores, said.get("carried") or "")


def _common(said: dict[str, Any]) -> Common:
    return Common(
        annotations={uuid.UUID(one): Base(*base) for one, base in said["annotations"].items()},
        settling={uuid.UUID(one): revision for one, revision in said.get("settling", {}).items()},
        data=None if said.get("data") is None else Stamp(*said["data"]),
        sent={uuid.UUID(one): digest for one, digest in said.get("sent", {}).items()},
        doubtful={
            uuid.UUID(one): None if base is None else Base(*base) for one, base in said.get("doubtful", {}).items()
        },
    )


def _said(common: Common) -> dict[str, Any]:
    data = common.data
    return {
        "annotations": {str(one): _pair(base) for one, base in common.annotations.items()},
        "settling": {str(one): revision for one, revision in common.settling.items()},
        "data": None if data is None else [data.size, data.modified, data.sha256],
        "sent": {str(one): digest for one, digest in common.sent.items()},
        "doubtful": {str(one): None if base is None else _pair(base) for one, base in common.doubtful.items()},
    }


def _pair(base: Base) -> list[Any]:
    return [base.revision, base.digest]
