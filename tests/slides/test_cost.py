"""What is small and would take minutes to decode is refused before it is decoded."""

import io
import struct
import time
import zlib
from functools import cache

import numpy as np
import pytest
import tifffile
from PIL import Image

from tests.slides.images import waves
from wsisam_server.core.errors import Reason, WsiSamServerError
from wsisam_server.core.geometry import Window
from wsisam_server.core.settings import Limits
from wsisam_server.slides import decode_tile, open_slide
from wsisam_server.slides.cost import SCANS, TooCostlyError, check_cost, check_file_cost

SIDE = 256
SECONDS = 5
"""Generous: decoding any of these takes longer."""


def picture(kind="jpeg", **options):
    data = io.BytesIO()
    Image.fromarray(waves(SIDE, SIDE)).save(data, kind, **options)
    return data.getvalue()


def scans(count):
    """A progressive JPEG with so many further scans that change nothing."""
    data = picture(progressive=True)
    # AC refinement of one coefficient of the first component, all blocks skipped in one run.
    empty = bytes.fromhex("ffda0008010100010100") + b"\x00" * 4
    return data[:-2] + empty * count + data[-2:]


def comments(count):
    data = picture()
    return data[:2] + b"\xff\xfe\x00\x02" * count + data[2:]


def chunk(kind, data=b""):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def chunks(count, kind=b"IDAT"):
    data = picture("png")
    end = data.index(b"IDAT") - 4
    return data[:end] + chunk(kind) * count + data[end:]


HOSTILE = {
    "jpeg of 100,000 scans": lambda: scans(100_000),
    "jpeg of a million comments": lambda: comments(1_000_000),
    "png of a million chunks": lambda: chunks(1_000_000),
    "png of a million unknown chunks": lambda: chunks(1_000_000, b"abCd"),
    "png with a bomb for a colour profile": lambda: picture("png", icc_profile=bytes(200_000_000)),
    "jpeg with far more bytes than pixels": lambda: picture() + bytes(5_000_000),
}
"""By name, which begins with the format: what makes the file."""


@cache
def hostile(name):
    """Format and bytes of one of them, made once."""
    return name.partition(" ")[0], HOSTILE[name]()


@pytest.mark.parametrize("name", HOSTILE)
def test_tiles_of_clients_are_refused(name):
    kind, data = hostile(name)
    started = time.process_time()
    with pytest.raises(WsiSamServerError) as caught:
        decode_tile(kind, data, SIDE, SIDE)
    assert caught.value.reason is Reason.TILE_UNREADABLE
    assert time.process_time() - started < SECONDS


@pytest.mark.parametrize("name", list(HOSTILE)[:5])
def test_images_opened_by_reference_are_refused(tmp_path, name):
    kind, data = hostile(name)
    (tmp_path / f"a.{kind}").write_bytes(data)
    started = time.process_time()
    with pytest.raises(WsiSamServerError) as caught:
        open_slide(tmp_path / f"a.{kind}", Limits())
    assert caught.value.reason is Reason.SLIDE_UNREADABLE
    assert time.process_time() - started < SECONDS


@pytest.mark.parametrize(
    "data",
    [
        picture(),
        picture(progressive=True, quality=100, subsampling=0),
        picture(progressive=True, optimize=True),
        picture(icc_profile=bytes(700_000), exif=b"Exif\0\0" + bytes(60_000), comment=b"a" * 1000),
        scans(SCANS // 2),
        picture("png"),
        picture("png", icc_profile=bytes(500_000)),
        picture("bmp"),
        b"",
        b"\xff\xd8",
        b"\xff\xd8\xff",
        b"\x89PNG\r\n\x1a\n\0\0",
    ],
)
def test_usual_images_pass(data):
    file = io.BytesIO(data)
    check_file_cost(file)
    assert file.tell() == 0


def test_a_marker_across_two_blocks_is_seen():
    """Comments so long that the next marker lies anywhere about a block's end."""
    for length in range(65_520, 65_534):
        data = b"\xff\xd8\xff\xda\x00\x02" + b"a" * length + b"\xff\xda\x00\x02" * SCANS
        with pytest.raises(TooCostlyError):
            check_cost(data, "jpeg", 10**9)


@pytest.fixture
def jpeg_tiles(monkeypatch):
    """Writes tiles of JPEGs that were encoded already, which tifffile does with imagecodecs only."""
    monkeypatch.setattr(tifffile._imagecodecs, "jpeg_encode", lambda *_: None, raising=False)

    def write(path, tiles, **options):
        side = SIDE * int(len(tiles) ** 0.5)
        with tifffile.TiffWriter(path) as tiff:
            tiff.write(
                iter(tiles),
                shape=(side, side, 3),
                dtype=np.uint8,
                tile=(SIDE, SIDE),
                photometric="ycbcr",
                subsampling=(2, 2),
                compression="jpeg",
                **options,
            )
        return path

    return write


@pytest.mark.parametrize("subifd", [False, True], ids=["openslide", "own reader"])
@pytest.mark.parametrize(("make", "count"), [(scans, 100_000), (scans, 20_000), (comments, 1_000_000)])
def test_a_costly_tile_of_a_slide_costs_its_place_only(tmp_path, jpeg_tiles, subifd, make, count):
    bad = make(count)
    path = jpeg_tiles(tmp_path / "a.tif", [picture(), picture(), picture(), bad], metadata=None)
    slide = open_slide(path, Limits())
    if subifd:
        from wsisam_server.slides.tiff import TiffSource, read_layout

        slide = TiffSource(path, read_layout(path))
    assert np.abs(slide.read(Window(10, 10, 1, 200)).astype(int) - waves(SIDE, SIDE)[10:210, 10:210]).mean() < 6
    started = time.process_time()
    for _ in range(2):
        with pytest.raises(WsiSamServerError) as caught:
            slide.read(Window(300, 300, 1, 200))
        assert caught.value.reason is Reason.SLIDE_UNREADABLE
    assert time.process_time() - started < SECONDS
