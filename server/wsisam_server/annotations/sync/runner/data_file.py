"""A data file (data.qpdata) as what it is: a series of Java objects, of which only the hierarchy is ever changed.

QuPath's own way to read and save an image adds steps to its workflow history each time, needs the image itself in some
versions, and takes a file that it cannot read for an empty one. Here every other object (the image's type, stains,
workflow history and properties) is written again as it was read, and a file that cannot be read is an error.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from wsisam_server.annotations.sync.runner.qupath import QuPathError, java

if TYPE_CHECKING:
    from pathlib import Path

_FIRST: Final = "Data file version"
_LAST: Final = "EOF"

GENERATION: Final = "wsisam.sync"
"""The image property that says which sync wrote the file. QuPath keeps it when it saves what it has read, so a file
that was saved from an older state, or from nothing, shows."""


KEPT_RECORD: Final = ("wsisam.synced", "wsisam.synced.image")
"""The properties in which QuPath's script kept the record of its last sync before it had one with `wsisam sync`, and
whose that is."""


@dataclass
class DataFile:
    """What a data file holds.

    Attributes:
        version: its first line.
        parts: its objects in their order: the image as JSON, then settings, workflow, hierarchy and properties.
        hierarchy: the one among the parts that may be changed.
        sha256: of the bytes that were read; empty for a file that is not there yet.
    """

    version: Any
    parts: list[Any]
    hierarchy: Any
    sha256: str

    @property
    def properties(self) -> Any:
        """The image's properties, a Java map; None when the file has none."""
        return self._part("java.util.Map")

    @property
    def generation(self) -> str | None:
        """Which sync wrote it."""
        value = None if self.properties is None else self.properties.get(GENERATION)
        return None if value is None else str(value)

    @property
    def kept_record(self) -> list[str]:
        """The texts of `KEPT_RECORD`; empty where there are none."""
        values = [None if self.properties is None else self.properties.get(name) for name in KEPT_RECORD]
        return ["" if value is None else str(value) for value in values]

    def mark(self, generation: str) -> None:
        """Notes which sync writes it, and thereby its record."""
        if self.properties is None:
            self.parts.append(java("java.util.HashMap")())
        # A plain java.lang.String: QuPath reads nothing else back.
        self.properties.put(java("java.lang.String")(GENERATION), java("java.lang.String")(generation))
        for name in KEPT_RECORD:
            self.properties.remove(java("java.lang.String")(name))

    def facts(self) -> dict[str, Any]:
        """What must be the same after writing, whatever happened to annotations."""
        workflow = self._part("qupath.lib.plugins.workflow.Workflow")
        grid = self.hierarchy.getTMAGrid()
        objects = self.hierarchy.getAllObjects(False)  # noqa: FBT003 - Java has no names: the root is left out
        properties = {str(key): str(value) for key, value in (self.properties or {}).items()}
        for name in (GENERATION, *KEPT_RECORD):
            properties.pop(name, None)
        return {
            "image": str(self.parts[0]),
            "parts": [_kind(part) for part in self.parts if not isinstance(part, java("java.util.Map"))],
            "workflow": [] if workflow is None else [str(step) for step in workflow.getSteps()],
            "properties": properties,
            "cores": 0 if grid is None else int(grid.nCores()),
            "others": int(objects.size() - self.hierarchy.getAnnotationObjects().size()),
        }

    def _part(self, kind: str) -> Any:
        return next((part for part in self.parts if isinstance(part, java(kind))), None)


def read(path: Path) -> DataFile:
    """Reads a data file.

    Raises:
        QuPathError: "unreadable": damaged, cut short, or holding what QuPath refuses to read.
    """
    digest = java("java.security.MessageDigest").getInstance("SHA-256")
    stream = None
    try:
        file = java("java.io.FileInputStream")(java("java.io.File")(str(path)))
        stream = java("java.security.DigestInputStream")(java("java.io.BufferedInputStream")(file, 1 << 20), digest)
        objects = java("qupath.lib.io.PathIO").createObjectInputStream(stream)
        version = objects.readUTF()
        if not str(version).startswith(_FIRST):
            raise QuPathError("unreadable", "it is no data file of QuPath")
        parts = _parts(objects)
        stream.transferTo(java("java.io.OutputStream").nullOutputStream())
    except java("java.lang.Exception") as error:
        raise QuPathError("unreadable", str((error.getCause() or error).toString())) from error
    finally:
        if stream is not None:
            stream.close()
    number = next((at for at, part in enumerate(parts) if isinstance(part, _hierarchy())), None)
    if number is None:
        raise QuPathError("unreadable", "it has no place for an image's objects")
    # What comes from a stream is not ready for use before it is moved into a new one; QuPath does the same.
    hierarchy = _hierarchy()()
    hierarchy.setHierarchy(parts[number])
    parts[number] = hierarchy
    sha256 = bytes(digest.digest()).hex()
    return DataFile(version, parts, hierarchy, sha256)


def empty(server_builder: Any, path: Path) -> DataFile:
    """What QuPath would save for an image that was never opened.

    Args:
        server_builder: the project entry's.
        path: where the file will be.

    Raises:
        QuPathError: "too old": before 0.6 QuPath must open the image itself for it.
    """
    image_data = java("qupath.lib.images.ImageData")
    unset = java("qupath.lib.images.ImageData$ImageType").UNSET
    try:
        image = image_data(server_builder, _hierarchy()(), unset)
    except TypeError as error:
        raise QuPathError("too old", "it was never opened in QuPath") from error
    image.setLastSavedPath(str(path), True)  # noqa: FBT003 - Java has no names: it counts as saved
    stream = java("java.io.ByteArrayOutputStream")()
    java("qupath.lib.io.PathIO").writeImageData(stream, image)
    written = java("java.io.ByteArrayInputStream")(stream.toByteArray())
    objects = java("qupath.lib.io.PathIO").createObjectInputStream(written)
    version, parts = objects.readUTF(), _parts(objects)
    number = next(at for at, part in enumerate(parts) if isinstance(part, _hierarchy()))
    parts[number] = image.getHierarchy()
    return DataFile(version, parts, parts[number], "")


def write(data: DataFile, path: Path) -> None:
    """Writes a data file; what is there already is overwritten.

    Raises:
        QuPathError: "not written": the disk is full, for example.
    """
    stream = None
    try:
        stream = java("java.io.FileOutputStream")(java("java.io.File")(str(path)))
        objects = java("java.io.ObjectOutputStream")(java("java.io.BufferedOutputStream")(stream, 1 << 20))
        objects.writeUTF(data.version)
        for part in data.parts:
            objects.writeObject(part)
        objects.writeObject(java("java.lang.String")(_LAST))
        objects.flush()
    except java("java.io.IOException") as error:
        raise QuPathError("not written", str(error.toString())) from error
    finally:
        if stream is not None:
            stream.close()


def _parts(objects: Any) -> list[Any]:
    # Java looks for the classes of what it reads where the class of the calling method comes from, and a call from
    # Python has none; by reflection the call comes from a class that was loaded as QuPath's are.
    next_object = java("java.io.ObjectInputStream").class_.getMethod("readObject")
    parts: list[Any] = []
    while True:
        part = next_object.invoke(objects)
        if isinstance(part, java("java.lang.String")) and str(part) == _LAST:
            return parts
        parts.append(part)


def _hierarchy() -> Any:
    return java("qupath.lib.objects.hierarchy.PathObjectHierarchy")


def _kind(part: Any) -> str:
    return "null" if part is None else str(part.getClass().getName())
