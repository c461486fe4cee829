import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image

from wsisam_server.core.errors import Reason, WsiSamServerError
from wsisam_server.core.geometry import SlideSize, Window
from wsisam_server.core.settings import Limits
from wsisam_server.slides import OpenSlides, PushedSlide, SlideAccess, known, registry

SMALL = Window(0, 0, 1, 8)


@pytest.fixture
def folder(tmp_path):
    for shade in range(6):
        Image.new("RGB", (20, 10), (shade, shade, shade)).save(tmp_path / f"{shade}.png")
    return tmp_path


@pytest.fixture
def opened(monkeypatch):
    """Every slide that the registry opens; each says whether it was closed."""
    slides = []
    real = registry.open_slide

    def spy(path, limits):
        slide = real(path, limits)
        slide.closed = False
        close = slide.close

        def closing():
            slide.closed = True
            close()

        slide.close = closing
        slides.append(slide)
        return slide

    monkeypatch.setattr(registry, "open_slide", spy)
    return slides


def registry_of(folder, open_slides=2):
    return OpenSlides(SlideAccess([folder], []), Limits(open_slides=open_slides))


def shade(slide):
    return int(slide.read(SMALL)[0, 0, 0])


def test_id_is_the_fingerprint_and_the_slide_is_opened_once(folder, opened):
    slides = registry_of(folder)
    slide_id, info = slides.open("3.png")
    assert slide_id == info.fingerprint
    assert slides.open(f"file:{folder}/3.png") == (slide_id, info)
    with slides.lease(slide_id) as slide:
        assert shade(slide) == 3
    assert len(opened) == 1


def test_copies_share_one_slide(folder, opened):
    (folder / "copy.png").write_bytes((folder / "3.png").read_bytes())
    slides = registry_of(folder)
    assert slides.open("3.png") == slides.open("copy.png")
    assert [slide.closed for slide in opened] == [False, True]
    for name in ("3.png", "copy.png") * 3:
        slides.open(name)
    assert len(opened) == 2


def test_least_recently_used_is_closed_and_comes_back_by_itself(folder, opened):
    slides = registry_of(folder)
    ids = [slides.open(f"{i}.png")[0] for i in range(3)]
    assert [slide.closed for slide in opened] == [True, False, False]
    with slides.lease(ids[0]) as slide:
        assert shade(slide) == 0
    assert [slide.closed for slide in opened] == [True, True, False, False]
    assert slides.open("1.png")[0] == ids[1]  # known, and not opened before it is read
    assert len(opened) == 4


def test_leased_slide_is_not_closed(folder, opened):
    slides = registry_of(folder, open_slides=1)
    first, _ = slides.open("0.png")
    with slides.lease(first) as slide, slides.lease(first):
        for i in range(1, 4):
            slides.open(f"{i}.png")
        assert shade(slide) == 0
    assert [slide.closed for slide in opened] == [True, True, True, False]


def test_changed_file_is_a_new_slide_and_the_old_id_ends(folder, opened):
    slides = registry_of(folder)
    old, _ = slides.open("0.png")
    with slides.lease(old):
        Image.new("RGB", (20, 10), (99, 99, 99)).save(folder / "0.png")
        os.utime(folder / "0.png", ns=(1, 1))
        new, _ = slides.open("0.png")
        assert new != old
        assert not opened[0].closed  # a reader is in it
    assert opened[0].closed
    with slides.lease(new) as slide:
        assert shade(slide) == 99
    for _ in range(2):
        with pytest.raises(WsiSamServerError) as caught, slides.lease(old):
            pass
        assert caught.value.reason is Reason.SLIDE_UNREADABLE


def test_touched_file_is_the_same_slide(folder, opened):
    slides = registry_of(folder)
    before = slides.open("0.png")
    os.utime(folder / "0.png", ns=(1, 1))
    assert slides.open("0.png") == before
    assert [slide.closed for slide in opened] == [False]  # told from its bytes, not decoded again


