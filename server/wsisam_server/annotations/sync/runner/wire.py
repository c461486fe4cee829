"""How the two processes speak: a line of JSON, then as many bytes as it says under "bytes"."""

from __future__ import annotations

import json
from typing import IO, Any, Final

Message = dict[str, Any]

LENGTH: Final = "bytes"


def send(stream: IO[bytes], message: Message, data: bytes = b"") -> None:
    """Writes a message and what comes with it.

    Raises:
        OSError: nobody reads it any more.
    """
    stream.write(json.dumps({**message, LENGTH: len(data)}, separators=(",", ":")).encode() + b"\n")
    stream.write(data)
    stream.flush()


def receive(stream: IO[bytes]) -> tuple[Message, bytes] | None:
    """Reads a message and what comes with it; None at the end of the stream.

    Raises:
        ValueError: what comes is no message, or is cut short.
    """
    line = stream.readline()
    if not line:
        return None
    message: Message = json.loads(line)
    length = message.pop(LENGTH)
    data = stream.read(length)
    if len(data) < length:
        raise ValueError("the message is cut short")
    return message, data


class Shapes:
    """Shapes on their way: WKB one after another, each message naming the length of its own."""

    def __init__(self, data: bytes = b"") -> None:
        self._parts: list[bytes] = []
        self._data = memoryview(data)
        self._at = 0

    def add(self, wkb: bytes) -> int:
        """Appends a shape and returns its length."""
        self._parts.append(wkb)
        return len(wkb)

    def take(self, length: int) -> bytes:
        """The next shape."""
        taken = bytes(self._data[self._at : self._at + length])
        self._at += length
        return taken

    def data(self) -> bytes:
        """All that were appended."""
        return b"".join(self._parts)
