"""What can be wrong with a SQLite file, and what a store needs of one."""

import contextlib
import sqlite3
import subprocess
import sys
import threading

import pytest

from annotations.store.examples import draft, request
from wsisam_server.annotations.store import AnnotationFilter, StoreError, open_store
from wsisam_server.core.errors import Reason, WsiSamServerError


@pytest.fixture
def where(sqlite_path):
    return str(sqlite_path)


def test_commits_reach_the_disk(store):
    with store._database.writing() as connection:
        pragmas = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar_one()
            for name in ("journal_mode", "synchronous", "foreign_keys")
        }
    assert pragmas == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1}


@pytest.mark.parametrize(
    "content", [b"not a database at all, but long enough to be looked at" * 40, b"SQLite format 3\0" + bytes(500)]
)
def test_a_file_that_is_no_store_is_refused_and_left_alone(sqlite_path, content):
    sqlite_path.write_bytes(content)
    with pytest.raises(StoreError, match="no store at all"):
        open_store(str(sqlite_path))
    assert sqlite_path.read_bytes() == content


def test_another_programs_database_is_refused_and_left_alone(sqlite_path):
    other = sqlite3.connect(sqlite_path)
    other.execute("CREATE TABLE annotation (id INTEGER)")
    other.close()
    with pytest.raises(StoreError, match="another program's"):
        open_store(str(sqlite_path))
    other = sqlite3.connect(sqlite_path)
    assert [row[0] for row in other.execute("SELECT name FROM sqlite_master")] == ["annotation"]
    other.close()


def test_damage_is_told_when_it_is_met(store, opened, sqlite_path):
    drafts = [draft(name="x" * 2000) for _ in range(200)]
    store.save(drafts, author="a", request_id=request())
    store.close()
    with sqlite_path.open("r+b") as file:
        file.seek(200_000)
        file.write(b"\xa5" * 150_000)
    damaged = opened()
    with pytest.raises(WsiSamServerError) as caught:
        damaged.listing(AnnotationFilter(), after=0, limit=1000)
    assert caught.value.reason is Reason.STORE_DAMAGED, caught.value.private


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE revision SET name = 'forged'",
        "UPDATE revision SET shape = x'00ff'",
        "UPDATE revision SET measurements = '{'",
        "UPDATE revision SET class_name = 'Tumor'",
        "UPDATE slide SET slide_id = 'another'",
    ],
)
def test_content_that_is_not_what_was_stored_is_damage(store, sqlite_path, change):
    new = draft()
    store.save([new], author="a", request_id=request())
    other = sqlite3.connect(sqlite_path)
    with other:
        other.execute(change)
    other.close()
    with pytest.raises(WsiSamServerError) as caught:
        store.get(new.id)
    assert caught.value.reason is Reason.STORE_DAMAGED


def test_a_damaged_header_is_told_when_it_is_opened(store, sqlite_path):
    store.close()
    with sqlite_path.open("r+b") as file:
        file.write(bytes(100))
    with pytest.raises(StoreError, match="restore the last backup"):
        open_store(str(sqlite_path))


def test_a_writer_that_holds_on_makes_the_others_busy(store, sqlite_path):
    other = sqlite3.connect(sqlite_path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with store._database.reading() as connection:  # a shorter patience, for the connection that is used next
        connection.exec_driver_sql("PRAGMA busy_timeout = 200")
    with pytest.raises(WsiSamServerError) as caught:
        store.save([draft()], author="a", request_id=request())
    assert caught.value.reason is Reason.STORE_BUSY
    assert store.listing(AnnotationFilter(), after=0, limit=1).complete  # reading goes on
    other.close()
    store.save([draft()], author="a", request_id=request())


def test_a_writer_waits_for_another(store, sqlite_path):
    other = sqlite3.connect(sqlite_path, isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")
    ends = threading.Timer(0.5, other.close)
    ends.start()
    store.save([draft()], author="a", request_id=request())
    ends.join()


def test_a_folder_that_one_may_not_write(where):
    code = (
        "import os, sys\n"
        "from wsisam_server.annotations.store import StoreError, open_store\n"
        "open_store(sys.argv[2]).close()\n"
        "if os.geteuid() == 0: os.setuid(65534)\n"
        "try: open_store(sys.argv[1])\n"
        "except StoreError as error: print('refused:', error)\n"
    )
    # Somebody else's folder, which they may enter.
    done = subprocess.run(
        [sys.executable, "-c", code, "/usr/annotations.sqlite", where],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.startswith("refused: /usr/annotations.sqlite cannot be opened"), done.stderr
    assert "may write" in done.stdout


def test_a_new_file_that_another_program_holds_for_a_moment_is_waited_for(tmp_path):
    path = tmp_path / "new.sqlite"
    with contextlib.closing(sqlite3.connect(path, isolation_level=None, check_same_thread=False)) as other:
        # Not in write-ahead mode yet, so that turning it on needs the whole file; SQLite does not wait for that.
        other.execute("BEGIN IMMEDIATE")
        letting_go = threading.Timer(0.3, other.execute, ["ROLLBACK"])
        letting_go.start()
        open_store(str(path)).close()
        letting_go.join()
