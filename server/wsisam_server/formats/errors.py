"""Errors of the formats room."""


class FormatError(Exception):
    """A text is not what it should be; the message says where and what."""
