import shutil

import openslide
import pytest

from tests.slides.images import waves, write_pyramid
from wsisam_server.slides import fingerprint as fingerprint_of
from wsisam_server.slides.fingerprint import file_fingerprint, is_file_set, slide_fingerprint

MIB = 1024 * 1024


def sparse(path, size, *edits):
    """A file of zeros with single bytes changed."""
    with path.open("wb") as file:
        file.truncate(size)
        for position in edits:
            file.seek(position)
            file.write(b"x")
    return path


def test_identity_is_of_content_not_of_path(tmp_path):
    path = write_pyramid(tmp_path / "a.tif", waves(300, 300), 1)
    before = fingerprint_of(path)
    assert len(before) == 64
    assert int(before, 16) >= 0
    shutil.copy(path, tmp_path / "copy.tif")
    assert fingerprint_of(tmp_path / "copy.tif") == before
    assert fingerprint_of(path.rename(tmp_path / "moved.tif")) == before


def test_each_byte_of_a_small_file_counts(tmp_path):
    size = 16 * MIB
    plain = file_fingerprint(sparse(tmp_path / "f", size))
    for position in (0, 1, size // 2, size // 2 + 12345, size - 1):
        assert file_fingerprint(sparse(tmp_path / "f", size, position)) != plain


@pytest.mark.parametrize("size", [16 * MIB + 1, 40 * MIB, 5000 * MIB])
def test_ends_samples_and_size_of_a_large_file_count(tmp_path, size):
    plain = file_fingerprint(sparse(tmp_path / "f", size))
    for position in (0, MIB - 1, MIB, size - MIB - 1, size - 1):
        assert file_fingerprint(sparse(tmp_path / "f", size, position)) != plain
    assert file_fingerprint(sparse(tmp_path / "f", size + 1)) != plain


def test_each_file_of_a_set_gives_the_same_identity(dicom, tmp_path):
    assert len({fingerprint_of(path) for path in dicom}) == 1
    moved = shutil.copytree(dicom[0].parent, tmp_path / "moved")
    assert fingerprint_of(next(moved.glob("*.dcm"))) == fingerprint_of(dicom[0])


def test_set_without_a_quick_hash_falls_back_to_the_file(dicom, monkeypatch):
    properties = openslide.OpenSlide.properties.fget

    def without(self):
        return {name: value for name, value in properties(self).items() if name != "openslide.quickhash-1"}

    monkeypatch.setattr(openslide.OpenSlide, "properties", property(without))
    with openslide.OpenSlide(dicom[0]) as opened:
        assert slide_fingerprint(dicom[0], opened) == file_fingerprint(dicom[0])


@pytest.mark.parametrize(
    ("vendor", "content", "several"),
    [
        ("mirax", b"", True),
        ("dicom", b"", True),
        ("hamamatsu", b"[Virtual Microscope Specimen]", True),
        ("hamamatsu", b"II*\0", False),
        ("aperio", b"II*\0", False),
    ],
)
def test_which_formats_are_sets(tmp_path, vendor, content, several):
    (tmp_path / "f").write_bytes(content)
    assert is_file_set(vendor, tmp_path / "f") is several


def test_files_that_openslide_does_not_know_have_an_identity_too(tmp_path):
    (tmp_path / "notes.txt").write_text("x")
    assert fingerprint_of(tmp_path / "notes.txt") == file_fingerprint(tmp_path / "notes.txt")
