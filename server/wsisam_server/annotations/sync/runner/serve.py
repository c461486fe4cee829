"""Answers requests about one project: which images it has, what is on them, and how they are to be after a change.

Nothing of a project is ever overwritten here: what is written goes to a new file that the request names, and is read
back before the answer.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wsisam_server.annotations.sync.runner import data_file, objects
from wsisam_server.annotations.sync.runner.qupath import QuPathError, java, open_project
from wsisam_server.annotations.sync.runner.wire import Shapes

if TYPE_CHECKING:
    from wsisam_server.annotations.sync.runner.data_file import DataFile
    from wsisam_server.annotations.sync.runner.wire import Message


class Server:
    """One project, as QuPath's classes read it."""

    def __init__(self) -> None:
        self._entries: dict[str, Any] = {}
        self._shown: Any = None

    def answer(self, request: Message, data: bytes) -> tuple[Message, bytes]:
        """Answers a request.

        Raises:
            QuPathError: it cannot be done.
        """
        if request["op"] == "open":
            return self._open(request["project"]), b""
        if request["op"] == "read":
            return self._read(request["image"])
        if request["op"] == "areas":
            shapes = Shapes()
            return {"shapes": objects.areas(self._shown, request["ids"], shapes)}, shapes.data()
        return self._write(request, data)

    def _open(self, path: str) -> Message:
        entries = open_project(path).getImageList()
        self._entries = {str(entry.getID()): entry for entry in entries}
        return {"images": [_image(number, entry) for number, entry in self._entries.items()]}

    def _path(self, number: str) -> Path:
        return Path(str(self._entries[number].getEntryPath().toString())) / "data.qpdata"

    def _load(self, number: str) -> DataFile:
        path = self._path(number)
        if path.exists():
            return data_file.read(path)
        return data_file.empty(self._entries[number].getServerBuilder(), path)

    def _read(self, number: str) -> tuple[Message, bytes]:
        data = self._load(number)
        answer, shapes = self._contents(data)
        if data.sha256:
            # Before QuPath 0.4 objects were saved without their ids, and get new ones whenever they are read.
            again = data_file.read(self._path(number))
            answer["stable"] = _ids(data) == _ids(again)
        return answer, shapes

    def _write(self, request: Message, data: bytes) -> tuple[Message, bytes]:
        found = self._load(request["image"])
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
        answer = {"annotations": annotations, "sha256": data.sha256, "generation": data.generation, "stable": True}
        return answer, shapes.data()


def _image(number: str, entry: Any) -> Message:
    kind = java("qupath.lib.images.servers.ImageServerBuilder$ServerBuilder").class_
    builder = json.loads(str(java("qupath.lib.io.GsonTools").getInstance().toJson(entry.getServerBuilder(), kind)))
    metadata, arguments = builder.get("metadata") or {}, builder.get("args") or []
    view = "" if builder["builderType"] == "uri" else builder["builderType"]
    if "--series" in arguments and arguments[arguments.index("--series") + 1] != "0":
        view = f"series {arguments[arguments.index('--series') + 1]}"
    return {
        "id": number,
        "name": str(entry.getOriginalImageName()),
        "uris": [str(uri.toString()) for uri in entry.getURIs()],
        "size": [metadata["width"], metadata["height"]] if "width" in metadata else None,
        "view": view,
    }


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
