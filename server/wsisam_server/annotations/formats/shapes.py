"""Coordinates of a file -> shapes. What one part lacks costs that part only, and is said."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import shapely

from wsisam_server.annotations.formats.errors import LeftOutError, UnreadableError
from wsisam_server.annotations.formats.parsed import short

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray
    from shapely.geometry.base import BaseGeometry

    Note = Callable[[str], None]
    """Is told, in words, of what an annotation lost."""

NO_SHAPE: Final = "annotations without a shape"
TOO_FEW: Final = "annotations with too few vertices"
NO_NUMBER: Final = "annotations with a vertex that is no number"

LOST_Z: Final = "z coordinates (a slide has one plane)"
LOST_PARTS: Final = "parts and holes with too few vertices"
LOST_LINES: Final = "lines and points beside the areas of one annotation"

_PLANE: Final = 2
_RING: Final = 3
_LINE: Final = 2


def shape(geometry: Any, note: Note) -> BaseGeometry:
    """A GeoJSON geometry in two dimensions; of a collection its areas, else its lines, else its points.

    Vertices are kept exactly. Whether areas cross themselves is not looked at.

    Args:
        geometry: an object of JSON.
        note: is told of each kind of what is lost.

    Raises:
        LeftOutError: nothing of it can be taken.
    """
    if not isinstance(geometry, dict) or not geometry:
        raise LeftOutError(NO_SHAPE)
    found: dict[str, list[BaseGeometry]] = {"Polygon": [], "LineString": [], "Point": []}
    for kind, coordinates in _simple(geometry):
        parts = _listed(coordinates) if kind.startswith("Multi") else [coordinates]
        kind = kind.removeprefix("Multi")  # noqa: PLW2901
        found[kind] += [part for one in parts if (part := _PARTS[kind](one, note)) is not None]
    taken = next((parts for parts in found.values() if parts), None)
    if taken is None:
        raise _nothing(geometry)
    if sum(map(bool, found.values())) > 1:
        note(LOST_LINES)
    return several(taken)


def several(parts: Sequence[BaseGeometry]) -> BaseGeometry:
    """Parts of one kind as one shape."""
    if len(parts) == 1:
        return parts[0]
    return _MULTI[parts[0].geom_type](parts)


def polygon(rings: Sequence[NDArray[np.float64]], note: Note) -> shapely.Polygon | None:
    """An area of a border and holes (float64 [n, 2]); None when the border has too few vertices."""
    if not rings or _few(rings[0], _RING):
        note(LOST_PARTS)
        return None
    holes = [ring for ring in rings[1:] if not _few(ring, _RING)]
    if len(holes) < len(rings) - 1:
        note(LOST_PARTS)
    return shapely.Polygon(rings[0], holes)


def vertices(value: Any, note: Note) -> NDArray[np.float64]:
    """Vertices as a list of [x, y] or [x, y, z]: float64 [n, 2].

    Raises:
        LeftOutError: one is no vertex.
    """
    listed = _listed(value)
    try:
        array = np.asarray(listed, np.float64)
    except (ValueError, TypeError, OverflowError):
        array = np.empty(0)
    if listed and (array.ndim != _PLANE or array.shape[1] < _PLANE or not np.isfinite(array).all()):
        array = np.array([_vertex(one, number) for number, one in enumerate(listed, 1)])
        if any(len(one) > _PLANE for one in listed):
            note(LOST_Z)
    elif listed and array.shape[1] > _PLANE:
        note(LOST_Z)
    return array.reshape(len(listed), -1)[:, :_PLANE] if listed else np.empty((0, _PLANE))


def number(value: Any) -> float:
    """A number, also in a text and with a decimal comma.

    Raises:
        UnreadableError: it is none, or not finite.
    """
    if isinstance(value, str):
        value = value.strip()
        # "1.234,5" is somebody's way of writing thousands: it is not guessed at.
        value = value.replace(",", ".") if value.count(",") == 1 and "." not in value else value
    elif isinstance(value, bool) or not isinstance(value, int | float):
        raise UnreadableError("it is no number")
    try:
        read = float(value)
    except OverflowError as error:
        raise UnreadableError("it is too large") from error
    if not math.isfinite(read):
        raise UnreadableError("it is not finite")
    return read


def too_few(least: int) -> LeftOutError:
    """The error for what has less different vertices than its kind needs."""
    whole = {_RING: "a closed area needs three", _LINE: "a line needs two"}.get(least, "it has none")
    return LeftOutError(TOO_FEW, f"it has too few different vertices: {whole}")


def is_drawn(array: NDArray[np.float64], least: int) -> bool:
    """Whether vertices (float64 [n, 2]) have so many different ones, up to three."""
    return not _few(array, least)


def _few(array: NDArray[np.float64], least: int) -> bool:
    for _ in range(least):
        if not len(array):
            return True
        array = array[(array != array[0]).any(axis=1)]
    return False


def _vertex(value: Any, position: int) -> tuple[float, float]:
    if not isinstance(value, list | tuple) or len(value) < _PLANE:
        raise LeftOutError(NO_NUMBER, f"its vertex {position} is not a pair of x and y: {short(value)}")
    try:
        return number(value[0]), number(value[1])
    except ValueError as error:
        raise LeftOutError(NO_NUMBER, f"its vertex {position} is no pair of numbers: {short(value)}") from error


def _simple(geometry: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """The geometries that are no collection, with their kinds; collections may be nested."""
    stack: list[Any] = [geometry]
    while stack:
        one = stack.pop()
        kind = one.get("type") if isinstance(one, dict) else None
        known = _KINDS.get(kind.lower()) if isinstance(kind, str) else None
        if known == "GeometryCollection":
            stack += reversed(_listed(one.get("geometries")))
        elif known is not None:
            yield known, one.get("coordinates")
        elif one is geometry:
            raise LeftOutError(f"annotations of the type '{short(kind)}'" if kind else NO_SHAPE)


def _nothing(geometry: dict[str, Any]) -> LeftOutError:
    kind = _KINDS[geometry["type"].lower()]
    if not geometry.get("geometries" if kind == "GeometryCollection" else "coordinates"):
        return LeftOutError(NO_SHAPE)
    least = {"Polygon": _RING, "LineString": _LINE}.get(kind.removeprefix("Multi"), 1)
    return too_few(_RING if kind == "GeometryCollection" else least)


def _listed(value: Any) -> list[Any]:
    if value is None:
        return []
    if not isinstance(value, list):
        raise LeftOutError(NO_NUMBER, f"its coordinates are no list: {short(value)}")
    return value


def _point(value: Any, note: Note) -> shapely.Point | None:
    return shapely.Point(vertices([value], note)[0]) if _listed(value) else None


def _line(value: Any, note: Note) -> shapely.LineString | None:
    array = vertices(value, note)
    if _few(array, _LINE):
        note(LOST_PARTS)
        return None
    return shapely.LineString(array)


def _area(value: Any, note: Note) -> shapely.Polygon | None:
    return polygon([vertices(ring, note) for ring in _listed(value)], note)


_PARTS: Final[dict[str, Callable[[Any, Note], BaseGeometry | None]]] = {
    "Point": _point,
    "LineString": _line,
    "Polygon": _area,
}
_MULTI: Final[dict[str, Callable[[Any], BaseGeometry]]] = {
    "Point": shapely.MultiPoint,
    "LineString": shapely.MultiLineString,
    "Polygon": shapely.MultiPolygon,
}
_KINDS: Final = {
    name.lower(): name
    for name in (
        "Point", "LineString", "Polygon", "MultiPoint", "MultiLineString", "MultiPolygon", "GeometryCollection",
    )
}  # fmt: skip
