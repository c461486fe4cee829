"""GeoJSON as QuPath writes and reads it: annotations in level-0 pixels."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import shapely

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from shapely.geometry.base import BaseGeometry

_CHANNEL_MAX: Final = 255


def feature(
    geometry: BaseGeometry,
    *,
    id: str,  # noqa: A002 (GeoJSON's own word)
    name: str | None = None,
    classification: str | None = None,
    color: tuple[int, int, int] | None = None,
    own_color: tuple[int, int, int] | None = None,
    measurements: Mapping[str, float] | None = None,
    metadata: Mapping[str, str] | None = None,
    locked: bool = False,
) -> dict[str, Any]:
    """One annotation as a GeoJSON feature with QuPath's properties, ready for `json.dumps`.

    As in QuPath's own export, what an annotation does not have is left out.

    Args:
        geometry: level-0 pixels; points, lines or polygons. Several of one kind that are only one are written as that
            one. Rings are written as they run, numbers exactly.
        id: the object's UUID as text; QuPath keeps it.
        name: what QuPath's annotation list shows.
        classification: the class's name.
        color: the class's colour, (red, green, blue), each 0..255; None leaves it to QuPath.
        own_color: the annotation's own colour, in place of its class's.
        measurements: finite numbers by name.
        metadata: texts by key.
        locked: whether QuPath keeps the annotation from being moved or edited by accident.

    Raises:
        ValueError: the geometry is empty or of another kind, a colour without a class or out of range, or a measurement
            that is not finite.
    """
    properties: dict[str, Any] = {"objectType": "annotation"}
    if locked:
        properties["isLocked"] = True
    if name is not None:
        properties["name"] = name
    if own_color is not None:
        properties["color"] = _color(own_color)
    if classification is not None or color is not None:
        properties["classification"] = _classification(classification, color)
    if measurements:
        properties["measurements"] = {key: _finite(key, value) for key, value in measurements.items()}
    if metadata:
        properties["metadata"] = dict(metadata)
    return {"type": "Feature", "id": id, "geometry": _geometry(geometry), "properties": properties}


def collection(features: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """A GeoJSON file's content, from what `feature` returns."""
    return {"type": "FeatureCollection", "features": list(features)}


def _geometry(geometry: BaseGeometry) -> dict[str, Any]:
    if geometry.is_empty:
        raise ValueError("an annotation must not be empty; QuPath reads an empty polygon as a rectangle of size zero")
    parts = shapely.get_parts(geometry).tolist()
    kind = parts[0].geom_type
    if kind not in _COORDINATES or geometry.geom_type not in {kind, f"Multi{kind}"}:
        raise ValueError(f"an annotation must be points, lines or polygons, not a {geometry.geom_type}")
    coordinates = [_COORDINATES[kind](part) for part in parts]
    if len(coordinates) == 1:
        return {"type": kind, "coordinates": coordinates[0]}
    return {"type": f"Multi{kind}", "coordinates": coordinates}


def _vertices(geometry: BaseGeometry) -> list[list[float]]:
    """Pairs of numbers, ints where they are whole, as QuPath writes them."""
    coordinates = shapely.get_coordinates(geometry)
    pairs: list[list[float]] = coordinates.tolist()
    whole = np.isfinite(coordinates) & (coordinates == np.rint(coordinates))
    for vertex, axis in np.argwhere(whole).tolist():
        pairs[vertex][axis] = int(pairs[vertex][axis])
    return pairs


_COORDINATES: Final[dict[str, Callable[[Any], list[Any]]]] = {
    "Point": lambda point: _vertices(point)[0],
    "LineString": _vertices,
    "Polygon": lambda part: [_vertices(ring) for ring in (part.exterior, *part.interiors)],
}


def _classification(name: str | None, color: tuple[int, int, int] | None) -> str | dict[str, Any]:
    if name is None:
        raise ValueError("a class must have a name")
    # QuPath takes a text, or a name with a colour; at a name without one it gives up the whole file.
    return name if color is None else {"name": name, "color": _color(color)}


def _color(color: tuple[int, int, int]) -> list[int]:
    if not all(0 <= channel <= _CHANNEL_MAX for channel in color):
        raise ValueError(f"a color must be three numbers from 0 to {_CHANNEL_MAX}, not {color}")
    return list(color)


def _finite(key: str, value: float) -> float:
    if not math.isfinite(value):
        raise ValueError(f"the measurement {key!r} must be finite, not {value}: JSON has no such number")
    return float(value)
