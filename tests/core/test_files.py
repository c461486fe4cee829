"""A file is whole or not there."""

import ntpath
import os
from pathlib import Path, PureWindowsPath

import pytest

from wsisam_server.core import files
from wsisam_server.core.files import moved_along, write_whole


def test_a_file_is_replaced_and_nothing_is_left_beside_it(tmp_path):
    path = tmp_path / "a"
    for data in (b"one", b"another"):
        write_whole(path, data)
        assert path.read_bytes() == data
    assert list(tmp_path.iterdir()) == [path]


def test_what_cannot_be_written_leaves_the_old_one(tmp_path, monkeypatch):
    path = tmp_path / "a"
    write_whole(path, b"old")

    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_whole(path, b"new")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such permissions")
def test_a_secret_is_its_owners_only_from_the_first_byte_on(tmp_path, monkeypatch):
    seen = []
    real = os.fsync

    def look(number):
        seen.append(os.fstat(number).st_mode & 0o777)
        real(number)

    monkeypatch.setattr(os, "fsync", look)
    write_whole(tmp_path / "a", b"secret", mode=0o600)
    assert seen == [0o600]


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such permissions")
def test_permissions_that_were_set_on_a_file_survive_its_replacement(tmp_path):
    path = tmp_path / "a"
    write_whole(path, b"secret", mode=0o600)
    path.chmod(0o640)
    write_whole(path, b"another", mode=0o600)
    assert path.stat().st_mode & 0o777 == 0o640


@pytest.mark.skipif(os.name == "nt" or os.geteuid() != 0, reason="only root gives files away")
def test_what_root_writes_anew_stays_its_owners(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(b"theirs")
    os.chown(path, 10001, 10001)
    write_whole(path, b"changed")
    assert (path.stat().st_uid, path.stat().st_gid) == (10001, 10001)


def test_a_file_that_a_scanner_holds_for_a_moment_is_tried_again(tmp_path, monkeypatch):
    """As on Windows, where nothing that is open can be replaced."""
    path, tries, replace = tmp_path / "a", [], Path.replace

    def held(self, target):
        tries.append(target)
        if len(tries) < let_go:
            raise PermissionError(13, "Access is denied", str(self))
        return replace(self, target)

    monkeypatch.setattr(files, "_IS_WINDOWS", True)
    monkeypatch.setattr(files, "_PAUSE", 0.001)
    monkeypatch.setattr(Path, "replace", held)
    let_go = 3
    write_whole(path, b"new")
    assert (path.read_bytes(), len(tries)) == (b"new", 3)
    let_go = 10**9
    monkeypatch.setattr(files, "HELD_SECONDS", 0.01)
    with pytest.raises(PermissionError, match="another program has the file open"):
        write_whole(path, b"newer")
    assert path.read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [path]


def test_what_was_moved_together_with_a_folder(tmp_path):
    before, now = Path("/old/study/project"), tmp_path
    assert moved_along(Path("/old/study/slides/a.svs"), before, now) == tmp_path.parent / "slides" / "a.svs"


def test_files_on_different_drives_were_not_moved_together(monkeypatch):
    """As Windows says it."""
    monkeypatch.setattr(os.path, "relpath", ntpath.relpath)
    assert moved_along(PureWindowsPath("D:/slides/a.svs"), PureWindowsPath("C:/study"), Path("/now")) is None
