"""The error of this room."""

from __future__ import annotations


class WeightsError(Exception):
    """A named model cannot be added, read, loaded or removed; the text says what to do."""
