"""A QuPath project: its images, what is drawn on them, and changes to that which are made whole or not at all.

The project file is never written, and of an image only its data file. A new data file is written beside the old one,
read again and compared, and put in its place only if the old one is still what was read; the old one is kept as a
backup. QuPath is asked through a process of its own, which is started when it is first needed.
"""

from __future__ import annotations

import contextlib
import json
import uuid
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any, Final

from wsisam_server.annotations.sync import drawings, files
from wsisam_server.annotations.sync.entries import entries
from wsisam_server.annotations.sync.errors import ImageError, NotKeptError, SyncError
from wsisam_server.annotations.sync.likeness import differences
from wsisam_server.annotations.sync.record import FOLDER
from wsisam_server.annotations.sync.runner.wire import Shapes
from wsisam_server.annotations.sync.steps import Step
from wsisam_server.core.files import flush, flush_folder, put_in_place

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from wsisam_server.annotations.sync.drawings import Edits
    from wsisam_server.annotations.sync.files import Stamp
    from wsisam_server.annotations.sync.model import Drawing, Image
    from wsisam_server.annotations.sync.process import QuPathProcess
    from wsisam_server.annotations.sync.steps import ProgressListener

BACKUPS: Final = 3
"""So many old data files are kept of each image."""

_BACKUP_OF_QUPATH: Final = "data.qpdata.bkp"
"""QuPath's own, while it saves; and after it ended while it did."""
_SUMMARY: Final = "summary.json"
"""QuPath writes it whenever it has saved a data file."""

_SAVING: Final = "QuPath is saving it right now, or ended while it did; open it in QuPath and save it again"
_DATA_MISSING: Final = (
    "its data file {path} is missing, though QuPath has saved one: the project was copied without it, or it has not "
    "arrived yet. Nothing was done, because an image without its data file looks empty. Bring it back, or open the "
    "image in QuPath and save it, if it shall be empty"
)


@dataclass(frozen=True, slots=True)
class Contents:
    """What is drawn on an image.

    Attributes:
        drawings: the annotations that can be synced.
        unusable: what is wrong with the others, by id.
        labels: what people call those by id: name and class.
        not_numbers: measurements that are no finite numbers, by annotation: the store has none of these.
        repaired: what the store has in place of shapes that are not valid, by annotation, for people.
        data: the data file that they were read from; None when there is none.
        generation: which sync wrote it; None when none did. It names the record of what both sides had in common.
        kept_record: what QuPath's script kept in the file before both had one record, and whose it is; empty for none.
        stable: its objects keep their ids when they are read again.
    """

    drawings: Mapping[uuid.UUID, Drawing]
    unusable: Mapping[str, str]
    data: Stamp | None
    generation: str | None
    stable: bool
    labels: Mapping[str, str] = field(default_factory=dict)
    not_numbers: Mapping[uuid.UUID, tuple[str, ...]] = field(default_factory=dict)
    repaired: Mapping[uuid.UUID, str] = field(default_factory=dict)
    kept_record: tuple[str, str] = ("", "")


