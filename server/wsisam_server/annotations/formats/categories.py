"""The numbers that COCO's categories have: which class has which id."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING, Any, Final

from wsisam_server.annotations.formats.errors import FormatError
from wsisam_server.annotations.store import class_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

NO_CLASS: Final = "unclassified"
"""The category of annotations that have no class."""

_FORM: Final = 'an earlier COCO export, or ids by name such as {"Stroma": 1, "Tumor": 2}'


def numbered(names: Iterable[str], fixed: Mapping[str, int] | None = None) -> dict[str, int]:
    """An id for each class, in the order of the ids.

    Args:
        names: of classes; "" for no class.
        fixed: ids that stay as they are. Other classes get what follows the largest of them.

    Returns:
        All of `fixed`, then the others sorted by name; without `fixed` they are counted from 1.
    """
    ids = dict(sorted((fixed or {}).items(), key=lambda item: item[1]))
    following = max(ids.values(), default=0) + 1
    others = sorted({name or NO_CLASS for name in names} - ids.keys())
    return ids | {name: number for number, name in enumerate(others, following)}


def read(text: str) -> dict[str, int]:
    """The ids that a JSON text fixes, by the class's name.

    Args:
        text: a COCO file, its list of categories alone, or one object with an id for each name.

    Raises:
        FormatError: it is none of these, or two classes share an id, or one class has two.
    """
    try:
        data = json.loads(text, object_pairs_hook=_once)
    except (ValueError, RecursionError) as error:
        raise FormatError(f"this is no JSON ({error}); give {_FORM}") from error
    listed = data.get("categories") if isinstance(data, dict) and isinstance(data.get("categories"), list) else data
    if isinstance(listed, list):
        pairs = [_pair(item) for item in listed]
    elif isinstance(listed, dict):
        pairs = list(listed.items())
    else:
        raise FormatError(f"there are no categories in it; give {_FORM}")
    return _checked(pairs)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object, each of whose keys comes once: of two ids for one name, neither is the right one."""
    for key, count in Counter(key for key, _ in pairs).items():
        if count > 1:
            raise FormatError(f"it names {key!r} twice; leave one of them out")
    return dict(pairs)


def _pair(item: Any) -> tuple[Any, Any]:
    if not isinstance(item, dict):
        raise FormatError(f"a category in it has no name and id; give {_FORM}")
    return item.get("name"), item.get("id")


def _checked(pairs: Iterable[tuple[Any, Any]]) -> dict[str, int]:
    ids: dict[str, int] = {}
    for given, number in pairs:
        name = class_name(given) if isinstance(given, str) else ""
        if not name:
            raise FormatError(f"a category in it has no name; give {_FORM}")
        if not isinstance(number, int) or isinstance(number, bool) or number < 0:
            raise FormatError(f"the id of {name!r} is no whole number from 0 on: {json.dumps(number)}")
        if name in ids:
            raise FormatError(f"it names {name!r} twice; leave one of them out")
        ids[name] = number
    for number, count in Counter(ids.values()).items():
        if count > 1:
            shared = ", ".join(name for name, one in ids.items() if one == number)
            raise FormatError(f"several classes have the id {number}: {shared}; give each its own")
    return ids
