"""Annotations as they are without their contents: enough to tell which of many have changed since somebody looked."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Standing:
    """An annotation as it is.

    Attributes:
        revision: its latest one.
        deleted: whether that is a deletion.
    """

    revision: int
    deleted: bool