class Project:
    """A project on this machine.

    Args:
        path: the project file.
        process: QuPath; started when it is first needed. Whoever made it closes it.
        listener: hears of each step.

    Raises:
        SyncError: there is no such file.
    """

    def __init__(self, path: Path, process: QuPathProcess, listener: ProgressListener) -> None:
        if path.is_dir():
            path /= "project.qpproj"
        if not path.is_file():
            raise SyncError(f"there is no project {path}; name the .qpproj file of a QuPath project")
        self.path = path.resolve()
        self.folder = self.path.parent
        self._process = process
        self._listener = listener
        self._builders: dict[str, dict[str, Any] | None] | None = None

    @property
    def file(self) -> str:
        """SHA-256 of the project file as it is now; empty when it is gone."""
        found = files.stamp(self.path)
        return "" if found is None else found.sha256

    @property
    def former_folder(self) -> str | None:
        """Where QuPath last saved the project, as it wrote it: the URI of its file."""
        try:
            uri = json.loads(self.path.read_bytes()).get("uri")
        except (OSError, ValueError, AttributeError):
            return None
        return uri if isinstance(uri, str) else None

    def images(self) -> tuple[Image, ...]:
        """All images, in the project's order.

        Raises:
            SyncError: the project file is damaged.
        """
        images, self._builders = entries(self.path)
        return tuple(images)

    def data_path(self, image: Image) -> Path:
        """An image's data file, which need not be there."""
        return self.folder / "data" / image.id / "data.qpdata"

    def read(self, image: Image, *, had_data: bool = False) -> Contents:
        """What is drawn on an image, as it was last saved.

        Args:
            image: which.
            had_data: it is known to have had a data file, so that without one it is not empty.

        Raises:
            ImageError: its data file cannot be read, or is missing.
            SyncError: QuPath cannot be started, or failed.
        """
        if image.problem:
            raise ImageError(image.problem)
        self._refuse_missing(image, had_data=had_data)
        self._start()
        answer, data = self._process.ask(self._request("read", image), about=f"the image {image.name}")
        found = drawings.read(answer, data, self._areas)
        stamp = files.stamp(self.data_path(image))
        if ("" if stamp is None else stamp.sha256) != answer["sha256"]:
            raise ImageError("it was saved by somebody else while it was read; sync again")
        return Contents(
            found.drawings,
            found.unusable,
            stamp,
            answer["generation"],
            answer["stable"],
            found.labels,
            found.not_numbers,
            found.repaired,
            tuple(answer["kept_record"]),
        )

    def check_writable(self, image: Image, *, data: bool) -> None:
        """Finds out, before anything is changed, whether what a sync has to write can be written.

        Args:
            image: which.
            data: its data file is to be replaced; else only the record of the sync is written.

        Raises:
            ImageError: it cannot.
        """
        folders = [self.folder / FOLDER, self.folder / FOLDER / "images", self.folder / FOLDER / "synced" / image.id]
        if data:
            folders += [self.data_path(image).parent, self._backups(image)]
        for folder in folders:
            probe = folder / f"{files.TEMPORARY}{uuid.uuid4().hex}"
            try:
                folder.mkdir(parents=True, exist_ok=True)
                probe.touch()
                probe.unlink()
            except OSError as error:
                raise ImageError(f"it cannot be written ({error.strerror or error}): {folder}") from error

    def write(
        self,
        image: Image,
        before: Contents,
        edits: Edits,
        generation: str,
        announce: Callable[[Contents], None] = lambda _: None,
    ) -> Contents:
        """Changes what is drawn on an image.

        Args:
            image: which.
            before: as it was read.
            edits: what to change. Without any, objects without saved ids get theirs saved, and the file its new name.
            generation: a name for what is written.
            announce: called with what will be drawn on it, when all that is left is to put the new file in its place.

        Returns:
            What is drawn on it now, as it was read back.

        Raises:
            NotKeptError: QuPath does not keep some of the annotations as they are; nothing was written.
            ImageError: the image was changed meanwhile, or cannot be written; it is as it was.
            SyncError: QuPath failed; the image is as it was.
        """
        self._start()
        path = self.data_path(image)
        side = path.with_name(f"{path.name}{files.TEMPORARY}{generation}")
        try:
            side.parent.mkdir(parents=True, exist_ok=True)
            files.remove_leftovers(side.parent)
            after, summary = self._written(image, before, edits, generation, side)
            self._listener.step(Step.SIDE_FILE_CHECKED, image)
            flush(side)
            self._listener.step(Step.SIDE_FILE_FLUSHED, image)
            self._refuse_changed(path, before)
            self._listener.step(Step.CHANGES_LOOKED_FOR, image)
            announce(replace(after, data=files.stamp(side)))
            if before.data is not None and (edits or not before.stable):
                files.copy(path, self._backup(image))
            self._listener.step(Step.BACKUP_WRITTEN, image)
            # As late as can be: whoever saves after this look and before the swap is not noticed.
            self._refuse_changed(path, before)
            put_in_place(side, path)
            self._listener.step(Step.SWAPPED, image)
            flush_folder(path.parent)
            self._listener.step(Step.SWAP_FLUSHED, image)
            self._summarise(path, summary)
            self._listener.step(Step.SUMMARY_WRITTEN, image)
        except OSError as error:
            raise ImageError(f"it cannot be written ({error.strerror or error}): {path.parent}") from error
        finally:
            # Where not even that can be done, the next sync that can write removes it.
            with contextlib.suppress(OSError):
                side.unlink(missing_ok=True)
        self._prune(image)
        self._listener.step(Step.BACKUPS_PRUNED, image)
        return replace(after, data=files.stamp(path), generation=generation)

    def _start(self) -> None:
        """Starts QuPath, once."""
        if not self._process.is_running:
            self._process.start()
            self._listener.step(Step.QUPATH_STARTED)

    def _request(self, what: str, image: Image) -> dict[str, Any]:
        if self._builders is None:
            self.images()
        builders = self._builders or {}
        return {"op": what, "data": str(self.data_path(image)), "builder": builders.get(image.id)}

    def _refuse_missing(self, image: Image, *, had_data: bool) -> None:
        """An image whose data file is missing looks just like one that nobody has drawn on."""
        path = self.data_path(image)
        if path.exists():
            return
        if path.with_name(_BACKUP_OF_QUPATH).exists():
            raise ImageError(_SAVING)
        if had_data or path.with_name(_SUMMARY).exists():
            raise ImageError(_DATA_MISSING.format(path=path))

    def _written(
        self, image: Image, before: Contents, edits: Edits, generation: str, side: Path
    ) -> tuple[Contents, dict[str, Any]]:
        message, shapes = drawings.request(edits)
        message |= {
            **self._request("write", image),
            "sha256": "" if before.data is None else before.data.sha256,
            "generation": generation,
            "to": str(side),
        }
        answer, data = self._process.ask(message, shapes, about=f"the image {image.name}")
        self._listener.step(Step.SIDE_FILE_WRITTEN, image)
        found = drawings.read(answer, data, self._areas)
        after = Contents(
            found.drawings,
            found.unusable,
            None,
            answer["generation"],
            stable=True,
            labels=found.labels,
            not_numbers=found.not_numbers,
            repaired=found.repaired,
        )
        _compare(before, edits, after)
        return after, answer.get("summary", {})

    def _areas(self, ids: list[str]) -> list[bytes]:
        """What QuPath takes for the areas of polygons that cross themselves, of the image that was read last."""
        answer, data = self._process.ask({"op": "areas", "ids": ids})
        shapes = Shapes(data)
        return [shapes.take(length) for length in answer["shapes"]]

    def _refuse_changed(self, path: Path, before: Contents) -> None:
        if path.with_name(_BACKUP_OF_QUPATH).exists():
            raise ImageError(_SAVING)
        if not files.unchanged(path, before.data):
            raise ImageError("it was saved by somebody else while it was synced; sync again")

    def _summarise(self, data: Path, summary: dict[str, Any]) -> None:
        """Corrects the counts that QuPath keeps beside a data file, where it does."""
        path = data.with_name(_SUMMARY)
        try:
            said = json.loads(path.read_bytes())
        except (FileNotFoundError, ValueError):
            return
        if isinstance(said, dict) and summary:
            modified = data.stat().st_mtime_ns // 1_000_000
            files.replace_text(path, json.dumps({**said, "timestamp": modified, **summary}, separators=(",", ":")))

    def _backup(self, image: Image) -> Path:
        now = datetime.now(timezone.utc)
        return self._backups(image) / f"{now:%Y%m%dT%H%M%S.%fZ}.qpdata"

    def _backups(self, image: Image) -> Path:
        return self.folder / FOLDER / "backups" / image.id

    def _prune(self, image: Image) -> None:
        old = sorted(self._backups(image).glob("*.qpdata"))[:-BACKUPS]
        for path in old:
            with contextlib.suppress(OSError):  # one too many does no harm
                path.unlink(missing_ok=True)


