"""QuPath's own GeoJSON: what its versions write, and what they read."""

from __future__ import annotations

import json
import math
import uuid
from typing import TYPE_CHECKING, Any, Final

import shapely
from shapely.geometry import shape

from wsisam_server.formats import provenance
from wsisam_server.formats.errors import FormatError
from wsisam_server.formats.found import Found
from wsisam_server.polygons import collection, feature
from wsisam_server.store import Content, PathClass

if TYPE_CHECKING:
    from collections.abc import Iterable

    from wsisam_server.store import Annotation

_OLD_KINDS: Final = {
    "PathAnnotationObject": "annotation",
    "PathDetectionObject": "detection",
    "PathCellObject": "cell",
    "PathTileObject": "tile",
    "TMACoreObject": "tma_core",
    "PathRootObject": "root",
}
"""What QuPath wrote as `id` before it had UUIDs (0.2, 0.3)."""

_RGB: Final = 3
_BYTE: Final = 255
_SAME: Final = "objects that are no annotations"


def write(annotations: Iterable[Annotation]) -> str:
    """Annotations of one slide as a FeatureCollection that QuPath opens; every number exact."""
    return json.dumps(collection(map(_feature, annotations)), ensure_ascii=False)


def read(text: str, slide_id: str, project: str = "") -> Found:
    """The annotations in a GeoJSON text: a collection, a list of features, one feature, or a bare geometry.

    Args:
        text: as QuPath wrote it, in any of its versions.
        slide_id: the slide that they are on.
        project: what they belong to.

    Raises:
        FormatError: it is no GeoJSON, or a feature makes no sense.
    """
    try:
        data = json.loads(text, object_pairs_hook=_merged)
    except ValueError as error:
        raise FormatError(f"this is no JSON: {error}") from error
    found = Found()
    for number, item in enumerate(_features(data), 1):
        try:
            _take(found, item, slide_id, project)
        except (ValueError, TypeError, KeyError, AttributeError, OverflowError, shapely.errors.ShapelyError) as error:
            raise FormatError(f"feature {number}: {error}") from error
    return found


def _merged(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object with each key once; QuPath writes an object's metadata twice."""
    merged: dict[str, Any] = {}
    for key, value in pairs:
        both = isinstance(value, dict) and isinstance(merged.get(key), dict)
        merged[key] = merged[key] | value if both else value
    return merged


def _features(data: Any) -> list[dict[str, Any]]:
    if isinstance(data, list):
        return data
    kind = data.get("type") if isinstance(data, dict) else None
    if kind == "FeatureCollection":
        return list(data.get("features") or ())
    if kind == "Feature":
        return [data]
    if isinstance(kind, str) and "coordinates" in data:
        return [{"geometry": data}]
    raise FormatError("this is no GeoJSON: there is no FeatureCollection, feature or geometry in it")


def _take(found: Found, item: dict[str, Any], slide_id: str, project: str) -> None:
    said = item.get("properties") or {}
    written_id = item.get("id")
    kind = said.get("objectType") or said.get("object_type") or _OLD_KINDS.get(str(written_id), "annotation")
    geometry = item.get("geometry")
    if kind != "annotation":
        found.left_out[_SAME] += 1
        return
    if geometry is None:
        found.left_out["annotations without a shape"] += 1
        return
    plane = geometry.get("plane") or {}
    if plane.get("z") or plane.get("t"):
        found.left_out["annotations on another plane than the first"] += 1
        return
    path_class = _path_class(said.get("classification"))
    own = _rgb(said.get("color"))
    made, metadata = provenance.split({key: str(value) for key, value in (said.get("metadata") or {}).items()})
    content = Content(
        slide_id=slide_id,
        shape=shape(geometry),
        path_class=path_class,
        rgb=None if _is_class_colour(said, own, path_class) else own,
        name=str(said.get("name") or ""),
        project=project,
        locked=bool(said.get("isLocked", False)),
        measurements=_measurements(said.get("measurements")),
        metadata=metadata,
        provenance=made,
    )
    found.add(content, _uuid(written_id))


def _is_class_colour(said: dict[str, Any], own: int | None, path_class: PathClass | None) -> bool:
    """Whether an object's colour is only its class's: before 0.4, which wrote no `objectType`, QuPath wrote both."""
    return "objectType" not in said and path_class is not None and own == path_class.rgb


def _uuid(value: Any) -> uuid.UUID | None:
    try:
        return uuid.UUID(value)
    except (ValueError, TypeError, AttributeError):
        return None


def _path_class(value: Any) -> PathClass | None:
    if value is None:
        return None
    if isinstance(value, str):
        return PathClass(value)
    name = value["name"] if "name" in value else ": ".join(value["names"])
    return PathClass(str(name), _rgb(value.get("color", value.get("colorRGB"))))


def _rgb(value: Any) -> int | None:
    """A colour as [r, g, b], or packed with an alpha value into a signed integer."""
    if value is None:
        return None
    if isinstance(value, int):
        return value & 0xFFFFFF
    red, green, blue = value[:_RGB]
    return (int(red) << 16) | (int(green) << 8) | int(blue)


def _measurements(value: Any) -> dict[str, float]:
    """A map, or before 0.4 a list; what is not finite is what QuPath calls missing."""
    pairs = value.items() if isinstance(value, dict) else ((one["name"], one["value"]) for one in value or ())
    numbers = {str(name): float(number) for name, number in pairs if number is not None}
    return {name: number for name, number in numbers.items() if math.isfinite(number)}


def _feature(annotation: Annotation) -> dict[str, Any]:
    content = annotation.content
    made = {} if content.provenance is None else provenance.to_metadata(content.provenance)
    return feature(
        content.shape,
        id=str(annotation.id),
        name=content.name or None,
        classification=None if content.path_class is None else content.path_class.name,
        color=None if content.path_class is None else _channels(content.path_class.rgb),
        own_color=_channels(content.rgb),
        measurements=content.measurements,
        metadata=made | dict(content.metadata),
        locked=content.locked,
    )


def _channels(rgb: int | None) -> tuple[int, int, int] | None:
    return None if rgb is None else (rgb >> 16, rgb >> 8 & _BYTE, rgb & _BYTE)
