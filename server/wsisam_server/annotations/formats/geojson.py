"""QuPath's own GeoJSON: what its versions write, and what they read."""

from __future__ import annotations

import functools
import json
import uuid
from typing import TYPE_CHECKING, Any, Final, TypeVar

from wsisam_server.annotations.formats import provenance, shapes, values
from wsisam_server.annotations.formats.errors import FormatError, LeftOutError, UnreadableError
from wsisam_server.annotations.formats.parsed import ParsedFile, position_of, short
from wsisam_server.annotations.store import Content, PathClass
from wsisam_server.core.shapes import collection, feature

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from wsisam_server.annotations.store import Annotation

Value = TypeVar("Value")

_OLD_KINDS: Final = {
    "PathAnnotationObject": "annotation",
    "PathDetectionObject": "detection",
    "PathCellObject": "cell",
    "PathTileObject": "tile",
    "TMACoreObject": "tma_core",
    "PathRootObject": "root",
}
"""What QuPath wrote as `id` before it had UUIDs (0.2, 0.3)."""

_KINDS: Final = {kind.lower(): kind for kind in _OLD_KINDS.values()} | {
    old.lower(): kind for old, kind in _OLD_KINDS.items()
}

_BYTE: Final = 255
_SAME: Final = "objects that are no annotations"


def write(annotations: Iterable[Annotation]) -> str:
    """Annotations of one slide as a FeatureCollection that QuPath opens; every number exact."""
    return json.dumps(collection(map(_feature, annotations)), ensure_ascii=False)


def read(text: str, slide_id: str, project: str = "") -> ParsedFile:
    """The annotations in a GeoJSON text, also those that lie below others.

    It may be a collection, a list of features, one feature, a bare geometry, or a hierarchy as QuPath writes it.
    A feature of which nothing can be taken is left out; a value that cannot be read is ignored. Both are counted.

    Args:
        text: as QuPath wrote it, in any of its versions.
        slide_id: the slide that they are on.
        project: what they belong to.

    Raises:
        FormatError: it is no GeoJSON.
    """
    found = ParsedFile()
    for number, item in enumerate(_objects(_top(_parsed(text))), 1):
        said = _dict(item.get("properties")) if isinstance(item, dict) else {}
        written_id = item.get("id", said.get("id")) if isinstance(item, dict) else None
        where = position_of("feature", number, written_id, said.get("name"))
        try:
            _take(found, item, said, _Position(written_id, where), slide_id, project)
        except LeftOutError as error:
            found.leave_out(error.what, where, error.why)
        except RecursionError:
            found.leave_out("annotations that are nested too deeply", where, "it is nested too deeply to be read")
    return found


class _Position:
    """Which feature it is: its id as written, and where it is, in words."""

    __slots__ = ("id", "words")

    def __init__(self, written_id: Any, words: str) -> None:
        self.id = written_id
        self.words = words


def _parsed(text: str) -> Any:
    try:
        try:
            return json.loads(text, object_pairs_hook=_merged)
        except json.JSONDecodeError as error:
            raise FormatError(
                f"this is no JSON, or not all of it (line {error.lineno}, column {error.colno}); export it again"
            ) from error
        except ValueError:
            # An integer of thousands of digits, which Python does not convert; it costs its feature only.
            return json.loads(text, object_pairs_hook=_merged, parse_int=_integer)
    except RecursionError as error:
        raise FormatError("its objects are nested too deeply to be read; export it without its hierarchy") from error


def _integer(digits: str) -> float:
    try:
        return int(digits)
    except ValueError:
        return float(digits)


