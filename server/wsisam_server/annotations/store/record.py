"""Contents as rows: every column's value from a content, and back, with a digest that shows damage."""

from __future__ import annotations

import hashlib
import json
from json.encoder import encode_basestring
from typing import TYPE_CHECKING, Any, Final

from wsisam_server.annotations.store.model import Content, Level, PathClass, Provenance, class_name
from wsisam_server.annotations.store.shape import canonical, from_wkb, pack, to_wkb, unpack
from wsisam_server.core.errors import Reason, WsiSamServerError
from wsisam_server.core.geometry import Box, FieldPair, Point, Window
from wsisam_server.core.prompt import PromptPoint, SlidePrompt
from wsisam_server.core.shapes import decode, encode, on_grid

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import sqlalchemy as sa

Columns = dict[str, Any]


COLUMNS: Final = (
    "slide_id",
    "shape",
    "class_name",
    "class_rgb",
    "rgb",
    "name",
    "project",
    "locked",
    "measurements",
    "metadata",
    "model",
    "weights_hash",
    "score",
    "prompt",
    "field",
    "levels",
)
"""What a content consists of; here `shape` is WKB. In a database the slide's id is a number in a table of its own."""

BOUNDS: Final = ("x0", "y0", "x1", "y1")
"""The shape's bounding box, for the index; it follows from the shape."""

FIELD_COLUMNS: Final[Mapping[str, tuple[str, ...]]] = {
    **{name: (name,) for name in ("shape", "rgb", "name", "project", "locked", "measurements", "metadata")},
    "path_class": ("class_name", "class_rgb"),
    "provenance": ("model", "weights_hash", "score", "prompt", "field", "levels"),
}
"""The columns of each field of a content that can be changed by itself."""

_TAG: Final = b"wsisam annotation 1\0"

_KEYS: Final = tuple((name, f'"{name}":') for name in sorted(COLUMNS) if name != "shape")


def columns(content: Content, wkb: bytes) -> Columns:
    """A content, as `validation.drafts` returned it, column by column.

    Args:
        content: to be stored.
        wkb: its shape, see `shape.to_wkb`, which is faster for many at once.
    """
    made, path_class = content.provenance, content.path_class
    return {
        "slide_id": content.slide_id,
        "shape": wkb,
        "class_name": None if path_class is None else path_class.name,
        "class_rgb": None if path_class is None else path_class.rgb,
        "rgb": content.rgb,
        "name": content.name,
        "locked": content.locked,
        "measurements": _json({name: float(value) for name, value in content.measurements.items()}),
        "metadata": _json(dict(content.metadata)),
        "project": content.project,
        "model": None if made is None else made.model,
        "weights_hash": None if made is None else made.weights_hash,
        "score": None if made is None or made.score is None else float(made.score),
        "prompt": None if made is None or made.prompt is None else _json(_prompt(made.prompt)),
        "field": None if made is None or made.field is None else _json(_field(made.field)),
        "levels": None if made is None or not made.levels else _json(_levels(made.levels)),
    }


def digest(values: Columns) -> bytes:
    """SHA-256 over a content's columns: equal for equal contents only.

    A column without a value does not count, so that one that is added later leaves older digests as they are.
    """
    # What json.dumps says of these columns, in a fifth of its time: every annotation that is read pays it.
    said = [key + _SAID.get(type(value), _json)(value) for name, key in _KEYS if (value := values[name]) is not None]
    text = f"{{{','.join(said)}}}".encode()
    return hashlib.sha256(b"".join((_TAG, len(text).to_bytes(8, "big"), text, values["shape"]))).digest()


def text_length(values: Columns) -> int:
    """Characters of all texts of a content, as `validation` counts them."""
    whole = sum(len(values[name] or "") for name in ("class_name", "name", "project", "model", "weights_hash"))
    metadata = _object(values["metadata"])
    return whole + sum(map(len, (*_object(values["measurements"]), *metadata, *metadata.values())))


def digest_of(content: Content) -> bytes:
    """A content's digest, whatever form its shape has."""
    (wkb,) = to_wkb([canonical(content.shape)])
    return digest(columns(content, wkb))


def contents(rows: Sequence[Columns]) -> list[Content]:
    """The inverse of `columns`, of many at once.

    Args:
        rows: as `from_row` returned them.

    Raises:
        ValueError: a value is damaged.
    """
    shapes = from_wkb([values["shape"] for values in rows])
    try:
        return [
            Content(
                slide_id=values["slide_id"],
                shape=shape,
                path_class=_path_class(values["class_name"], values["class_rgb"]),
                rgb=values["rgb"],
                name=values["name"],
                project=values["project"],
                locked=values["locked"],
                measurements=_object(values["measurements"]),
                metadata=_object(values["metadata"]),
                provenance=_provenance(values),
            )
            for values, shape in zip(rows, shapes, strict=True)
        ]
    except (KeyError, TypeError) as error:
        raise ValueError(f"a stored annotation is damaged: {error!r}") from error


