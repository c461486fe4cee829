"""A slide's id names what was read, whatever is done to its file: replaced, edited, touched, moved, exchanged meanwhile."""

import gc
import itertools
import os
import shutil
import threading
import time
from contextlib import closing, suppress
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from tests.slides.images import write_pyramid
from wsisam_server.core.errors import Reason, WsiSamServerError
from wsisam_server.core.geometry import Window
from wsisam_server.core.settings import Limits
from wsisam_server.slides import OpenSlides, SlideAccess, fingerprint, known, open_slide, opening, registry
from wsisam_server.slides import file as slide_file

WINDOW = Window(0, 0, 1, 64)
KINDS = ("png", "tif", "below.tif")
"""Held in memory, read by OpenSlide, and read tile by tile from a file whose levels lie below its page."""


@pytest.fixture
def folder(tmp_path):
    """Two slides of each kind, of the same size in bytes."""
    for number, shade in enumerate((60, 200)):
        image = np.full((300, 300, 3), shade, np.uint8)
        write_pyramid(tmp_path / f"{number}.tif", image, 1)
        with tifffile.TiffWriter(tmp_path / f"{number}.below.tif") as tiff:
            options = {"tile": (64, 64), "photometric": "rgb", "metadata": None}
            tiff.write(image, subifds=1, **options)
            tiff.write(image[::2, ::2], subfiletype=1, **options)
        Image.fromarray(image).save(tmp_path / f"{number}.png", compress_level=0)
    for kind in KINDS:
        assert len({(tmp_path / f"{number}.{kind}").stat().st_size for number in (0, 1)}) == 1
    return tmp_path


@pytest.fixture(params=[True, False], ids=["descriptors", "paths"])
def slides(folder, request, monkeypatch):
    if not request.param:
        monkeypatch.setattr(slide_file, "_DESCRIPTORS", None)
        monkeypatch.setattr(slide_file, "_WALKS", False)
    slides = OpenSlides(SlideAccess([folder], []), Limits())
    yield slides
    slides.close()


def reason(call):
    with pytest.raises(WsiSamServerError) as caught:
        call()
    return caught.value.reason


def in_place(source, target):
    with target.open("r+b") as file:
        file.write(source.read_bytes())


def renamed(source, target):
    shutil.copy(source, target.with_suffix(".new"))
    target.with_suffix(".new").replace(target)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("replace", [in_place, renamed])
@pytest.mark.parametrize("same_time", [False, True])
def test_a_replaced_slide_is_another_one(slides, folder, kind, replace, same_time):
    path, other = folder / f"0.{kind}", folder / f"1.{kind}"
    old, _ = slides.open(path.name)
    assert slides.reader(old)(WINDOW).mean() == 60
    before = path.stat()
    replace(other, path)
    if same_time:
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert reason(slides.checking(old).result) is Reason.SLIDE_UNREADABLE
    assert reason(lambda: slides.reader(old)(WINDOW)) is Reason.SLIDE_UNREADABLE
    new, _ = slides.open(path.name)
    assert new == fingerprint(other)
    slides.checking(new).result()
    assert slides.reader(new)(WINDOW).mean() == 200
    assert reason(slides.checking(old).result) is Reason.SLIDE_UNREADABLE


@pytest.mark.parametrize("kind", KINDS)
def test_one_that_came_back_is_itself_again(slides, folder, kind):
    path = folder / f"0.{kind}"
    kept = folder / "kept"
    shutil.copy(path, kept)
    old, _ = slides.open(path.name)
    renamed(folder / f"1.{kind}", path)
    assert reason(slides.checking(old).result) is Reason.SLIDE_UNREADABLE
    renamed(kept, path)
    slides.checking(old).result()
    assert slides.reader(old)(WINDOW).mean() == 60


@pytest.mark.parametrize("kind", KINDS)
def test_a_copy_elsewhere_keeps_the_id_alive(slides, folder, kind):
    shutil.copy(folder / f"0.{kind}", folder / f"copy.{kind}")
    old, _ = slides.open(f"0.{kind}")
    assert slides.open(f"copy.{kind}")[0] == old
    renamed(folder / f"1.{kind}", folder / f"copy.{kind}")
    slides.checking(old).result()
    assert slides.reader(old)(WINDOW).mean() == 60


@pytest.mark.parametrize("kind", KINDS)
def test_another_time_alone_is_no_error(slides, folder, kind, monkeypatch):
    path = folder / f"0.{kind}"
    old, _ = slides.open(path.name)
    opened = []
    monkeypatch.setattr(registry, "open_slide", lambda *given: opened.append(given))
    for change in (lambda: os.utime(path, ns=(1, 1)), lambda: path.chmod(0o600)):
        change()
        slides.checking(old).result()
        assert slides.reader(old)(WINDOW).mean() == 60
    assert not opened


def test_a_gone_slide_is_not_found(slides, folder):
    old, _ = slides.open("0.tif")
    (folder / "0.tif").unlink()
    assert reason(slides.checking(old).result) is Reason.SLIDE_NOT_FOUND


