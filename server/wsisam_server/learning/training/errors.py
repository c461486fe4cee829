"""The error of this room."""

from __future__ import annotations


class TrainingError(Exception):
    """Training cannot start or cannot go on; the text says why and what to do."""
