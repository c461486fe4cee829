"""What one window may cost, and its end when nobody wants it any more."""

import threading

import numpy as np
import pytest

from support.heavy import huge_slide
from tests.slides.images import waves, write_pyramid
from tests.slides.test_tiff import write_ome
from wsisam_server.core.cancellation import WorkCancelledError, cancellable
from wsisam_server.core.errors import Reason, WsiSamServerError
from wsisam_server.core.geometry import Window
from wsisam_server.core.settings import Limits
from wsisam_server.slides import OpenSlides, SlideAccess, open_slide, read_in_parts
from wsisam_server.slides.openslide_source import _StoredLevel
from wsisam_server.slides.tiff import source

SIDE = 131_072


def counted(monkeypatch, owner, name):
    """Counts the calls of a method."""
    original, calls = getattr(owner, name), []

    def call(*arguments):
        calls.append(1)
        return original(*arguments)

    monkeypatch.setattr(owner, name, call)
    return calls


def test_a_view_far_coarser_than_the_coarsest_level_is_refused_unread(tmp_path, monkeypatch):
    slide = open_slide(huge_slide(tmp_path / "huge.svs", SIDE), Limits())
    reads = counted(monkeypatch, _StoredLevel, "read")
    with pytest.raises(WsiSamServerError) as caught:
        slide.read(Window(0, 0, SIDE / 1024, 1024))
    assert caught.value.reason is Reason.VIEW_TOO_COARSE
    assert not reads
    finest = float(caught.value.details["finest"])
    assert finest > 10
    # What the text says is true: so far one can zoom out. Not read here, which takes seconds.
    monkeypatch.setattr(_StoredLevel, "read", lambda *_: (_ for _ in ()).throw(InterruptedError))
    with pytest.raises(InterruptedError):
        slide.read(Window(SIDE / 3, SIDE / 3, finest, 1024))


@pytest.mark.parametrize("write", [write_pyramid, write_ome])
def test_with_levels_any_view_is_read(tmp_path, write):
    path = write(tmp_path / "a.ome.tif", waves(2048, 2048), 4)
    slide = open_slide(path, Limits(read_pixels=300**2))
    assert slide.read(Window(0, 0, 8, 256)).mean() > 100
    with pytest.raises(WsiSamServerError) as caught:
        slide.read(Window(0, 0, 4, 512))
    assert caught.value.reason is Reason.VIEW_TOO_COARSE


def test_giving_up_reaches_the_thread_that_asks_the_drive(tmp_path, monkeypatch):
    huge_slide(tmp_path / "huge.svs", 16_384)
    slides = OpenSlides(SlideAccess((tmp_path,), ()), Limits())
    slide_id, _ = slides.open("huge.svs")
    given_up, original = threading.Event(), _StoredLevel.read
    reads = []

    def read(*arguments):
        reads.append(1)
        given_up.set()
        return original(*arguments)

    monkeypatch.setattr(_StoredLevel, "read", read)
    with cancellable(given_up), pytest.raises(WorkCancelledError):
        slides.reader(slide_id)(Window(0, 0, 16, 1024))
    slides.close()
    assert len(reads) == 1


def test_a_read_that_was_given_up_ends_after_the_piece(tmp_path, monkeypatch):
    slide = open_slide(huge_slide(tmp_path / "huge.svs", SIDE), Limits())
    given_up, original = threading.Event(), _StoredLevel.read

    def read(*arguments):
        given_up.set()
        return original(*arguments)

    monkeypatch.setattr(_StoredLevel, "read", read)
    reads = counted(monkeypatch, _StoredLevel, "read")
    with cancellable(given_up), pytest.raises(WorkCancelledError):
        slide.read(Window(0, 0, 8, 1024))
    assert len(reads) == 1


def test_so_does_one_of_our_own_reader_after_a_tile(tmp_path, monkeypatch):
    slide = open_slide(write_ome(tmp_path / "a.ome.tif", waves(), levels=2), Limits())
    given_up, original = threading.Event(), source.decode_segment

    def decode(*arguments):
        given_up.set()
        return original(*arguments)

    monkeypatch.setattr(source, "decode_segment", decode)
    tiles = counted(monkeypatch, source, "decode_segment")
    with cancellable(given_up), pytest.raises(WorkCancelledError):
        slide.read(Window(0, 256, 1, 800))
    assert len(tiles) == 1


@pytest.mark.parametrize("size", [256, 255])
def test_in_parts_a_view_is_the_same_as_at_once(tmp_path, size):
    path = write_ome(tmp_path / "a.ome.tif", waves(), levels=1)
    window = Window(-20.5, 10, 1100 / size, size)
    whole = open_slide(path, Limits()).read(window)
    parts = read_in_parts(open_slide(path, Limits(read_pixels=700**2)).read, window)
    # A pixel that the filter takes from averaged blocks may round otherwise in another part.
    assert np.abs(whole.astype(int) - parts).max() <= 6
