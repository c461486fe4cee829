"""Looking closely at what lies in the folder of models."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from wsisam_server.inference.weights.errors import WeightsError
from wsisam_server.inference.weights.fetch import Progress, examine
from wsisam_server.inference.weights.files import built_in, load, load_record, paths
from wsisam_server.inference.weights.names import BUILT_IN
from wsisam_server.inference.weights.record import RECORD
from wsisam_server.inference.weights.staging import leftovers

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from wsisam_server.inference.weights.folder import WeightsFolder
    from wsisam_server.inference.weights.record import ModelRecord


@dataclass(frozen=True)
class Finding:
    """What was found.

    Attributes:
        name: the model's, or a path.
        state: "ok"; "missing", a file is gone; "damaged", a file is not what was added or cannot be loaded; "unknown",
            something that belongs to no model.
        text: what it is, and what to do.
    """

    name: str
    state: Literal["ok", "missing", "damaged", "unknown"]
    text: str


def verify(folder: WeightsFolder, names: Sequence[str] = (), progress: Progress | None = None) -> Iterator[Finding]:
    """Checks models one by one: every file against its checksum, then all of them by loading the model.

    Args:
        folder: of the models.
        names: which; all, with the built-in ones and what does not belong there, if none is given.
        progress: hears how far the file is that is being read.

    Raises:
        WeightsError: there is no model of a name, or the folder cannot be read.
    """
    for name in names or [*built_in(), *folder.names()]:
        if name in BUILT_IN:
            yield _built_in(folder, name)
        else:
            yield from _added(folder, name, progress or _silent)
    if not names:
        for path in leftovers(folder.path):
            text = "left behind by a command that was killed; the next 'wsisam weights add' deletes it"
            yield Finding(str(path), "unknown", text)


def _built_in(folder: WeightsFolder, name: str) -> Finding:
    try:
        model = load(folder, name)
    except WeightsError as error:
        return Finding(name, "damaged", str(error))
    return Finding(name, "ok", f"{model.weights_hash} {model.description}")


def _added(folder: WeightsFolder, name: str, progress: Progress) -> Iterator[Finding]:
    try:
        record = folder.record(name)
    except WeightsError as error:
        if name not in folder.names():
            raise
        yield Finding(name, "damaged", str(error))
        return
    yield _model(folder, record, progress)
    own = {RECORD, *(each.file for each in record.files.values())}
    for path in sorted((folder.path / name).iterdir()):
        if path.name not in own:
            yield Finding(str(path), "unknown", "no file of this model; delete it")


def _model(folder: WeightsFolder, record: ModelRecord, progress: Progress) -> Finding:
    name, again = record.name, f"Run: wsisam weights remove {record.name}, and add it again"
    try:
        located = paths(folder, record)
    except WeightsError as error:
        return Finding(name, "missing", f"its base {record.base}: {error}")
    for part, file in record.files.items():
        path = located[part]
        if not path.is_file():
            return Finding(name, "missing", f"{path} is gone. {again}")
        try:
            sha256, _ = examine(path, progress)
        except WeightsError as error:
            return Finding(name, "damaged", f"{error}. {again}")
        if sha256 != file.sha256:
            return Finding(name, "damaged", f"{path} has changed: its SHA-256 is {sha256}, not {file.sha256}. {again}")
    try:
        model = load_record(folder, record)
    except WeightsError as error:
        return Finding(name, "damaged", str(error))
    return Finding(name, "ok", f"{model.weights_hash} {model.description}")


def _silent(done: int, total: int | None) -> None:
    pass
