"""By what a record tells whether an object is what it was, to the last bit.

The client in QuPath computes the same in io.wsisam.client.annotations.Digests, because both read one record.
"""

from __future__ import annotations

import struct
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final

import shapely

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np
    from numpy.typing import NDArray
    from shapely.geometry.base import BaseGeometry

    from wsisam_server.annotations.sync.model import Drawing

_VERSION: Final = b"\1"

_DIGITS: Final = 32

_NO_COLOUR: Final = -1


def digest(drawing: Drawing) -> str:
    """32 hexadecimal digits of what a project holds of an object.

    A class's colour does not count: QuPath has one for it, wherever it is used.
    """
    name = "" if drawing.path_class is None else drawing.path_class.name
    said = [
        _VERSION,
        *_shape(drawing.shape),
        _text(name),
        struct.pack(">i", _NO_COLOUR if drawing.rgb is None else drawing.rgb),
        _text(drawing.name),
        b"\1" if drawing.locked else b"\0",
        _count(drawing.measurements),
    ]
    for key, value in _sorted(drawing.measurements):
        # Both zeros are one.
        said += [_bytes(key), struct.pack(">d", float(value) + 0.0)]
    said.append(_count(drawing.metadata))
    for key, value in _sorted(drawing.metadata):
        said += [_bytes(key), _text(value)]
    return sha256(b"".join(said)).hexdigest()[:_DIGITS]


def _shape(shape: BaseGeometry) -> Iterator[bytes]:
    """The dimension, then each part's paths; points are one path of one part. Rings are not closed."""
    dimension = int(shapely.get_dimensions(shape))
    yield bytes([dimension])
    parts = [shape] if dimension == 0 else shapely.get_parts(shape).tolist()
    yield struct.pack(">i", len(parts))
    for part in parts:
        if dimension < 2:  # noqa: PLR2004 - not an area
            yield struct.pack(">i", 1) + _path(shapely.get_coordinates(part))
            continue
        rings = shapely.get_rings(part)
        yield struct.pack(">i", len(rings))
        for ring in rings:
            yield _path(shapely.get_coordinates(ring)[:-1])


def _path(vertices: NDArray[np.float64]) -> bytes:
    return struct.pack(">i", len(vertices)) + (vertices + 0.0).astype(">f8").tobytes()


def _sorted(values: Any) -> list[tuple[bytes, Any]]:
    return sorted((key.encode(), value) for key, value in values.items())


def _count(values: Any) -> bytes:
    return struct.pack(">i", len(values))


def _text(text: str) -> bytes:
    return _bytes(text.encode())


def _bytes(data: bytes) -> bytes:
    return struct.pack(">i", len(data)) + data
