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
from wsisam_server.errors import Reason, WsiSamServerError
from wsisam_server.geometry import SlideSize, Window
from wsisam_server.slides import PixelWindow, PushedSlide, decode_tile

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


def test_each_region_is_asked_for_once():
    slide = make()
    high, low, outside = Window(0, 0, 1, 64), Window(-32, -32, 2, 64), Window(-100, 0, 1, 64)
    asked = slide.missing([high, low, high, outside])
    assert asked == [slide.window_for(high), slide.window_for(low)]
    assert slide.missing([high, low]) == []
    assert slide.missing([high, low], ask_again=True) == asked
    slide.push(asked[0], blank(asked[0]))
    assert slide.missing([high, low], ask_again=True) == asked[1:]


def test_unread_pixels_are_asked_for_by_an_error():
    slide = make()
    with pytest.raises(WsiSamServerError) as caught:
        slide.read(Window(0, 0, 1, 64))
    assert caught.value.reason is Reason.PIXELS_NEEDED
    assert (slide.read(Window(-100, 0, 1, 64)) == 255).all()  # nothing is needed outside


def test_unasked_and_repeated_tiles_are_refused():
    slide = make()
    (region,) = slide.missing([Window(0, 0, 1, 64)])
    stranger = PixelWindow(1, 0, 64, 64, 64, 64, 1.0)
    with pytest.raises(WsiSamServerError) as caught:
        slide.push(stranger, blank(stranger))
    assert caught.value.reason is Reason.TILE_NOT_REQUESTED
    slide.push(region, blank(region))
    with pytest.raises(WsiSamServerError) as caught:
        slide.push(region, blank(region))
    assert caught.value.reason is Reason.TILE_NOT_REQUESTED


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


def test_held_bytes_are_bounded_and_only_tiles_that_were_read_make_room():
    tile = 64 * 64 * 3
    slide = make(limit_bytes=2 * tile)
    windows = [Window(64 * i, 0, 1, 64) for i in range(4)]
    regions = slide.missing(windows)
    slide.push(regions[0], blank(regions[0]))
    slide.push(regions[1], blank(regions[1]))
    with pytest.raises(WsiSamServerError) as caught:
        slide.push(regions[2], blank(regions[2]))
    assert caught.value.reason is Reason.TOO_MANY_PIXELS
    slide.read(windows[1])
    slide.push(regions[2], blank(regions[2]))  # its request stood
    slide.read(windows[0])
    slide.read(windows[2])
    with pytest.raises(WsiSamServerError):
        slide.read(windows[1])
    assert slide.missing([windows[1]]) == [regions[1]]


def test_released_window_is_asked_for_again():
    slide = make()
    window = Window(0, 0, 1, 64)
    (region,) = slide.missing([window])
    slide.release(window)  # the request itself
    assert slide.missing([window]) == [region]
    slide.push(region, blank(region))
    slide.read(window)
    slide.release(window)
    slide.release(window)
    slide.release(Window(-100, 0, 1, 64))
    assert slide.missing([window]) == [region]
    assert slide._bytes == 0


def test_requests_that_are_never_answered_are_bounded():
    slide = PushedSlide(SlideSize(10**6, 10), None, limit_bytes=100)
    slide.missing([Window(i, 0, 1, 1) for i in range(5000)])
    assert len(slide._requested) == 4096
    assert slide.window_for(Window(4999, 0, 1, 1)) in slide._requested


def test_concurrent_pushes_count_every_byte_once():
    slide = make(limit_bytes=100 * 300)
    windows = [Window(10 * i, 0, 1, 10) for i in range(90)]
    regions = slide.missing(windows)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda region: slide.push(region, blank(region)), regions))
        list(pool.map(slide.read, windows))
        list(pool.map(slide.release, windows))
    assert slide._bytes == 0
    slide.close()


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
