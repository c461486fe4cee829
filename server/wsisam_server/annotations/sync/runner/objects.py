"""Annotations of a hierarchy as plain values, and changes to them.

A call from Python into Java costs microseconds, and an image may have many thousands of annotations: nothing is asked
or said more often than it must be.
"""

from __future__ import annotations

import math
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from wsisam_server.annotations.sync.runner.qupath import java

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from wsisam_server.annotations.sync.runner.wire import Message, Shapes

_RGB: Final = 0xFFFFFF
"""The colour without its transparency, which Java keeps in the same 32 bits, with a sign."""

Geometry = Any
"""Of JTS, the library that QuPath uses."""


def read_all(hierarchy: Any, shapes: Shapes) -> list[Message]:
    """All annotations of an image.

    Each has "id", "name", "class" and its "rgb", its own "colour", "locked", "measurements" (finite ones),
    "not_numbers" (the names of the others), "metadata" and "shape" (the length of its WKB), or "problem" in place of
    the shape when it cannot be known outside QuPath.
    Polygons are as they were drawn, vertex by vertex: they may cross themselves.
    """
    write = java("org.locationtech.jts.io.WKBWriter")(2).write
    geometry_of = _geometries()
    return [_annotation(item, shapes, write, geometry_of) for item in hierarchy.getAnnotationObjects()]


def areas(hierarchy: Any, ids: Sequence[str], shapes: Shapes) -> list[int]:
    """What QuPath takes for the area of polygons that cross themselves: the lengths of its WKB, in the ids' order."""
    write = java("org.locationtech.jts.io.WKBWriter")(2).write
    by_id = {str(item.getID()): item for item in hierarchy.getAnnotationObjects()}
    return [shapes.add(bytes(write(by_id[one].getROI().getGeometry()))) for one in ids]


def _geometries() -> Callable[[Any], Geometry]:
    """How to get a shape's geometry. QuPath's own way to do it for polygons takes ten times as long, and rounds."""
    polygon = java("qupath.lib.roi.PolygonROI")
    reader = java("org.locationtech.jts.awt.ShapeReader")(java("org.locationtech.jts.geom.GeometryFactory")())

    def geometry(roi: Any) -> Geometry:
        return reader.read(roi.getShape().getPathIterator(None)) if isinstance(roi, polygon) else roi.getGeometry()

    return geometry


def _annotation(
    item: Any, shapes: Shapes, write: Callable[[Geometry], Any], geometry_of: Callable[[Any], Geometry]
) -> Message:
    path_class, name, colour = item.getPathClass(), item.getName(), item.getColor()
    measured, metadata = item.getMeasurementList(), item.getMetadata()
    if path_class is not None and path_class.getName() is None:  # QuPath's class for none
        path_class = None
    measurements, not_numbers = ({}, []) if measured.isEmpty() else _numbers(measured)
    class_colour = None if path_class is None else path_class.getColor()
    found: Message = {
        "id": str(item.getID()),
        "name": None if name is None else str(name),
        "class": None if path_class is None else str(path_class),
        "rgb": None if class_colour is None else int(class_colour) & _RGB,
        "colour": None if colour is None else int(colour) & _RGB,
        "locked": bool(item.isLocked()),
        "measurements": measurements,
        "not_numbers": not_numbers,
        "metadata": {} if metadata.isEmpty() else _texts(metadata),
    }
    roi = item.getROI()
    if roi is None:
        return {**found, "problem": "it has no shape"}
    if roi.getZ() or roi.getT():
        return {
            **found,
            "problem": f"it lies on plane z = {int(roi.getZ())}, t = {int(roi.getT())}, not on the first one",
        }
    try:
        return {**found, "shape": shapes.add(bytes(write(geometry_of(roi))))}
    except java("java.lang.Exception") as error:
        return {**found, "problem": f"QuPath makes no geometry of it ({error})"}