def test_what_was_written_a_moment_ago_is_identified_by_its_bytes(slides, folder, monkeypatch):
    """Clocks of file systems are coarse: two writes within a tick look like one."""
    looked = []
    real = known.file_fingerprint
    monkeypatch.setattr(known, "file_fingerprint", lambda name: looked.append(name) or real(name))
    old, _ = slides.open("0.png")
    slides.checking(old).result()
    assert looked
    aged = time.time_ns() - 10**10
    os.utime(folder / "0.png", ns=(aged, aged))
    monkeypatch.setattr(slide_file, "_COARSEST_CLOCK", 0)  # the inode's own time cannot be set back
    slides.checking(old).result()
    looked.clear()
    slides.checking(old).result()
    assert not looked


@pytest.mark.parametrize("kind", KINDS)
def test_one_that_changes_under_a_read_is_not_answered(slides, folder, kind, monkeypatch):
    old, _ = slides.open(f"0.{kind}")
    with slides.lease(old) as slide:
        real = type(slide).read

    def read(self, window):
        in_place(folder / f"1.{kind}", folder / f"0.{kind}")
        return real(self, window)

    monkeypatch.setattr(type(slide), "read", read)
    if kind == "png":
        # All of it was read when it was opened.
        assert slides.reader(old)(WINDOW).mean() == 60
    else:
        assert reason(lambda: slides.reader(old)(WINDOW)) is Reason.SLIDE_UNREADABLE


@pytest.mark.parametrize("kind", KINDS)
def test_renamed_over_while_it_is_opened_id_size_and_pixels_are_of_one_file(folder, kind):
    """Exchanged as fast as possible by another thread."""
    ids = {fingerprint(folder / f"{number}.{kind}"): shade for number, shade in enumerate((60, 200))}
    path = folder / f"live.{kind}"
    renamed(folder / f"0.{kind}", path)
    stop = threading.Event()

    def exchange():
        number = 0
        while not stop.is_set():
            number = 1 - number
            renamed(folder / f"{number}.{kind}", path)

    worker = threading.Thread(target=exchange)
    worker.start()
    try:
        seen = set()
        for _ in range(60):
            with suppress(WsiSamServerError), closing(open_slide(path, Limits())) as slide:
                shade = slide.read(WINDOW).mean()
                assert ids[slide.info.fingerprint] == shade
                seen.add(shade)
    finally:
        stop.set()
        worker.join()
    assert seen


def test_renamed_over_during_the_decode(folder, monkeypatch):
    from wsisam_server.slides import plain

    real = plain._load

    def load(*given):
        renamed(folder / "1.png", folder / "0.png")
        return real(*given)

    first = fingerprint(folder / "0.png")
    monkeypatch.setattr(plain, "_load", load)
    slide = open_slide(folder / "0.png", Limits())
    assert (slide.info.fingerprint, slide.read(WINDOW).mean()) == (first, 60)


def test_edited_while_it_is_opened_it_is_opened_again(folder, monkeypatch):
    real = opening.PlainImage
    edits = iter([True, False])

    def once(*given):
        image = real(*given)
        if next(edits):
            in_place(folder / "1.png", folder / "0.png")
        return image

    monkeypatch.setattr(opening, "PlainImage", once)
    slide = open_slide(folder / "0.png", Limits())
    assert (slide.info.fingerprint, slide.read(WINDOW).mean()) == (fingerprint(folder / "1.png"), 200)


def test_one_that_keeps_changing_is_refused(folder, monkeypatch):
    real, times = opening.PlainImage, itertools.count(1)

    def always(*given):
        image = real(*given)
        os.utime(folder / "0.png", (now := next(times), now))
        return image

    monkeypatch.setattr(opening, "PlainImage", always)
    assert reason(lambda: open_slide(folder / "0.png", Limits())) is Reason.SLIDE_UNREADABLE


def held(folder):
    """How many descriptors this process has of files there: others are not this test's business."""
    links = [str(link.readlink()) for link in Path("/proc/self/fd").iterdir() if link.is_symlink()]
    return sum(link.startswith(str(folder)) for link in links)


def test_no_descriptor_is_left_open(folder):
    slides = OpenSlides(SlideAccess([folder], []), Limits(open_slides=1))
    for _ in range(5):
        for name in (f"{number}.{kind}" for kind in KINDS for number in (0, 1)):
            slide_id, _ = slides.open(name)
            slides.reader(slide_id)(WINDOW)
    slides.close()
    gc.collect()  # the command line, where it is imported, has cycles looked for rarely
    assert held(folder) == 0


def test_a_dicom_file_that_the_quick_hash_does_not_cover(dicom, tmp_path):
    """The fingerprint of a set is of its metadata and coarsest level: of the others, the content is looked at, too."""
    for path in dicom:
        shutil.copy(path, tmp_path / path.name)
    largest = max(tmp_path.iterdir(), key=lambda path: path.stat().st_size)
    named = next(path for path in sorted(tmp_path.iterdir()) if path != largest)
    slides = OpenSlides(SlideAccess([tmp_path], []), Limits())
    old, info = slides.open(named.name)
    slides.checking(old).result()
    before = slides.reader(old)(WINDOW)
    data = bytearray(largest.read_bytes())
    data[-2000:-1000] = bytes(1000)
    largest.write_bytes(data)
    assert reason(slides.checking(old).result) is Reason.SLIDE_UNREADABLE
    again, now = slides.open(named.name)
    assert again == old
    assert now.content_key != info.content_key
    assert info.content_key != info.fingerprint
    assert before.shape == (64, 64, 3)
