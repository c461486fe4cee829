"""Sizes in bytes, as people write them."""

from __future__ import annotations

import re
from typing import Any

import click

_UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12, "ki": 2**10, "mi": 2**20, "gi": 2**30, "ti": 2**40}
_SIZE = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([kmgt]i?)?b?\s*", re.IGNORECASE)


class Size(click.ParamType):  # type: ignore[type-arg]
    """A number of bytes: 8GiB, 500MB, 2.5 GB, 1000000."""

    name = "size"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """See click.ParamType."""
        if isinstance(value, int):
            return value
        match = _SIZE.fullmatch(value)
        nbytes = int(float(match[1]) * _UNITS[(match[2] or "").lower()]) if match else 0
        if nbytes < 1:
            self.fail(f"{value!r}: write a size as 8GiB, 500MB or a number of bytes", param, ctx)
        return nbytes


def shown(nbytes: int) -> str:
    """A size for people, in binary units."""
    for unit, size in (("GiB", 2**30), ("MiB", 2**20), ("KiB", 2**10)):
        if nbytes >= size:
            return f"{nbytes / size:.1f} {unit}"
    return f"{nbytes} B"