def _numbers(measured: Any) -> tuple[dict[str, float], list[str]]:
    values = {str(name): float(measured.get(name)) for name in measured.getMeasurementNames()}
    finite = {name: value for name, value in values.items() if math.isfinite(value)}
    return finite, [name for name in values if name not in finite]


def _texts(metadata: Any) -> dict[str, str]:
    return {str(key): str(text) for key, text in metadata.items() if text is not None}


def change(hierarchy: Any, request: Message, shapes: Shapes) -> None:
    """Removes, alters and adds annotations. Objects below a removed one move up to its parent.

    Args:
        hierarchy: of the image.
        request: "remove": ids; "update": annotations, each with its "id" and what is to be other than it is: "shape",
            "name", "class" and "rgb", "colour", "locked", "measurements" and "metadata" (null takes one away); "add":
            new annotations, with what they have of these.
        shapes: those that the request's annotations name, in their order.
    """
    read = java("org.locationtech.jts.io.WKBReader")().read
    roi_of, path_class_of = _rois(), _path_classes()
    if request["remove"] or request["update"]:
        by_id = {str(item.getID()): item for item in hierarchy.getAnnotationObjects()}
        gone = java("java.util.ArrayList")([by_id[one] for one in request["remove"]])
        hierarchy.removeObjects(gone, True)  # noqa: FBT003 - Java has no names: its children stay
        for said in request["update"]:
            item = by_id[said["id"]]
            if "shape" in said:
                _reshape(item, roi_of(read(shapes.take(said["shape"]))))
            _describe(item, said, path_class_of)
    make, uuid = java("qupath.lib.objects.PathObjects").createAnnotationObject, java("java.util.UUID").fromString
    added = java("java.util.ArrayList")()
    for said in request["add"]:
        item = make(roi_of(read(shapes.take(said["shape"]))))
        item.setID(uuid(said["id"]))
        _describe(item, said, path_class_of)
        added.add(item)
    hierarchy.addObjects(added)


def _reshape(item: Any, roi: Any) -> None:
    # QuPath forgets an object's measurements when its shape changes; which are right now, the other side has decided.
    measured = item.getMeasurementList()
    values = [(name, measured.get(name)) for name in list(measured.getMeasurementNames())]
    item.setROI(roi)
    for name, value in values:
        measured.put(name, value)


def _describe(item: Any, said: Message, path_class_of: Callable[[str, int | None], Any]) -> None:
    if "name" in said:
        item.setName(said["name"])
    if "class" in said:
        # QuPath forgets an object's own colour when it is given a class.
        colour = item.getColor()
        if said["class"] is None:
            item.resetPathClass()
        else:
            item.setPathClass(path_class_of(said["class"], said["rgb"]))
        item.setColor(colour)
    if "colour" in said:
        item.setColor(None if said["colour"] is None else java("java.lang.Integer")(said["colour"] - _RGB - 1))
    if "measurements" in said:
        _put(item.getMeasurementList(), said["measurements"])
        item.getMeasurementList().close()
    if "metadata" in said:
        _put(item.getMetadata(), said["metadata"])
    if "locked" in said:
        item.setLocked(said["locked"])


def _put(target: Any, values: dict[str, Any]) -> None:
    for name, value in values.items():
        if value is None:
            target.remove(name)
        else:
            target.put(name, value)


def _rois() -> Callable[[Geometry], Any]:
    plane = java("qupath.lib.regions.ImagePlane").getDefaultPlane()
    convert = java("qupath.lib.roi.GeometryTools").geometryToROI
    return lambda geometry: convert(geometry, plane)


def _path_classes() -> Callable[[str, int | None], Any]:
    """How to get a class. One that is known already keeps its colour."""
    make, integer = java("qupath.lib.objects.classes.PathClass").fromString, java("java.lang.Integer")

    @cache
    def path_class(name: str, rgb: int | None) -> Any:
        return make(name) if rgb is None else make(name, integer(rgb))

    return path_class