def _compare(before: Contents, edits: Edits, after: Contents) -> None:
    """Raises unless everything is as it was, but for the edits."""
    if not before.stable:
        # Their ids are new; what they are must not be.
        if sorted(said.digest for said in before.drawings.values()) != sorted(
            said.digest for said in after.drawings.values()
        ):
            raise ImageError("after saving the objects' ids, other things had changed, too; please report this")
        return
    wanted = {one: shall for one, (_, shall) in edits.update.items()} | edits.add
    problems = {
        one: "QuPath does not keep it as it is: "
        + (
            after.unusable.get(str(one), "it is gone after writing")
            if one not in after.drawings
            else f"its {_named(after.drawings[one], shall)} differs after writing"
        )
        for one, shall in wanted.items()
        if one not in after.drawings or differences(after.drawings[one], shall)
    }
    if problems:
        raise NotKeptError(problems)
    same = before.drawings.keys() - edits.update.keys() - set(edits.remove)
    lost = [one for one in same if one not in after.drawings or differences(after.drawings[one], before.drawings[one])]
    if lost or after.drawings.keys() != same | wanted.keys() or after.unusable != before.unusable:
        raise ImageError("after writing, other annotations had changed, too; please report this")


def _named(first: Drawing, second: Drawing) -> str:
    return ", ".join(sorted(kind.value for kind in differences(first, second)))