def _merged(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object with each key once; QuPath writes an object's metadata twice."""
    merged: dict[str, Any] = {}
    for key, value in pairs:
        both = isinstance(value, dict) and isinstance(merged.get(key), dict)
        merged[key] = merged[key] | value if both else value
    return merged


def _top(data: Any) -> list[Any]:
    """What stands at the top of a file; see `_objects`."""
    if isinstance(data, list):
        return data
    if isinstance(data, dict):
        kind = data.get("type")
        if kind in {"FeatureCollection", "Feature"}:
            return [data]
        if isinstance(kind, str) and ("coordinates" in data or "geometries" in data):
            return [{"geometry": data}]
        for key in ("root", "hierarchy"):
            if isinstance(data.get(key), dict):
                return _top(data[key])
    raise FormatError("this is no GeoJSON: there is no FeatureCollection, feature or geometry in it")


def _objects(items: list[Any]) -> Iterator[Any]:
    """All objects in the order in which they are written, each before those below it; roots only hold others."""
    stack = items[::-1]
    while stack:
        item = stack.pop()
        if isinstance(item, dict):
            if item.get("type") == "FeatureCollection":
                stack += reversed(_list(item.get("features")))
                continue
            said = _dict(item.get("properties"))
            for holder in (item, said):
                below = values.unpacked(holder.get("childObjects"))
                stack += reversed([below] if isinstance(below, dict) else _list(below))
            if _kind(item.get("id"), said) == "root":
                continue
            if "geometry" not in item and ("coordinates" in item or "geometries" in item):
                item = {"geometry": item}
        yield item


def _dict(value: Any) -> dict[str, Any]:
    value = values.unpacked(value)
    return value if isinstance(value, dict) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _kind(written_id: Any, said: dict[str, Any]) -> str:
    """What an object is, in QuPath's present words."""
    for key in ("objectType", "object_type"):
        if isinstance(said.get(key), str) and said[key]:
            word = str(said[key]).lower()
            return _KINDS.get(word, word)
    # Other programs keep other things under `type`: only QuPath's words count.
    other = said.get("type")
    known = _KINDS.get(other.lower()) if isinstance(other, str) else None
    return known or _OLD_KINDS.get(written_id if isinstance(written_id, str) else "", "annotation")


def _take(found: ParsedFile, item: Any, said: dict[str, Any], at: _Position, slide_id: str, project: str) -> None:
    if not isinstance(item, dict):
        raise LeftOutError("entries that are no features", f"it is no feature: {short(item)}")
    if _kind(at.id, said) != "annotation":
        found.leave_out(_SAME)
        return
    geometry = values.unpacked(item.get("geometry"))
    plane = _dict(geometry.get("plane")) if isinstance(geometry, dict) else {}
    if plane.get("z") or plane.get("t"):
        found.leave_out("annotations on another plane than the first")
        return
    lost: set[str] = set()
    shape = shapes.shape(geometry, lost.add)
    for what in sorted(lost):
        found.ignore(what)

    def tried(what: str, reader: Callable[[], Value], otherwise: Value) -> Value:
        try:
            return reader()
        except (UnreadableError, RecursionError) as error:
            found.ignore(what, at.words, str(error))
            return otherwise

    path_class = _path_class(said.get("classification"), tried)
    name = tried("names that are no texts", lambda: values.name(said.get("name")), "")
    if not values.is_text(name + (path_class.name if path_class else "")):
        why = "its name or class has a character that is no text (U+0000, or half of a pair)"
        raise LeftOutError("annotations whose name or class is no text", why)
    own = tried("colours that are none", lambda: values.rgb(said.get("color")), None)
    made, metadata = provenance.split(_metadata(said.get("metadata"), tried))
    content = Content(
        slide_id=slide_id,
        shape=shape,
        path_class=path_class,
        rgb=None if _is_class_colour(said, own, path_class) else own,
        name=name,
        project=project,
        locked=tried("locks that are neither true nor false", lambda: values.flag(said.get("isLocked")), False),  # noqa: FBT003
        measurements=_measurements(said.get("measurements"), tried),
        metadata=metadata,
        provenance=made,
    )
    found.add(content, _uuid(at.id), at.words)


def _is_class_colour(said: dict[str, Any], own: int | None, path_class: PathClass | None) -> bool:
    """Whether an object's colour is only its class's: before 0.4, which wrote no `objectType`, QuPath wrote both."""
    return "objectType" not in said and path_class is not None and own == path_class.rgb


def _uuid(value: Any) -> uuid.UUID | None:
    try:
        return uuid.UUID(value)
    except (ValueError, TypeError, AttributeError):
        return None


def _path_class(value: Any, tried: Callable[..., Any]) -> PathClass | None:
    name = tried("classes that are no texts", lambda: values.class_name(value), "")
    if not name:
        return None
    return PathClass(name, tried("colours that are none", lambda: values.rgb(values.class_color(value)), None))


def _measurements(value: Any, tried: Callable[..., Any]) -> dict[str, float]:
    """A map, or before 0.4 a list; what is not finite is what QuPath calls missing."""
    value = values.unpacked(value)
    if isinstance(value, list):
        pairs = [(one.get("name"), one.get("value")) for one in value if isinstance(one, dict)]
    elif isinstance(value, dict):
        pairs = list(value.items())
    else:
        pairs = [] if value in (None, "") else [(None, value)]
    numbers: dict[str, float] = {}
    for key, number in pairs:
        named, read = tried(
            "measurements that are no numbers", functools.partial(_measurement, key, number), ("", None)
        )
        if read is not None:
            numbers[named] = read
    return numbers


def _measurement(key: Any, value: Any) -> tuple[str, float | None]:
    named = values.text(key)
    if named is None:
        raise UnreadableError(f"a measurement has no name: {short(value)}")
    try:
        return named, values.measurement(value)
    except UnreadableError as error:
        raise UnreadableError(f"the measurement '{short(named)}': {error}") from error


def _metadata(value: Any, tried: Callable[..., Any]) -> dict[str, str]:
    value = values.unpacked(value)
    pairs = list(value.items()) if isinstance(value, dict) else [] if value in (None, "", []) else [(None, value)]
    texts: dict[str, str] = {}
    for key, one in pairs:
        named, read = tried("metadata that are no texts", functools.partial(_text, key, one), ("", None))
        if read is not None:
            texts[named] = read
    return texts


def _text(key: Any, value: Any) -> tuple[str, str | None]:
    if key is None:
        raise UnreadableError(f"the metadata are no texts by name: {short(value)}")
    try:
        return values.text(key) or "", values.text(value)
    except UnreadableError as error:
        raise UnreadableError(f"the metadata '{short(key)}': {error}") from error


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
