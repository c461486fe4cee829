"""A slide whose scan is only a part of its frame, as scanners make them: a tiled TIFF without the empty tiles."""

import struct

TILE = 256
FRAME = 1024
"""Pixels of each side of the frame."""

ORIGIN = (512, 256)
"""Where the scan begins in it."""

SIZE = (512, 768)
"""Of the scan: to the frame's right and lower edge."""

_SHORT, _LONG = 3, 4


def sparse_slide(path):
    """Writes it; the scan is of one colour."""
    side = FRAME // TILE
    tile = bytes((200, 120, 170)) * (TILE * TILE)
    there = [column >= 2 and row >= 1 for row in range(side) for column in range(side)]
    data = 8
    offsets = [data if one else 0 for one in there]  # all share one tile's bytes
    counts = [len(tile) if one else 0 for one in there]
    bits = data + len(tile)
    tags = [
        (256, _LONG, [FRAME]), (257, _LONG, [FRAME]), (258, _SHORT, [8, 8, 8]), (259, _SHORT, [1]), (262, _SHORT, [2]),
        (277, _SHORT, [3]), (284, _SHORT, [1]), (322, _LONG, [TILE]), (323, _LONG, [TILE]), (324, _LONG, offsets),
        (325, _LONG, counts),
    ]  # fmt: skip
    outside, entries = b"", b""
    for tag, kind, values in tags:
        packed = struct.pack(f"<{len(values)}{'H' if kind == _SHORT else 'I'}", *values)
        entries += struct.pack("<HHI", tag, kind, len(values))
        if len(packed) > 4:
            entries += struct.pack("<I", bits + len(outside))
            outside += packed
        else:
            entries += packed.ljust(4, b"\0")
    directory = bits + len(outside)
    head = struct.pack("<2sHI", b"II", 42, directory)
    path.write_bytes(head + tile + outside + struct.pack("<H", len(tags)) + entries + bytes(4))
    return path
