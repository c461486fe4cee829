import dataclasses
import io
import struct
import threading
import zlib
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from tests.slides.contract import WavesContract
from tests.slides.images import HEIGHT, WIDTH, waves
from wsisam_server.core.errors import Reason, WsiSamServerError
from wsisam_server.core.geometry import SlideSize, Window
from wsisam_server.core.pixels import PixelWindow
from wsisam_server.slides import PushedSlide, decode_tile

SIZE = SlideSize(WIDTH, HEIGHT)


def client_tile(image, region):
    """What a client sends: the region, shrunk to the tile."""
    cut = Image.fromarray(image[region.y : region.y + region.height, region.x : region.x + region.width])
    return np.array(cut.resize((region.tile_width, region.tile_height), Image.Resampling.BOX))


class ClientBackedSlide(PushedSlide):
    """Plays the client as well, so that the contract can read at once."""

    def __init__(self, image):
        super().__init__(SlideSize(image.shape[1], image.shape[0]), None, limit_bytes=2**30)
        self.image = image
        self.turn = threading.Lock()

    def read(self, window):
        with self.turn:
            for region in self.missing([window]):
                self.push(region, client_tile(self.image, region))
        return super().read(window)


class TestPushed(WavesContract):
    @pytest.fixture(scope="class")
    @classmethod
    def truth(cls):
        return waves()

    @pytest.fixture(scope="class")
    @classmethod
    def slide(cls, truth):
        return ClientBackedSlide(truth)


def make(limit_bytes=10**6):
    return PushedSlide(SIZE, 0.25, limit_bytes=limit_bytes)


def blank(region):
    return np.zeros((region.tile_height, region.tile_width, 3), np.uint8)


def test_facts_and_identity_are_the_clients_and_random():
    one, other = make(), make()
    assert one.info.size == SIZE
    assert one.info.mpp == 0.25
    assert one.info.source == "pushed"
    assert one.info.fingerprint != other.info.fingerprint
    assert len(one.info.fingerprint) == 64


@pytest.mark.parametrize(
    ("window", "region"),
    [
        (Window(10, 20, 1, 64), PixelWindow(10, 20, 64, 64, 64, 64, 1.0)),
        (Window(10.5, 20.25, 1, 64), PixelWindow(10, 20, 65, 65, 65, 65, 1.0)),
        (Window(-10, -20.5, 2, 64), PixelWindow(0, 0, 118, 108, 59, 54, 2.0)),
        (Window(10, 20, 0.25, 64), PixelWindow(10, 20, 16, 16, 16, 16, 1.0)),
        (Window(0, 0, 5000, 4), PixelWindow(0, 0, WIDTH, HEIGHT, 1, 1, 5000.0)),
        (Window(WIDTH, 0, 1, 8), None),
        (Window(-8, 0, 1, 8), None),
        (Window(1e30, 0, 1, 8), None),
    ],
)
def test_region_is_clipped_rounded_outwards_and_never_magnified(window, region):
    assert make().window_for(window) == region


@given(
    st.floats(-3000, 3000),
    st.floats(-3000, 3000),
    st.floats(0.01, 1000),
    st.integers(1, 300),
)
def test_region_lies_on_the_slide_and_covers_the_window(x, y, downsample, size):
    window = Window(x, y, downsample, size)
    region = make().window_for(window)
    if region is None:
        assert x + window.extent <= 0 or y + window.extent <= 0 or x >= WIDTH or y >= HEIGHT
        return
    assert region.x <= max(x, 0)
    assert region.y <= max(y, 0)
    assert min(x + window.extent, WIDTH) <= region.x + region.width <= WIDTH
    assert min(y + window.extent, HEIGHT) <= region.y + region.height <= HEIGHT
    assert 1 <= region.tile_width <= size + 2
    assert 1 <= region.tile_height <= size + 2


def test_what_is_not_held_is_missing_once():
    slide = make()
    high, low, outside = Window(0, 0, 1, 64), Window(-32, -32, 2, 64), Window(-100, 0, 1, 64)
    missing = slide.missing([high, low, high, outside])
    assert missing == [slide.window_for(high), slide.window_for(low)]
    slide.push(missing[0], blank(missing[0]))
    assert slide.missing([high, low]) == missing[1:]


def test_a_regions_downsample_is_not_part_of_its_identity():
    slide = make()
    window = Window(10.5, 20, 3, 64)
    region = slide.window_for(window)
    sent = dataclasses.replace(region, downsample=0.0)
    slide.push(sent, blank(sent))
    assert slide.missing([window]) == []


def test_unread_pixels_are_asked_for_by_an_error():
    slide = make()
    with pytest.raises(WsiSamServerError) as caught:
        slide.read(Window(0, 0, 1, 64))
    assert caught.value.reason is Reason.PIXELS_NEEDED
    assert (slide.read(Window(-100, 0, 1, 64)) == 255).all()  # nothing is needed outside


