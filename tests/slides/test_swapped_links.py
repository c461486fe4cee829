"""A file that becomes a link between check and opening leads nowhere; nor do the files of a set."""

import os
import threading
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from wsisam_server.core.errors import Reason, WsiSamServerError
from wsisam_server.core.settings import Limits
from wsisam_server.slides import OpenSlides, SlideAccess, access, members
from wsisam_server.slides import file as slide_file


@pytest.fixture(params=[True, False], ids=["walked", "compared"])
def way(request, monkeypatch):
    """How files are opened: folder by folder, or, where systems cannot, by path and compared afterwards."""
    if not request.param:
        monkeypatch.setattr(slide_file, "_WALKS", False)
        monkeypatch.setattr(slide_file, "_DESCRIPTORS", None)


@pytest.fixture
def disk(tmp_path):
    (tmp_path / "slides" / "case").mkdir(parents=True)
    (tmp_path / "outside").mkdir()
    for folder, shade in (("slides/case", 10), ("outside", 99)):
        Image.fromarray(np.full((40, 40, 3), shade, np.uint8)).save(tmp_path / folder / "a.png")
    return tmp_path


def refused(call):
    with pytest.raises(WsiSamServerError) as caught:
        call()
    assert caught.value.reason is Reason.SLIDE_NOT_FOUND
    assert caught.value.public_text == f"{Reason.SLIDE_NOT_FOUND.value.text} [SLIDE_NOT_FOUND]"


def a_file(disk):
    (disk / "slides/case/a.png").rename(disk / "aside")
    (disk / "slides/case/a.png").symlink_to(disk / "outside" / "a.png")


def a_folder(disk):
    (disk / "slides/case").rename(disk / "aside")
    (disk / "slides/case").symlink_to(disk / "outside")


def a_fifo(disk):
    (disk / "slides/case/a.png").unlink()
    os.mkfifo(disk / "slides/case/a.png")


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize("swap", [a_file, a_folder, a_fifo])
def test_swapped_after_the_check(disk, swap):
    gate = SlideAccess([disk / "slides"], [])
    found = gate.resolve("case/a.png")
    gate.open(found).close()
    swap(disk)
    refused(lambda: gate.open(found))


@pytest.mark.usefixtures("way")
def test_swapped_at_every_moment(disk, monkeypatch):
    """Before each of the calls that look at the file system or open something."""
    calls = []

    def counting(real, at):
        def call(*arguments, **more):
            calls.append(real)
            if len(calls) == at:
                a_file(disk)
            return real(*arguments, **more)

        return call

    def opened(at):
        calls.clear()
        with monkeypatch.context() as patch:
            for name in ("open", "stat", "lstat", "fstat"):
                patch.setattr(os, name, counting(getattr(os, name), at))
            slides = OpenSlides(SlideAccess([disk / "slides"], []), Limits())
            try:
                slide_id, _ = slides.open("case/a.png")
            except WsiSamServerError as error:
                return error.reason
            with slides.lease(slide_id) as slide:
                return int(np.asarray(slide._image)[0, 0, 0])

    assert opened(0) == 10
    seen = set()
    for at in range(1, len(calls) + 1):
        seen.add(opened(at))
        if (disk / "aside").exists():
            (disk / "slides/case/a.png").unlink()
            (disk / "aside").rename(disk / "slides/case/a.png")
    assert Reason.SLIDE_NOT_FOUND in seen
    assert seen <= {10, Reason.SLIDE_NOT_FOUND, Reason.SLIDE_UNREADABLE}


def test_swapped_back_and_forth_300_times(disk):
    """As a hostile colleague with write access would, with a thread of their own."""
    path, stop = disk / "slides/case/a.png", threading.Event()
    (disk / "link").symlink_to(disk / "outside" / "a.png")
    data = path.read_bytes()

    def exchange():
        number = 0
        while not stop.is_set():
            number += 1
            new = disk / f"new{number % 2}"
            if number % 2:
                os.link(disk / "link", new, follow_symlinks=False)
            else:
                new.write_bytes(data)
            new.replace(path)

    worker = threading.Thread(target=exchange)
    worker.start()
    shades = set()
    try:
        for _ in range(300):
            slides = OpenSlides(SlideAccess([disk / "slides"], []), Limits())
            with suppress(WsiSamServerError):
                slide_id, _ = slides.open("case/a.png")
                with slides.lease(slide_id) as slide:
                    shades.add(int(np.asarray(slide._image)[0, 0, 0]))
            slides.close()
    finally:
        stop.set()
        worker.join()
    assert shades <= {10}


def test_a_set_with_a_file_that_leads_out_is_not_found(dicom, tmp_path):
    root, outside = tmp_path / "slides", tmp_path / "outside"
    root.mkdir()
    outside.mkdir()
    for path in dicom:
        (root / path.name).write_bytes(path.read_bytes())
    whole, _ = OpenSlides(SlideAccess([root], []), Limits()).open(dicom[0].name)
    moved = outside / dicom[1].name
    (root / dicom[1].name).rename(moved)
    (root / dicom[1].name).symlink_to(moved)
    refused(lambda: OpenSlides(SlideAccess([root], []), Limits()).open(dicom[0].name))
    # Where the link leads into a root, it is the same slide.
    assert OpenSlides(SlideAccess([root, outside], []), Limits()).open(dicom[0].name)[0] == whole


@pytest.mark.parametrize(
    ("line", "leads_out"),
    [("FILE_0 = Data0000.dat", False), ("FILE_0 = ../../secret.dat", True), ("INDEXFILE = /etc/passwd", True)],
)
def test_a_mirax_index_names_files_of_its_folder_only(tmp_path, line, leads_out):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "Slidedat.ini").write_text(f"[DATAFILE]\n{line}\n", encoding="utf-8-sig")
    assert members.named_elsewhere("mirax", tmp_path / "a.mrxs") is leads_out


def test_members_of_vms_are_those_that_it_names(tmp_path):
    (tmp_path / "a.vms").write_text("[Virtual Microscope Specimen]\nImageFile=a.jpg\nMapFile=../b.jpg\nNoLayers=1\n")
    for name in ("a.jpg", "other.jpg", "../b.jpg"):
        (tmp_path / name).write_bytes(b"x")
    found = members.members("hamamatsu", tmp_path / "a.vms")
    assert {path.name for path in found} == {"a.jpg", "b.jpg"}
    assert members.lead_out(found, [tmp_path])
    (tmp_path / "../b.jpg").unlink()
    assert not members.lead_out(members.members("hamamatsu", tmp_path / "a.vms"), [Path(os.path.realpath(tmp_path))])


def test_a_lease_of_another_program_is_waited_for(disk, monkeypatch):
    """Samba holds such; without waiting, opening fails with "would block"."""
    real = os.open

    def leased(path, flags, *more, **options):
        if flags & os.O_NONBLOCK:
            raise BlockingIOError
        return real(path, flags, *more, **options)

    monkeypatch.setattr(os, "open", leased)
    gate = access.SlideAccess([disk / "slides"], [])
    gate.open(gate.resolve("case/a.png")).close()
