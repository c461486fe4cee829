"""Answers requests about data files: what is on an image, and how that is to be after a change.

Nothing of a project is ever overwritten here: what is written goes to a new file that the request names, and is read
back before the answer.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wsisam_server.annotations.sync.runner import data_file, objects
from wsisam_server.annotations.sync.runner.qupath import QuPathError, java
from wsisam_server.annotations.sync.runner.wire import Shapes

if TYPE_CHECKING:
    from wsisam_server.annotations.sync.runner.data_file import DataFile
    from wsisam_server.annotations.sync.runner.wire import Message


class Server:
    """Data files, as QuPath's classes read them.

    A request names the file ("data"), and as JSON QuPath's builder of the image ("builder"), which is needed where
    there is no file yet.
    """

    def __init__(self) -> None:
        self._shown: Any = None

    def answer(self, request: Message, data: bytes) -> tuple[Message, bytes]:
        """Answers a request.

        Raises:
            QuPathError: it cannot be done.
        """
        if request["op"] == "read":
            return self._read(request)
        if request["op"] == "areas":
            shapes = Shapes()
            return {"shapes": objects.areas(self._shown, request["ids"], shapes)}, shapes.data()
        return self._write(request, data)

    def _load(self, request: Message) -> DataFile:
        path = Path(request["data"])
        return data_file.read(path) if path.exists() else data_file.empty(_builder(request["builder"]), path)

    def _read(self, request: Message) -> tuple[Message, bytes]:
        data = self._load(request)
        answer, shapes = self._contents(data)
        if data.sha256:
            # Before QuPath 0.4 objects were saved without their ids, and get new ones whenever they are read.
            again = data_file.read(Path(request["data"]))
            answer["stable"] = _ids(data) == _ids(again)
        return answer, shapes

    def _write(self, request: Message, data: bytes) -> tuple[Message, bytes]:
        found = self._load(request)
        if found.sha256 != request["sha256"]:
            raise QuPathError("changed", "the data file is not the one that was read")
        facts = found.facts()
        objects.change(found.hierarchy, request, Shapes(data))
        found.mark(request["generation"])
        side = Path(request["to"])
        data_file.write(found, side)
        written = data_file.read(side)
        if written.facts() != facts or written.generation != request["generation"]:
            raise QuPathError("not kept", "something else than annotations changed in the data file")
        answer, shapes = self._contents(written)
        return {**answer, "summary": _summary(written)}, shapes

    def _contents(self, data: DataFile) -> tuple[Message, bytes]:
        self._shown = data.hierarchy
        shapes = Shapes()
        annotations = objects.read_all(data.hierarchy, shapes)
        answer = {
            "annotations": annotations,
            "sha256": data.sha256,
            "generation": data.generation,
            "kept_record": data.kept_record,
            "stable": True,
        }
        return answer, shapes.data()


def _builder(said: Message | None) -> Any:
    """QuPath's builder of an image.

    Raises:
        QuPathError: "no image".
    """
    kind = java("qupath.lib.images.servers.ImageServerBuilder$ServerBuilder").class_
    try:
        builder = java("qupath.lib.io.GsonTools").getInstance().fromJson(json.dumps(said), kind)
    except java("java.lang.RuntimeException") as error:
        raise QuPathError("no image", str(error)) from error
    if builder is None:
        raise QuPathError("no image", "the project does not say how to open it")
    return builder


def _summary(data: DataFile) -> Message:
    """The counts that QuPath writes beside a data file when it saves one."""
    # Neither the class nor how to make one is public; where it is no more, the counts stay as they are.
    try:
        make = java("qupath.lib.projects.DefaultProject$HierarchySummary").class_.getDeclaredConstructors()[0]
        make.setAccessible(True)
        counts = make.newInstance(data.hierarchy)
    except (TypeError, java("java.lang.Exception")):
        return {}
    return {"hierarchy": json.loads(str(java("qupath.lib.io.GsonTools").getInstance().toJson(counts)))}


def _ids(data: DataFile) -> list[str]:
    return [str(item.getID()) for item in data.hierarchy.getAnnotationObjects()]
