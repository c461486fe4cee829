"""Maps of very many entries, found before they are read.

Protobuf's core takes minutes for a map of some 600,000 entries, for which eight megabytes are enough, and it holds
Python's lock all the while: one such message would stop the server. A map is a repeated message on the wire. So large
messages are read first by a copy of their type that has lists in place of maps, and the lists are counted.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, Final

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

if TYPE_CHECKING:
    from google.protobuf.descriptor import Descriptor, FileDescriptor
    from google.protobuf.message import Message

LARGE_BYTES: Final = 512 * 1024
"""Messages below this size are not checked: their maps cost nothing."""

MOST_ENTRIES: Final = 100_000
"""Of one map. No limit of texts lets so many through, and protobuf reads them in a tenth of a second."""

MOST_PARTS: Final = 200_000
"""Of a message, of the kinds that may have maps. Twice the items of the largest batch."""


class TooManyEntriesError(Exception):
    """A message has a map of too many entries, or too many parts that may have maps."""


def check_maps(message: Descriptor, data: bytes) -> None:
    """Passes the bytes of a message whose maps can be read.

    Raises:
        TooManyEntriesError: they cannot.
        google.protobuf.message.DecodeError: the bytes are no such message.
    """
    if len(data) < LARGE_BYTES or not _ways(message):
        return
    shadow = _shadow(message)
    _count(shadow.FromString(data), message, [MOST_PARTS])


def _count(found: Any, kind: Descriptor, left: list[int]) -> None:
    for name, part, repeated, is_map in _ways(kind):
        if is_map:
            if len(getattr(found, name)) > MOST_ENTRIES:
                raise TooManyEntriesError(name)
        elif repeated:
            parts = getattr(found, name)
            left[0] -= len(parts)
            if left[0] < 0:
                raise TooManyEntriesError(name)
            for one in parts:
                _count(one, part, left)
        elif found.HasField(name):
            _count(getattr(found, name), part, left)


@functools.cache
def _ways(kind: Descriptor) -> tuple[tuple[str, Descriptor, bool, bool], ...]:
    """The fields of a type that are maps, or lead to some: name, type, repeated, a map. No type may hold itself."""
    ways = []
    for field in kind.fields:
        part = field.message_type
        if part is None:
            continue
        is_map = part.GetOptions().map_entry
        if is_map or _ways(part):
            ways.append((field.name, part, not field.has_presence, is_map))
    return tuple(ways)


@functools.cache
def _shadow(message: Descriptor) -> type[Message]:
    """A type with the same wire format, and lists where `message` has maps."""
    pool = descriptor_pool.DescriptorPool()
    _add(pool, message.file, set())
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(message.full_name))


def _add(pool: descriptor_pool.DescriptorPool, file: FileDescriptor, known: set[str]) -> None:
    if file.name in known:
        return
    known.add(file.name)
    for needed in file.dependencies:
        _add(pool, needed, known)
    proto = descriptor_pb2.FileDescriptorProto()
    file.CopyToProto(proto)
    for message in proto.message_type:
        _without_maps(message)
    pool.Add(proto)


def _without_maps(message: descriptor_pb2.DescriptorProto) -> None:
    message.options.ClearField("map_entry")
    for nested in message.nested_type:
        _without_maps(nested)
