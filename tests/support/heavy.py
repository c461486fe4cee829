"""Files and tiles that are small and cost much, made from a few bytes."""

import io
import struct

import numpy as np
from PIL import Image


def jpeg(side, seed=0, **options):
    """A picture of soft stains as a JPEG file."""
    rng = np.random.default_rng(seed)
    image = Image.fromarray(rng.integers(90, 250, (side // 16, side // 16, 3), np.uint8)).resize((side, side))
    data = io.BytesIO()
    image.save(data, "JPEG", **options)
    return data.getvalue()


def jpeg_of_many_scans(side, count):
    """A progressive JPEG with so many further scans that change nothing; each goes over all pixels."""
    data = jpeg(side, progressive=True)
    return data[:-2] + bytes.fromhex("ffda000801010001010000000000") * count + data[-2:]


def huge_slide(path, side, tile=1024, *, data=None):
    """A slide of one level, as Aperio's: every tile is the same few bytes of the file.

    Args:
        path: where; the name says nothing of the format.
        side: width and height in pixels, whole tiles.
        tile: width and height of a tile.
        data: the tile.
    """
    data = data or jpeg(tile)
    count = (side // tile) ** 2
    text = (
        f"Aperio Image Library v11.2.1 \r\n{side}x{side} ({tile}x{tile}) JPEG/RGB|AppMag = 20|MPP = 0.4990\0".encode()
    )
    values = {258: struct.pack("<3H", 8, 8, 8), 270: text}
    values |= {324: struct.pack("<I", 8) * count, 325: struct.pack("<I", len(data)) * count}
    numbers = {256: side, 257: side, 259: 7, 262: 6, 277: 3, 284: 1, 322: tile, 323: tile, 530: 2 | 2 << 16}
    kinds = {258: (3, 3), 270: (2, len(text)), 324: (4, count), 325: (4, count), 530: (3, 2)}
    place = 8 + len(data) + len(data) % 2
    entries, body = b"", b""
    start = place + 2 + 12 * (len(values) + len(numbers)) + 4
    for tag in sorted(values | numbers):
        kind, length = kinds.get(tag, (4, 1))
        entries += struct.pack("<HHI", tag, kind, length)
        if tag in numbers:
            entries += struct.pack("<I", numbers[tag])
        else:
            entries += struct.pack("<I", start + len(body))
            body += values[tag] + b"\0" * (len(values[tag]) % 2)
    directory = struct.pack("<H", len(values) + len(numbers)) + entries + bytes(4)
    path.write_bytes(b"II*\0" + struct.pack("<I", place) + data + b"\0" * (len(data) % 2) + directory + body)
    return path
