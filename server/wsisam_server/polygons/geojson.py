"""GeoJSON as QuPath writes and reads it: annotations in level-0 pixels."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

import shapely

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_DECIMALS: Final = 5
"""1/32 = 0.03125: five decimals hold the grid exactly and cut the float noise of geometries that are off it."""

_CHANNEL_MAX: Final = 255


def feature(
    geometry: shapely.Polygon | shapely.MultiPolygon,
    *,
    id: str,  # noqa: A002 (GeoJSON's own word)
    name: str | None = None,
    classification: str | None = None,
    color: tuple[int, int, int] | None = None,
    measurements: Mapping[str, float] | None = None,
    metadata: Mapping[str, str] | None = None,
    locked: bool = False,
) -> dict[str, Any]:
    """One annotation as a GeoJSON feature with QuPath's properties, ready for `json.dumps`.

    As in QuPath's own export, what an annotation does not have is left out.

    Args:
        geometry: level-0 pixels; a multi-polygon of one part is written as a Polygon. Rings are written as they run.
        id: the object's UUID as text; QuPath keeps it.
        name: what QuPath's annotation list shows.
        classification: the class's name. Needs the colour: QuPath refuses a file with a class that has only a name.
        color: the class's colour, (red, green, blue), each 0..255.
        measurements: finite numbers by name.
        metadata: texts by key.
        locked: whether QuPath keeps the annotation from being moved or edited by accident.

    Raises:
        ValueError: the geometry is empty, a class without a colour or the reverse, a colour out of range, or a
            measurement that is not finite.
    """
    properties: dict[str, Any] = {"objectType": "annotation"}
    if locked:
        properties["isLocked"] = True
    if name is not None:
        properties["name"] = name
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


def _geometry(geometry: shapely.Polygon | shapely.MultiPolygon) -> dict[str, Any]:
    parts = [geometry] if isinstance(geometry, shapely.Polygon) else list(geometry.geoms)
    if geometry.is_empty:
        raise ValueError("an annotation must have an area; QuPath reads an empty polygon as a rectangle of size zero")
    polygons = [[_ring(ring) for ring in (part.exterior, *part.interiors)] for part in parts]
    if len(polygons) == 1:
        return {"type": "Polygon", "coordinates": polygons[0]}
    return {"type": "MultiPolygon", "coordinates": polygons}


def _ring(ring: shapely.LinearRing) -> list[list[float]]:
    return [[_number(x), _number(y)] for x, y in shapely.get_coordinates(ring).tolist()]


def _number(value: float) -> float:
    """The number without float noise; an int where it is whole, as QuPath writes it."""
    rounded = round(value, _DECIMALS)
    return int(rounded) if rounded.is_integer() else rounded


def _classification(name: str | None, color: tuple[int, int, int] | None) -> dict[str, Any]:
    if name is None or color is None:
        raise ValueError("a classification must have both a name and a color")
    if not all(0 <= channel <= _CHANNEL_MAX for channel in color):
        raise ValueError(f"a color must be three numbers from 0 to {_CHANNEL_MAX}, not {color}")
    return {"name": name, "color": list(color)}


def _finite(key: str, value: float) -> float:
    if not math.isfinite(value):
        raise ValueError(f"the measurement {key!r} must be finite, not {value}: JSON has no such number")
    return float(value)
