"""The error of this room."""

from __future__ import annotations


class EncoderError(Exception):
    """The encoder cannot be run by OpenVINO here; the text says why, in one line. Torch then runs it."""