def to_row(values: Columns) -> Columns:
    """Columns as the database takes them, all but the slide."""
    row = {**values, "shape": pack(values["shape"])}
    del row["slide_id"]
    return row


def from_row(row: sa.RowMapping | Columns) -> Columns:
    """Columns as the database gave them, their digest checked.

    Raises:
        WsiSamServerError: STORE_DAMAGED.
    """
    values = {name: row[name] for name in COLUMNS}
    check(values, row["digest"], row["number"])
    return values


def check(values: Columns, stored: bytes, number: int) -> None:
    """As `from_row`, in place: every annotation that is read pays for it.

    Args:
        values: the columns, among others.
        stored: their digest.
        number: the revision's.

    Raises:
        WsiSamServerError: STORE_DAMAGED.
    """
    try:
        values["shape"] = unpack(values["shape"])
        values["locked"] = bool(values["locked"])
        wrong = digest(values) != stored
    except (ValueError, TypeError) as error:
        raise damaged(number, str(error)) from error
    if wrong:
        raise damaged(number, "its content is not what was stored")


def today(row: sa.RowMapping) -> tuple[Columns, bytes]:
    """Columns and their digest as they would be stored now: the class's name in its one form.

    Raises:
        WsiSamServerError: STORE_DAMAGED.
    """
    values = from_row(row)
    if in_form(values["class_name"]):
        return values, row["digest"]
    path_class = _path_class(values["class_name"], values["class_rgb"])
    values["class_name"] = None if path_class is None else path_class.name
    values["class_rgb"] = None if path_class is None else path_class.rgb
    return values, digest(values)


def in_form(name: str | None) -> bool:
    """Whether a stored class's name has its one form; stores of before have others."""
    return name is None or name == class_name(name)


def damaged(number: int, problem: str) -> WsiSamServerError:
    """What is raised for a revision that is not as it was stored."""
    return WsiSamServerError(Reason.STORE_DAMAGED, private=f"revision {number}: {problem}")


def _object(text: str) -> dict[str, Any]:
    # Most annotations have neither measurements nor metadata. No blanks were written, so that none are looked for.
    if text == "{}":
        return {}
    found: dict[str, Any]
    found, end = _decode(text)
    if end != len(text):
        raise ValueError("there is more than one value")
    return found


_decode: Final = json.JSONDecoder().raw_decode

_json: Final = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode

_SAID: Final[dict[type, Callable[[Any], str]]] = {
    str: encode_basestring,
    bool: lambda value: "true" if value else "false",
    int: repr,
    float: repr,
}
"""Values as JSON has them, by their types."""


def _path_class(name: str | None, rgb: int | None) -> PathClass | None:
    found = None if name is None else PathClass(name, rgb)
    # Blanks alone, which was stored once, are no class.
    return found if found is not None and found.name else None


def _prompt(prompt: SlidePrompt) -> dict[str, Any]:
    box = prompt.box
    said: dict[str, Any] = {
        "points": [_point(mark) for mark in prompt.points],
        "box": None if box is None else [float(box.x0), float(box.y0), float(box.x1), float(box.y1)],
    }
    # What came later is left out where it is not said: the digests of what was stored before must not change.
    if prompt.shape is not None:
        said["shape"] = encode(on_grid(prompt.shape))
    if prompt.candidate is not None:
        said["candidate"] = prompt.candidate
    return said


def _point(mark: PromptPoint) -> list[float]:
    said = [float(mark.position.x), float(mark.position.y), int(mark.positive)]
    return said if mark.candidate is None else [*said, mark.candidate]


def _field(field: FieldPair) -> list[float]:
    high = field.high
    return [float(high.x), float(high.y), float(high.downsample), high.size]


def _levels(levels: tuple[Level, ...]) -> list[list[float]]:
    return [[float(level.downsample), level.windows] for level in levels]


def _provenance(values: Columns) -> Provenance | None:
    if values["model"] is None:
        return None
    prompt, field, levels = values["prompt"], values["field"], values["levels"]
    return Provenance(
        model=values["model"],
        weights_hash=values["weights_hash"],
        prompt=None if prompt is None else _to_prompt(json.loads(prompt)),
        field=None if field is None else _to_field(*json.loads(field)),
        score=values["score"],
        levels=() if levels is None else tuple(Level(*level) for level in json.loads(levels)),
    )


def _to_prompt(value: dict[str, Any]) -> SlidePrompt:
    points = tuple(
        PromptPoint(Point(x, y), bool(positive), *candidate) for x, y, positive, *candidate in value["points"]
    )
    return SlidePrompt(
        points,
        box=None if value["box"] is None else Box(*value["box"]),
        shape=decode(value["shape"]) if "shape" in value else None,
        candidate=value.get("candidate"),
    )


def _to_field(x: float, y: float, downsample: float, size: float) -> FieldPair:
    return FieldPair(Window(x, y, downsample, int(size)))
