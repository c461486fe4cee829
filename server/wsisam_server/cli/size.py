"""Sizes in bytes, as people read them."""

from __future__ import annotations


def shown(nbytes: int) -> str:
    """A size for people, in binary units."""
    for unit, size in (("GiB", 2**30), ("MiB", 2**20), ("KiB", 2**10)):
        if nbytes >= size:
            return f"{nbytes / size:.1f} {unit}"
    return f"{nbytes} B"
