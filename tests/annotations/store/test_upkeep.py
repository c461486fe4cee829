"""Check and backup."""

import contextlib
import sqlite3
import threading
from pathlib import Path

import pytest

from annotations.store.examples import EVERYTHING, draft, request, same
from wsisam_server.annotations.store import AnnotationFilter, Draft, StoreError, Target, open_store
from wsisam_server.annotations.store.upkeep import backup, check, restored, upgrade


@pytest.fixture(params=["sqlite", "postgresql"])
def where(request, sqlite_path):
    return str(sqlite_path) if request.param == "sqlite" else request.getfixturevalue("postgres")()


@pytest.fixture
def filled(where):
    new = Draft(draft().id, EVERYTHING)
    with open_store(where) as store:
        store.save([new, draft(), draft()], author="a", request_id=request())
        store.delete([Target(new.id, 1)], author="a", request_id=request())
    return where


def sql(path, *statements):
    connection = sqlite3.connect(path)
    with connection:
        for statement in statements:
            connection.execute(statement)
    connection.close()


def test_a_sound_store(filled):
    told = []
    summary = check(filled, lambda done, total: told.append((done, total)))
    assert (summary.annotations, summary.deleted, summary.revisions) == (2, 1, 4)
    assert summary.problems == ()
    assert told == [(number, 4) for number in range(1, 5)]
    assert "secret" not in summary.where


def test_an_empty_store_is_sound(where):
    open_store(where).close()
    assert check(where).problems == ()


@pytest.mark.parametrize("where", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
    ("statement", "problem"),
    [
        ("UPDATE revision SET name = 'forged' WHERE number = 3", "revision 3"),
        ("UPDATE revision SET shape = x'1234' WHERE number = 2", "revision 2"),
        ("UPDATE annotation SET revision = 1 WHERE revision = 4", "not at its latest"),
        ("DELETE FROM annotation WHERE revision = 3", "not at its latest"),
        ("UPDATE store SET revision = 9", "counts 9"),
        ("DELETE FROM revision WHERE number = 4", "missing"),
        ("DROP INDEX ix_annotation_project_revision", None),
    ],
)
def test_what_is_wrong_is_found(filled, statement, problem):
    sql(filled, statement)
    found = " ".join(check(filled).problems)
    assert problem in found if problem else found == ""


def test_a_backup_is_whole_and_makes_a_store(filled, tmp_path, request):
    target = tmp_path / "backup.sqlite"
    if filled.startswith("postgresql"):
        with pytest.raises(StoreError) as caught:
            backup(filled, target)
        assert f"pg_dump --format=custom --file={target} 'postgresql://wsisam@" in str(caught.value)
        assert not target.exists()
        return
    backup(filled, target)
    assert [path.name for path in tmp_path.glob("backup*")] == ["backup.sqlite"]
    assert check(str(target)).problems == ()
    with open_store(filled) as one, open_store(str(target)) as two:
        assert one.identity == two.identity
        assert one.changes(AnnotationFilter(), after=0, limit=10) == two.changes(AnnotationFilter(), after=0, limit=10)
        assert same(two.get(one.changes(AnnotationFilter(), after=0, limit=1).annotations[0].id).content, EVERYTHING)


def test_a_store_that_was_restored_is_another_one_with_the_same_content(filled):
    with open_store(filled) as store:
        before, pages = store.identity, store.changes(AnnotationFilter(), after=0, limit=10)
    identity = restored(filled)
    with open_store(filled) as store:
        assert store.identity == identity != before
        assert store.changes(AnnotationFilter(), after=0, limit=10) == pages
    assert check(filled).problems == ()


def test_only_a_store_can_have_been_restored(tmp_path):
    with pytest.raises(StoreError):
        restored(str(tmp_path / "none.sqlite"))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("where", ["sqlite"], indirect=True)
def test_a_backup_while_others_write_is_of_one_moment(filled, tmp_path):
    done = threading.Event()

    def write():
        with open_store(filled) as store:
            while not done.is_set():
                store.save([draft() for _ in range(10)], author="a", request_id=request())

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for number in range(5):
            backup(filled, tmp_path / f"{number}.sqlite")
    finally:
        done.set()
        writer.join()
    heads = []
    for number in range(5):
        summary = check(str(tmp_path / f"{number}.sqlite"))
        assert summary.problems == ()
        assert summary.revisions % 10 == 4
        heads.append(summary.revisions)
    assert heads == sorted(heads)


@pytest.mark.parametrize("where", ["sqlite"], indirect=True)
def test_backups_that_cannot_be_made(filled, tmp_path):
    taken = tmp_path / "taken"
    taken.write_text("precious")
    with pytest.raises(StoreError, match="never overwrites"):
        backup(filled, taken)
    assert taken.read_text() == "precious"
    with pytest.raises(StoreError, match="no backup was made"):
        backup(filled, tmp_path / "no" / "folder.sqlite")
    with pytest.raises(StoreError, match="no store at"):
        backup(str(tmp_path / "nothing.sqlite"), tmp_path / "b.sqlite")
    assert not (tmp_path / "nothing.sqlite").exists()


def test_only_stores_are_checked(tmp_path):
    other = tmp_path / "other.sqlite"
    sql(other, "CREATE TABLE t (a)")
    for call in (check, lambda path: backup(path, tmp_path / "b.sqlite")):
        with pytest.raises(StoreError, match="not a store of this version"):
            call(str(other))


def test_a_store_that_a_server_has_open_is_not_restored(tmp_path):
    where = str(tmp_path / "s.sqlite")
    with open_store(where) as store:
        before = store.identity
        with pytest.raises(StoreError, match="stop the server"):
            restored(where)
        assert store.identity == before
    assert restored(where) != before


@pytest.mark.parametrize(("folder", "word"), [("missing", "no folder"), ("file", "file")])
def test_a_backup_that_cannot_be_written_names_where(tmp_path, folder, word):
    open_store(str(tmp_path / "s.sqlite")).close()
    (tmp_path / "file").write_bytes(b"")
    target = tmp_path / folder / "b.sqlite"
    with pytest.raises(StoreError, match=word) as caught:
        backup(str(tmp_path / "s.sqlite"), target)
    assert str(target) in str(caught.value)


@pytest.mark.parametrize(
    "call", [check, restored, upgrade, open_store, lambda where: backup(where, Path(where).with_name("b.sqlite"))]
)
def test_a_newer_store_is_not_sent_to_an_upgrade(tmp_path, call):
    where = tmp_path / "s.sqlite"
    open_store(str(where)).close()
    with contextlib.closing(sqlite3.connect(where)) as changed:
        changed.execute("UPDATE wsisam_version SET version_num = '9999-7.1.0'")
        changed.commit()
    with pytest.raises(StoreError, match="newer wsisam") as caught:
        call(str(where))
    assert "7.1.0 or later (its form is 9999;" in str(caught.value)
    assert "upgrade'" not in str(caught.value)


def test_a_restore_of_a_store_in_use_is_refused(where):
    with open_store(where) as store:
        store.save([draft()], author="a", request_id=request())
        identity = store.identity
        with pytest.raises(StoreError, match=r"in use.*stop the server"):
            restored(where)
        assert store.identity == identity
    assert restored(where) != identity
