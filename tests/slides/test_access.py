import os
import threading
import unicodedata
from functools import partial
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.escapes import ESCAPES, lay
from wsisam_server.core.errors import Reason, WsiSamServerError
from wsisam_server.core.settings import PathMapping
from wsisam_server.slides import SlideAccess
from wsisam_server.slides.client_path import ClientPath


@pytest.fixture
def disk(tmp_path):
    return lay(tmp_path)


@pytest.fixture
def access(disk):
    mappings = [
        PathMapping("Z:\\Slides", disk / "slides"),
        PathMapping("Z:\\Slides\\More", disk / "more"),
        PathMapping("\\\\NAS\\share", disk / "slides"),
        PathMapping("/mnt/client", disk / "slides"),
        PathMapping("file:///mnt/uri%20prefix/", disk / "slides"),
        PathMapping("Y:", disk / "slides"),
        PathMapping("/mnt/evil", disk),
    ]
    return SlideAccess([disk / "slides", disk / "more"], mappings)


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        ("{d}/slides/a.svs", "slides/a.svs"),
        ("file:{d}/slides/a.svs", "slides/a.svs"),
        ("file://{d}/slides/a.svs", "slides/a.svs"),
        ("FILE://LocalHost{d}/slides/a.svs", "slides/a.svs"),
        ("{d}/slides//./a.svs/", "slides/a.svs"),
        ("file:{d}/slides/study%201/b%20%231%20100%25.svs", "slides/study 1/b #1 100%.svs"),
        ("{d}/slides/study 1/b #1 100%.svs", "slides/study 1/b #1 100%.svs"),
        ("file:{d}/slides/%C3%A4.svs", "slides/ä.svs"),
        ("file:{d}/slides/ä.svs", "slides/ä.svs"),
        ("file:{d}/slides/%252e.svs", "slides/%2e.svs"),
        ("file:{d}/slides%2Fa.svs", "slides/a.svs"),
        ("{d}/slides/inside.svs", "slides/a.svs"),
        ("{d}/slides/other-root.svs", "more/c.svs"),
        ("a.svs", "slides/a.svs"),
        ("./study 1/b #1 100%.svs", "slides/study 1/b #1 100%.svs"),
        ("c.svs", "more/c.svs"),
        ("Z:\\Slides\\a.svs", "slides/a.svs"),
        ("z:/slides/a.svs", "slides/a.svs"),
        ("Z:\\Slides\\study 1\\b #1 100%.svs", "slides/study 1/b #1 100%.svs"),
        ("Z:\\Slides\\More\\c.svs", "more/c.svs"),
        ("file:/Z:/Slides/a.svs", "slides/a.svs"),
        ("file:///z:/Slides/study%201/b%20%231%20100%25.svs", "slides/study 1/b #1 100%.svs"),
        ("file:Z:/Slides/a.svs", "slides/a.svs"),
        ("Y:\\a.svs", "slides/a.svs"),
        ("\\\\nas\\Share\\a.svs", "slides/a.svs"),
        ("//nas/share/a.svs", "slides/a.svs"),
        ("file://NAS/share/a.svs", "slides/a.svs"),
        ("file:////nas/share/a.svs", "slides/a.svs"),
        ("/mnt/client/a.svs", "slides/a.svs"),
        ("/mnt/uri prefix/a.svs", "slides/a.svs"),
    ],
)
def test_slides_in_the_roots_are_found(access, disk, uri, expected):
    assert access.resolve(uri.format(d=disk)) == disk / expected


@pytest.mark.parametrize("there", ["NFC", "NFD"])
@pytest.mark.parametrize("asked", ["NFC", "NFD"])
def test_composed_and_decomposed_letters_are_the_same(tmp_path, there, asked):
    """A Mac sends decomposed ones; what is on the disk depends on who copied it there. Roots and mappings, too."""
    on_disk, sent = (partial(unicodedata.normalize, form) for form in (there, asked))
    root = tmp_path / on_disk("Fälle")
    (root / on_disk("Präparat")).mkdir(parents=True)
    (root / on_disk("Präparat") / on_disk("é 50%.svs")).write_bytes(b"")
    access = SlideAccess([root], [PathMapping("/Volumes/" + on_disk("Größe"), root)])
    for path in (f"{tmp_path}/Fälle/Präparat/é 50%.svs", "Präparat/é 50%.svs", "/Volumes/Größe/Präparat/é 50%.svs"):
        assert access.resolve(sent(path)).name == on_disk("é 50%.svs")
        assert access.resolve(f"file:{quote(sent(path))}" if path[0] == "/" else sent(path))


