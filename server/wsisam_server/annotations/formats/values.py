"""Values of GeoJSON properties, as QuPath's versions and the programs between it and us write them.

Each function raises UnreadableError for what it cannot read, in words: "the class ...". Such a value costs only itself.
"""

from __future__ import annotations

import ast
import json
import math
import re
from typing import Any, Final

from wsisam_server.annotations.formats.errors import UnreadableError
from wsisam_server.annotations.formats.parsed import short

_BYTE: Final = 255
_RGB: Final = 3
_RGBA: Final = 4
_WHITE: Final = 0xFFFFFF
_LONGEST: Final = 100_000
"""Characters of a text that is looked into for an object."""

_HEX: Final = re.compile(r"#(?:[0-9a-f]{3}|[0-9a-f]{4}|[0-9a-f]{6}|[0-9a-f]{8})", re.IGNORECASE)
_FUNCTION: Final = re.compile(r"rgba?\(([^()]*)\)", re.IGNORECASE)


def unpacked(value: Any) -> Any:
    """An object or a list that a program between QuPath and us (geopandas, for one) put into a text; else the value."""
    if not isinstance(value, str) or value.lstrip()[:1] not in {"{", "["} or len(value) > _LONGEST:
        return value
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        pass
    try:
        return ast.literal_eval(value.strip())  # as Python shows an object
    except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError):
        return value


def text(value: Any) -> str | None:
    """A text as it is shown: of a number or a truth value its JSON, of an object, too; None for null."""
    if value is None or isinstance(value, str):
        written = value
    else:
        try:
            written = json.dumps(value, ensure_ascii=False)
        except (ValueError, RecursionError) as error:
            raise UnreadableError("it is nested too deeply, or too long a number") from error
    if written is not None and not is_text(written):
        raise UnreadableError("it has a character that is no text")
    return written


def is_text(value: str) -> bool:
    """Whether it can be stored: without U+0000 and halves of surrogate pairs, which JSON can write."""
    return "\0" not in value and (value.isascii() or not any("\ud800" <= letter <= "\udfff" for letter in value))


def name(value: Any) -> str:
    """An object's name, perhaps with characters that are no text; empty for null."""
    if isinstance(value, dict | list):
        raise UnreadableError(f"the name is no text: {short(value)}")
    return value if isinstance(value, str) else text(value) or ""


def flag(value: Any) -> bool:
    """Whether something is so; "false" and null are not."""
    if value is None or isinstance(value, bool | int | float):
        return bool(value)
    said = value.strip().lower() if isinstance(value, str) else None
    if said in {"true", "yes", "1"}:
        return True
    if said in {"false", "no", "0", ""}:
        return False
    raise UnreadableError(f"whether it is locked is neither true nor false: {short(value)}")


def measurement(value: Any) -> float | None:
    """A number; None for what QuPath calls missing: null, and what is not finite."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise UnreadableError(f"it is no number: {short(value)}")
    try:
        read = float(value)
    except (ValueError, OverflowError) as error:
        # "1,5" may be one and a half or fifteen hundred.
        raise UnreadableError(f"it is no number: '{short(value)}'") from error
    return read if math.isfinite(read) else None


def class_name(value: Any) -> str:
    """A class's name out of what QuPath writes for a class; empty where that says that there is none."""
    value = unpacked(value)
    if isinstance(value, dict):
        value = value["name"] if value.get("name") is not None else value.get("names")
    if isinstance(value, list):
        return ": ".join(filter(None, map(_part, value)))
    return _part(value)


def _part(value: Any) -> str:
    if isinstance(value, bool | dict | list):
        raise UnreadableError(f"the class is no text: {short(value)}")
    return name(value)


def class_color(value: Any) -> Any:
    """What `rgb` reads, out of what QuPath writes for a class."""
    value = unpacked(value)
    if not isinstance(value, dict):
        return None
    return next((value[key] for key in ("color", "colorRGB", "colour") if value.get(key) is not None), None)


def rgb(value: Any) -> int | None:
    """A colour as 0xRRGGBB; None for null and for an empty text.

    It may be [r, g, b] with 0 to 255, or with fractions up to 1; packed with an alpha value into a signed integer;
    #RGB, #RRGGBB, each also with an alpha value behind; or rgb(r, g, b). An alpha value is dropped.
    """
    value = unpacked(value)
    if value is None or value == "":
        return None
    if isinstance(value, dict):
        value = [value.get(key, value.get(word)) for key, word in zip("rgb", ("red", "green", "blue"), strict=True)]
    if isinstance(value, str):
        return _of_text(value)
    if isinstance(value, list | tuple):
        return _of_channels(list(value), value)
    if isinstance(value, int | float) and not isinstance(value, bool) and _is_packed(value):
        return int(value) & _WHITE
    raise _no_colour(value)


def _is_packed(value: float) -> bool:
    return -(2**31) <= value < 2**32 and float(value).is_integer()


def _of_text(value: str) -> int:
    said = value.strip()
    if _HEX.fullmatch(said):
        digits = said[1:]
        digits = "".join(2 * digit for digit in digits) if len(digits) <= _RGBA else digits
        return int(digits[:6], 16)
    function = _FUNCTION.fullmatch(said)
    parts = re.split(r"[\s,/]+", (function[1] if function else said).strip())
    try:
        if len(parts) == 1 and re.fullmatch(r"[+-]?\d{1,10}", parts[0]) and _is_packed(int(parts[0])):
            return int(parts[0]) & _WHITE
        return _of_channels([float(part) if not part.isdigit() else int(part) for part in parts[:_RGBA]], value)
    except ValueError as error:
        raise _no_colour(value) from error


def _of_channels(channels: list[float], value: Any) -> int:
    good = all(isinstance(one, int | float) and not isinstance(one, bool) and 0 <= one <= _BYTE for one in channels)
    if not _RGB <= len(channels) <= _RGBA or not good:
        raise _no_colour(value)
    channels = channels[:_RGB]
    # One is all of a colour only where fractions are written: [1, 1, 0] is as dark as QuPath means it.
    if any(isinstance(one, float) for one in channels) and max(channels) <= 1:
        channels = [_BYTE * one for one in channels]
    red, green, blue = (round(one) for one in channels)
    return (red << 16) | (green << 8) | blue


def _no_colour(value: Any) -> UnreadableError:
    return UnreadableError(f"the colour is none: {short(value)}")