def test_reopening_asks_for_access_again(folder):
    slides = registry_of(folder, open_slides=1)
    first, _ = slides.open("0.png")
    slides.open("1.png")
    (folder / "0.png").unlink()
    with pytest.raises(WsiSamServerError) as caught, slides.lease(first):
        pass
    assert caught.value.reason is Reason.SLIDE_NOT_FOUND


def test_file_gone_between_check_and_opening_is_not_found(folder, monkeypatch):
    slides = registry_of(folder)
    monkeypatch.setattr(slides._access, "find", lambda _: folder / "gone.png")
    with pytest.raises(WsiSamServerError) as caught:
        slides.open("gone.png")
    assert caught.value.reason is Reason.SLIDE_NOT_FOUND


def test_unknown_ids(folder):
    slides = registry_of(folder)
    with pytest.raises(WsiSamServerError) as caught, slides.lease("0" * 64):
        pass
    assert caught.value.reason is Reason.UNKNOWN_SLIDE_ID
    by_reference, _ = slides.open("0.png")
    assert not slides.close_pushed(by_reference)
    assert slides.info(by_reference)


def test_pushed_slides_stay_until_they_are_closed(folder):
    slides = registry_of(folder, open_slides=1)
    pushed = [PushedSlide(SlideSize(20, 10), None, limit_bytes=10**6) for _ in range(3)]
    ids = [slides.add_pushed(slide) for slide in pushed]
    slides.open("0.png")
    slides.open("1.png")
    for slide_id, slide in zip(ids, pushed, strict=True):
        with slides.lease(slide_id) as leased:
            assert leased is slide
    assert not slides.close_pushed(ids[0], "somebody else")
    with slides.lease(ids[0]) as leased:
        (region,) = pushed[0].missing([SMALL])
        pushed[0].push(region, np.full((8, 8, 3), 7, np.uint8))
        assert slides.close_pushed(ids[0])
        assert not slides.close_pushed(ids[0])
        assert shade(leased) == 7
    assert pushed[0]._bytes == 0
    with pytest.raises(WsiSamServerError), slides.lease(ids[0]):
        pass


def test_failure_to_open_is_reported_each_time(folder):
    (folder / "bad.png").write_bytes(b"nonsense")
    slides = registry_of(folder)
    for _ in range(2):
        with pytest.raises(WsiSamServerError) as caught:
            slides.open("bad.png")
        assert caught.value.reason is Reason.SLIDE_UNREADABLE
    assert not slides._loading


def test_simultaneous_openings_of_one_slide_decode_it_once(folder, monkeypatch):
    started = threading.Barrier(8)
    calls = []
    real = registry.open_slide

    def slow(path, limits):
        calls.append(path)
        time.sleep(0.2)
        return real(path, limits)

    monkeypatch.setattr(registry, "open_slide", slow)
    slides = registry_of(folder)

    def go(_):
        started.wait()
        return slides.open("0.png")

    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(go, range(8)))) == 1
    assert len(calls) == 1


def test_what_is_remembered_is_bounded(folder, monkeypatch):
    monkeypatch.setattr(known, "_MOST_REMEMBERED", 3)
    slides = registry_of(folder)
    ids = [slides.open(f"{i}.png")[0] for i in range(6)]
    assert len(slides._known._origins) == len(slides._known._seen) == 3
    with pytest.raises(WsiSamServerError), slides.lease(ids[0]):
        pass


def test_many_threads_with_few_places(folder, opened):
    slides = registry_of(folder, open_slides=2)
    ids = [slides.open(f"{i}.png")[0] for i in range(6)]

    def work(turn):
        index = turn % 6
        with slides.lease(ids[index]) as slide:
            return shade(slide) == index

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(work, range(300)))
    assert sum(not slide.closed for slide in opened) <= 2
    slides.close()
    assert all(slide.closed for slide in opened)