def test_case_is_ignored_below_a_windows_mapping_and_nowhere_else(tmp_path):
    (tmp_path / "Case").mkdir()
    for name in ("One.SVS", "two.svs", "TWO.svs"):
        (tmp_path / "Case" / name).write_bytes(b"")
    access = SlideAccess([tmp_path], [PathMapping("Z:\\slides", tmp_path), PathMapping("/mnt", tmp_path)])
    assert access.resolve("z:\\Slides\\case\\one.svs").name == "One.SVS"
    assert access.resolve("Z:\\slides\\case\\two.svs").name == "two.svs"
    for path in ("Z:\\slides\\case\\Two.svs", "/mnt/Case/one.svs", f"{tmp_path}/case/One.SVS", "case/One.SVS"):
        with pytest.raises(WsiSamServerError):  # which of two is anybody's guess; elsewhere, case counts
            access.resolve(path)


@pytest.mark.parametrize("uri", ESCAPES)
def test_everything_else_is_not_found_in_the_same_words(access, disk, uri):
    with pytest.raises(WsiSamServerError) as caught:
        access.resolve(uri.format(d=disk))
    assert caught.value.reason is Reason.SLIDE_NOT_FOUND
    assert caught.value.details == {}
    assert caught.value.public_text == f"{Reason.SLIDE_NOT_FOUND.value.text} [SLIDE_NOT_FOUND]"


def test_nothing_outside_the_roots_is_asked_for_so_that_not_even_time_tells(access, disk, monkeypatch):
    """Links inside the roots are followed: whoever can lay them is trusted."""
    touched, resolve, lexists = set(), Path.resolve, os.path.lexists

    def noting(self, *arguments, **more):
        touched.add(self)
        return resolve(self, *arguments, **more)

    def there(path):
        touched.add(Path(path))
        return lexists(path)

    monkeypatch.setattr(Path, "resolve", noting)
    monkeypatch.setattr(os.path, "lexists", there)
    for trick in ESCAPES:
        with pytest.raises(WsiSamServerError):
            access.resolve(trick.format(d=disk))
    assert len(touched) > len(ESCAPES) / 4
    roots = disk / "slides", disk / "more"
    assert [path for path in touched if not any(path.is_relative_to(root) for root in roots)] == []


def test_root_may_be_a_link_and_may_appear_later(disk):
    access = SlideAccess([disk / "linked"], [])
    with pytest.raises(WsiSamServerError):
        access.resolve(f"{disk}/linked/a.svs")
    (disk / "linked").symlink_to(disk / "slides")
    assert access.resolve(f"{disk}/linked/a.svs") == disk / "slides" / "a.svs"
    assert access.resolve(f"{disk}/slides/a.svs") == disk / "slides" / "a.svs"


def test_a_root_that_hangs_is_known_as_silent_until_it_is_asked_again(disk, monkeypatch):
    (disk / "linked").symlink_to(disk / "slides")
    let_go, real = threading.Event(), os.path.realpath

    def hanging(path, **more):
        if path == disk / "linked":
            let_go.wait()
        return real(path, **more)

    monkeypatch.setattr(os.path, "realpath", hanging)
    access = SlideAccess([disk / "linked", disk / "more", disk / "nowhere"], [], seconds=0.2)
    assert access.silent == (disk / "linked",)
    assert access.missing == (disk / "nowhere",)
    let_go.set()
    monkeypatch.undo()
    assert access.resolve(f"{disk}/linked/a.svs") == disk / "slides" / "a.svs"


def test_no_roots_open_nothing(disk):
    with pytest.raises(WsiSamServerError):
        SlideAccess([], [PathMapping("/mnt", disk / "slides")]).resolve("/mnt/a.svs")


def test_whole_disk_as_root_still_refuses_devices_and_unmapped_windows_paths(disk):
    access = SlideAccess([Path("/")], [])
    assert access.resolve(f"{disk}/secret.svs") == disk / "secret.svs"
    for uri in ("/dev/zero", f"{disk}/slides/fifo.svs", f"//host{disk}/secret.svs", f"C:{disk}/secret.svs"):
        with pytest.raises(WsiSamServerError):
            access.resolve(uri)


def test_mapping_to_nonsense_is_refused_at_the_start(disk):
    with pytest.raises(ValueError, match="file URI"):
        SlideAccess([disk], [PathMapping("http://x", disk)])


@pytest.mark.parametrize("uri", ["file:/a?series=1", "file:/a#1"])
def test_uri_with_a_query_or_fragment_is_refused_not_cut(uri):
    with pytest.raises(ValueError, match="no query"):
        ClientPath.parse(uri)


@given(st.text(max_size=60) | st.text(alphabet="/.\\%2eE5cC:file ab", max_size=60))
def test_no_text_escapes_the_parser(text):
    try:
        path = ClientPath.parse(text)
    except ValueError:
        return
    assert not {"..", ".", ""} & set(path.parts)
    assert not any("/" in part or "\\" in part or "\0" in part for part in path.parts)
