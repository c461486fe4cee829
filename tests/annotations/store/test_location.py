"""Where a store may be."""

from pathlib import Path

import pytest

from wsisam_server.annotations.store import StoreError, open_store
from wsisam_server.annotations.store.location import parse, shown
from wsisam_server.core.settings import default_store


@pytest.mark.parametrize("text", ["{}/a b.sqlite", "sqlite:///{}/a b.sqlite"])
def test_a_path_is_a_sqlite_file(tmp_path, text):
    url = parse(text.format(tmp_path))
    assert url.drivername == "sqlite"
    assert Path(url.database) == tmp_path / "a b.sqlite"
    assert shown(url) == str(tmp_path / "a b.sqlite")


def test_a_relative_path_starts_here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert Path(parse("store.sqlite").database) == tmp_path / "store.sqlite"


@pytest.mark.parametrize("scheme", ["postgresql", "postgres", "postgresql+psycopg"])
def test_a_postgresql_url_is_shown_without_its_password(scheme):
    url = parse(f"{scheme}://lab:se%40cret@db.example/annotations")
    assert url.drivername == "postgresql+psycopg"
    assert url.password == "se@cret"
    assert shown(url) == "postgresql://lab:***@db.example/annotations"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("mysql://lab@host/annotations", "mysql://"),
        ("sqlite://", "sqlite://"),
        ("sqlite:///:memory:", "sqlite://"),
        ("postgresql://host:port/annotations", "postgresql://USER:PASSWORD@HOST/DATABASE"),
        ("/", "is a folder"),
    ],
)
def test_anything_else_is_refused(text, says):
    with pytest.raises(StoreError, match=says) as caught:
        parse(text)
    assert "annotations.sqlite" in str(caught.value) or "postgresql://" in str(caught.value)


def test_no_folder_is_made_for_a_store_that_was_named(tmp_path):
    with pytest.raises(StoreError, match="no folder"):
        open_store(str(tmp_path / "mistyped" / "annotations.sqlite"))


def test_the_default_needs_no_set_up(tmp_path, monkeypatch):
    monkeypatch.setattr("platformdirs.user_data_path", lambda name, **_: tmp_path / "share" / name)
    assert default_store() == tmp_path / "share" / "wsisam" / "annotations.sqlite"
    open_store(str(default_store())).close()
    assert default_store().is_file()
    assert default_store().parent.stat().st_mode & 0o777 == 0o700


def test_a_default_that_cannot_be_made_is_said_so(tmp_path, monkeypatch):
    (tmp_path / "share").write_text("a file in the way")
    monkeypatch.setattr("platformdirs.user_data_path", lambda name, **_: tmp_path / "share" / name)
    with pytest.raises(StoreError, match="--store none"):
        open_store(str(default_store()))