def test_a_tile_that_comes_twice_is_held_once():
    slide = make()
    (region,) = slide.missing([Window(0, 0, 1, 64)])
    for _ in range(3):
        slide.push(region, blank(region))
    assert slide.nbytes == 64 * 64 * 3


def test_tile_of_another_size_is_refused_and_may_be_sent_again():
    slide = make()
    (region,) = slide.missing([Window(0, 0, 1, 64)])
    with pytest.raises(WsiSamServerError) as caught:
        slide.push(region, np.zeros((64, 63, 3), np.uint8))
    assert caught.value.reason is Reason.TILE_WRONG_SIZE
    assert caught.value.details == {"actual": "63 x 64, uint8", "expected": "64 x 64"}
    with pytest.raises(WsiSamServerError):
        slide.push(region, np.zeros((64, 64, 3), np.float32))
    slide.push(region, blank(region))


def test_held_bytes_are_bounded_and_what_was_used_longest_ago_makes_room():
    tile = 64 * 64 * 3
    slide = make(limit_bytes=2 * tile)
    windows = [Window(64 * i, 0, 1, 64) for i in range(4)]
    regions = slide.missing(windows)
    slide.push(regions[0], blank(regions[0]))
    slide.push(regions[1], blank(regions[1]))
    slide.read(windows[0])
    slide.push(regions[2], blank(regions[2]))
    assert slide.nbytes == 2 * tile
    assert slide.missing(windows[:3]) == [regions[1]]


def test_tiles_that_nobody_reads_never_block_new_ones():
    slide = make(limit_bytes=2 * 64 * 64 * 3)
    for i in range(50):
        (region,) = slide.missing([Window(i, 0, 1, 64)])
        slide.push(region, blank(region))
    assert slide.missing([Window(49, 0, 1, 64)]) == []


def test_a_tile_over_the_limit_is_refused():
    slide = make(limit_bytes=100)
    (region,) = slide.missing([Window(0, 0, 1, 64)])
    with pytest.raises(WsiSamServerError) as caught:
        slide.push(region, blank(region))
    assert caught.value.reason is Reason.TOO_MANY_PIXELS


def test_concurrent_pushes_count_every_byte_once():
    slide = make(limit_bytes=100 * 300)
    windows = [Window(10 * i, 0, 1, 10) for i in range(90)]
    regions = slide.missing(windows)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda region: slide.push(region, blank(region)), regions))
        list(pool.map(slide.read, windows))
    assert slide.nbytes == 90 * 300
    slide.close()
    assert slide.nbytes == 0


def encoded(image, encoding):
    if encoding == "raw":
        return image.tobytes()
    buffer = io.BytesIO()
    options = {"quality": 100, "subsampling": 0} if encoding == "jpeg" else {}
    Image.fromarray(image).save(buffer, encoding.upper(), **options)
    return buffer.getvalue()


@pytest.mark.parametrize("encoding", ["raw", "png", "jpeg"])
def test_tile_decodes(encoding):
    image = waves(40, 30)
    tile = decode_tile(encoding, encoded(image, encoding), 40, 30)
    assert tile.shape == (30, 40, 3)
    assert tile.dtype == np.uint8
    assert np.abs(tile.astype(int) - image).max() <= (4 if encoding == "jpeg" else 0)


@pytest.mark.parametrize("encoding", ["raw", "png", "jpeg"])
def test_tile_of_another_size_is_not_decoded(encoding):
    with pytest.raises(WsiSamServerError) as caught:
        decode_tile(encoding, encoded(waves(40, 30), encoding), 30, 40 if encoding != "raw" else 41)
    assert caught.value.reason is Reason.TILE_WRONG_SIZE


def test_bomb_is_refused_by_its_header():
    data = encoded(waves(64, 64), "png")
    header = b"IHDR" + struct.pack(">II", 60_000, 60_000) + data[24:29]
    data = data[:12] + header + struct.pack(">I", zlib.crc32(header)) + data[33:]
    with pytest.raises(WsiSamServerError) as caught:
        decode_tile("png", data, 64, 64)
    assert caught.value.details == {"actual": "60000 x 60000", "expected": "64 x 64"}


@pytest.mark.parametrize("encoding", ["png", "jpeg"])
def test_damaged_or_disguised_tiles_are_unreadable(encoding):
    data = encoded(waves(40, 30), encoding)
    other = encoded(waves(40, 30), "jpeg" if encoding == "png" else "png")
    for bad in (b"", b"nonsense", data[: len(data) // 2], other):
        with pytest.raises(WsiSamServerError) as caught:
            decode_tile(encoding, bad, 40, 30)
        assert caught.value.reason is Reason.TILE_UNREADABLE
        assert caught.value.details == {"encoding": encoding}


def test_tile_in_cmyk_is_unreadable():
    buffer = io.BytesIO()
    Image.new("CMYK", (40, 30)).save(buffer, "JPEG")
    with pytest.raises(WsiSamServerError) as caught:
        decode_tile("jpeg", buffer.getvalue(), 40, 30)
    assert caught.value.reason is Reason.TILE_UNREADABLE
