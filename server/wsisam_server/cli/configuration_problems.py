"""What is wrong with a configuration, in words: which setting, why, and what to write. Pure."""

from __future__ import annotations

import difflib
import re
from typing import TYPE_CHECKING, Any, Final

from wsisam_server.cli.options import PREFIX, SECTIONS, all_settings

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from pydantic_core import ErrorDetails

_OF_CLIENTS: Final = {"WSISAM_TOKEN", "WSISAM_TOKEN_FILE", "WSISAM_TLS_CA"}
_OF_TESTS: Final = {"WSISAM_SHARED", "WSISAM_PICTURES", "WSISAM_KILLS", "WSISAM_CLAIMS"}

_OF_KUBERNETES: Final = re.compile(r"WSISAM_(SERVICE_(HOST|PORT)\w*|PORT_\d+_\w+)")
"""What a service of the name wsisam puts into the environment of every container beside it."""

_FIRST: Final = {"tls": "certificate", "model": "name", "limits": "message_bytes", "ray": "address"}
"""The setting of a section that stands for it in an example."""


def unknown_variables(environment: Iterable[str]) -> list[str]:
    """What is wrong with the names of variables that should be settings."""
    known = {setting.variable for setting in all_settings()}
    allowed = known | _OF_CLIENTS | _OF_TESTS | {f"{PREFIX}{section}".upper() for section in SECTIONS}
    return [
        f"there is no setting for the variable {name}{_nearest(name, known)}"
        for name in sorted(environment)
        if name.startswith(PREFIX) and name not in allowed and not _OF_KUBERNETES.fullmatch(name)
    ]


def in_words(error: ErrorDetails) -> str:
    """One finding of pydantic's."""
    place = ".".join(map(str, error["loc"]))
    kind, value, limits = error["type"], error.get("input"), error.get("ctx", {})
    if kind in {"extra_forbidden", "unexpected_keyword_argument"}:
        return f"there is no setting {place}{_nearest(place, _names())}"
    if kind in {"missing", "missing_argument"}:
        return f"{place} is missing"
    if place in SECTIONS and not isinstance(value, dict):
        first = _FIRST[place]
        variable = _variable(f"{place}.{first}")
        return f"{place} is a section: write [{place}] and below it {first} = ..., or set the variable {variable}"
    return f"{place} is {value!r}: {_problem(kind, limits) or _own(error['msg'])}"


def of_variable(text: str) -> str:
    """What pydantic-settings says of a variable that is to be JSON and is not."""
    name = re.search(r'field "(\w+)"', text)
    if name is None:
        return text
    if name[1] in SECTIONS:
        first = f"{name[1]}.{_FIRST[name[1]]}"
        return f"{PREFIX}{name[1].upper()} is a section: set {_variable(first)}"
    return f"{PREFIX}{name[1].upper()} is a list: write it as JSON, such as '[\"/data/slides\"]'"


def _problem(kind: str, limits: Mapping[str, Any]) -> str:
    known = {
        "int_parsing": "write a whole number",
        "int_type": "write a whole number",
        "int_from_float": "write a whole number",
        "float_parsing": "write a number",
        "float_type": "write a number",
        "bool_parsing": "write true or false",
        "bool_type": "write true or false",
        "string_type": 'write a text, in "quotes"',
        "path_type": 'write a path, in "quotes"',
        "tuple_type": 'write a list, such as ["/data/slides"]',
        "literal_error": f"write one of {limits.get('expected')}",
        "greater_than": f"it must be more than {limits.get('gt')}",
        "greater_than_equal": f"it must be {limits.get('ge')} or more",
        "less_than": f"it must be less than {limits.get('lt')}",
        "less_than_equal": f"it must be {limits.get('le')} or less",
    }
    return known.get(kind, "")


def _own(text: str) -> str:
    text = text.removeprefix("Value error, ")
    return text[:1].lower() + text[1:]


def _names() -> list[str]:
    return [".".join(setting.path) for setting in all_settings()]


def _variable(name: str) -> str:
    return next(setting.variable for setting in all_settings() if ".".join(setting.path) == name)


def _nearest(name: str, names: Iterable[str]) -> str:
    found = difflib.get_close_matches(name, list(names), n=1)
    return f" (do you mean {found[0]}?)" if found else ""
