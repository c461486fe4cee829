"""Annotations as the QuPath process speaks of them, and as drawings: both ways."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, TypeVar

import numpy as np
import shapely

from wsisam_server.annotations.store import PathClass
from wsisam_server.annotations.store.shape import canonical, canonical_many, to_wkb
from wsisam_server.annotations.sync.likeness import same_class, same_number, same_shape
from wsisam_server.annotations.sync.model import Drawing, label
from wsisam_server.annotations.sync.runner.wire import Shapes
from wsisam_server.core.shapes import GeometryRepairer, GeometryRepairError, polygonal
from wsisam_server.core.shapes.geometry_repair import FEW

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray
    from shapely.geometry.base import BaseGeometry

    from wsisam_server.annotations.sync.runner.wire import Message

Value = TypeVar("Value")

_AREA: Final = 2
"""Dimensions."""

SAME_ID: Final = "several objects of this image have this id; in QuPath, copy and delete all but one"

OTHER_PLANE: Final = "it lies on plane "
"""How the QuPath process begins to say so."""

_SAME_AREA: Final = 0.005
"""Relative: areas that differ by less are the same but for rounding."""

_REPAIRED: Final = (
    "its shape is not valid, for example a hole outside its polygon: the store has it repaired, with {there:.0f} "
    "square pixels, where QuPath counts {here:.0f}"
)

UNUSABLE: Final = "its shape is empty, crosses itself too often, or cannot be repaired"
"""What is wrong with a shape of which nothing can be made."""


@dataclass(frozen=True, slots=True)
class Edits:
    """What is to become of a project's annotations.

    Attributes:
        remove: these go.
        update: these are changed: as they are, and as they shall be.
        add: these come.
    """

    remove: list[uuid.UUID] = field(default_factory=list)
    update: dict[uuid.UUID, tuple[Drawing, Drawing]] = field(default_factory=dict)
    add: dict[uuid.UUID, Drawing] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.remove or self.update or self.add)

    def without(self, ids: set[uuid.UUID]) -> Edits:
        """All but some."""
        return Edits(
            [one for one in self.remove if one not in ids],
            {one: said for one, said in self.update.items() if one not in ids},
            {one: said for one, said in self.add.items() if one not in ids},
        )


@dataclass(frozen=True, slots=True)
class Found:
    """The annotations of an image.

    Attributes:
        drawings: those that can be synced.
        unusable: what is wrong with the others, by their ids. An id that several objects have names none of them.
        labels: what people call the unusable ones, by their ids: name and class.
        not_numbers: names of measurements that are no finite numbers, by annotation.
        repaired: what became of shapes of which QuPath knows another area, by annotation, for people.
    """

    drawings: dict[uuid.UUID, Drawing] = field(default_factory=dict)
    unusable: dict[str, str] = field(default_factory=dict)
    labels: dict[str, str] = field(default_factory=dict)
    not_numbers: dict[uuid.UUID, tuple[str, ...]] = field(default_factory=dict)
    repaired: dict[uuid.UUID, str] = field(default_factory=dict)


def read(message: Message, data: bytes, areas: Callable[[list[str]], list[bytes]]) -> Found:
    """The annotations of an image.

    Args:
        message: names them.
        data: holds their shapes.
        areas: asks QuPath what it takes for the areas of polygons that cross themselves, by their ids; as WKB.
    """
    geometries = iter(_geometries(message, data, areas))
    found = Found()
    labels: dict[str, list[str]] = {}
    for said in message["annotations"]:
        drawn = next(geometries) if "shape" in said else None
        shape = None if drawn is None else usable(drawn)
        one, key = uuid.UUID(said["id"]), said["id"]
        labels.setdefault(key, []).append(label(said["name"], said["class"]))
        if key in found.unusable or one in found.drawings:
            found.drawings.pop(one, None)
            found.not_numbers.pop(one, None)
            found.repaired.pop(one, None)
            found.unusable[key] = SAME_ID
        elif shape is None:
            found.unusable[key] = said.get("problem", UNUSABLE)
        else:
            found.drawings[one] = _drawing(said, shape)
            if drawn is not None and abs(drawn.area - shape.area) > _SAME_AREA * max(drawn.area, shape.area):
                found.repaired[one] = _REPAIRED.format(here=drawn.area, there=shape.area)
            if said.get("not_numbers"):
                found.not_numbers[one] = tuple(said["not_numbers"])
    found.labels.update((key, "; ".join(filter(None, labels[key]))) for key in found.unusable)
    return found


def _geometries(message: Message, data: bytes, areas: Callable[[list[str]], list[bytes]]) -> NDArray[np.object_]:
    """All shapes of a message, valid where QuPath or we can make them so."""
    shapes = Shapes(data)
    with_shape = [said for said in message["annotations"] if "shape" in said]
    geometries = np.asarray(shapely.from_wkb([shapes.take(said["shape"]) for said in with_shape]), object)
    # QuPath makes no area of a polygon with holes, and paints a hole that lies outside: these are repaired here.
    bad = np.flatnonzero(~shapely.is_valid(geometries) & ~shapely.is_empty(geometries))
    crossing = [number for number in bad if not _has_holes(geometries[number])]
    if crossing:
        geometries[crossing] = shapely.from_wkb(areas([with_shape[number]["id"] for number in crossing]))
    return geometries


def _has_holes(shape: BaseGeometry) -> bool:
    parts = shapely.get_parts(shape)
    return len(shapely.get_rings(parts)) > len(parts)


def request(edits: Edits) -> tuple[Message, bytes]:
    """What to ask of the QuPath process, and the shapes that come with it."""
    shapes = Shapes()
    message: Message = {
        "remove": [str(one) for one in edits.remove],
        "update": [_update(one, was, shall, shapes) for one, (was, shall) in edits.update.items()],
        "add": [_add(one, drawing, shapes) for one, drawing in edits.add.items()],
    }
    return message, shapes.data()


def usable(shape: BaseGeometry, repairer: GeometryRepairer | None = None) -> BaseGeometry | None:
    """The shape as the store takes it: valid. QuPath makes valid areas of most that people draw, but not of all.

    Args:
        shape: as it was drawn.
        repairer: of all shapes that somebody else sends at once; one of its own if there is no more to it.

    Returns:
        None for what is `UNUSABLE`.
    """
    if shape.is_empty:
        return None
    if shapely.get_dimensions(shape) < _AREA:
        return canonical(shape) if shape.is_valid else None
    try:
        repaired = (repairer or GeometryRepairer()).repair(polygonal(shape))
    except GeometryRepairError:
        return None
    return None if repaired.is_empty else canonical(repaired)


def usable_list(shapes: Sequence[BaseGeometry], repairer: GeometryRepairer) -> list[BaseGeometry | None]:
    """As `usable`, of all that somebody sends at once. What is small and valid is told for all of them together."""
    array = np.asarray(shapes, object)
    # Only of few vertices can it be told soon, however they lie: see `GeometryRepairer`.
    few = shapely.get_num_coordinates(array) <= FEW
    good = few & ~shapely.is_empty(array)
    good[good] = shapely.is_valid(array[good])
    parts, shape_of = shapely.get_parts(array, return_index=True)
    good[shape_of[shapely.is_empty(parts)]] = False
    plain = canonical_many(array)
    return [
        one if is_good else usable(shape, repairer) for shape, one, is_good in zip(shapes, plain, good, strict=True)
    ]


def _drawing(said: dict[str, Any], shape: BaseGeometry) -> Drawing:
    return Drawing(
        shape=shape,
        path_class=None if said["class"] is None else PathClass(said["class"], said["rgb"]),
        rgb=said["colour"],
        name=said["name"] or "",
        locked=said["locked"],
        measurements=said["measurements"],
        metadata=said["metadata"],
    )


def _add(one: uuid.UUID, drawing: Drawing, shapes: Shapes) -> dict[str, Any]:
    """What it has; what it has not, a new object has not either."""
    said: dict[str, Any] = {"id": str(one), "shape": _shape(drawing, shapes)}
    if drawing.name:
        said["name"] = drawing.name
    if drawing.path_class is not None:
        said |= _class(drawing)
    if drawing.rgb is not None:
        said["colour"] = drawing.rgb
    if drawing.locked:
        said["locked"] = True
    if drawing.measurements:
        said["measurements"] = dict(drawing.measurements)
    if drawing.metadata:
        said["metadata"] = dict(drawing.metadata)
    return said


def _update(one: uuid.UUID, was: Drawing, shall: Drawing, shapes: Shapes) -> dict[str, Any]:
    """Only what is to be other than it is, so that nothing else is touched."""
    said: dict[str, Any] = {"id": str(one)}
    if not same_shape(was.shape, shall.shape):
        said["shape"] = _shape(shall, shapes)
    if was.name != shall.name:
        said["name"] = shall.name or None
    if not same_class(was.path_class, shall.path_class):
        said |= _class(shall)
    if was.rgb != shall.rgb:
        said["colour"] = shall.rgb
    if was.locked != shall.locked:
        said["locked"] = shall.locked
    if measured := _difference(was.measurements, shall.measurements, same_number):
        said["measurements"] = measured
    if metadata := _difference(was.metadata, shall.metadata, lambda first, second: first == second):
        said["metadata"] = metadata
    return said


def _shape(drawing: Drawing, shapes: Shapes) -> int:
    (wkb,) = to_wkb([drawing.shape])
    return shapes.add(wkb)


def _class(drawing: Drawing) -> dict[str, Any]:
    path_class = drawing.path_class
    return {
        "class": None if path_class is None else path_class.name,
        "rgb": None if path_class is None else path_class.rgb,
    }


def _difference(
    was: Mapping[str, Value], shall: Mapping[str, Value], same: Callable[[Value, Value], bool]
) -> dict[str, Value | None]:
    gone: dict[str, Value | None] = dict.fromkeys(was.keys() - shall.keys())
    return gone | {key: value for key, value in shall.items() if key not in was or not same(was[key], value)}
