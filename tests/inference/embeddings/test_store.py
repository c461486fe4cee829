"""Entries on a disk: never trusted, never more than the limit, safe with several processes."""

import contextlib
import logging
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from inference.embeddings.writer import data, key
from wsisam_server.inference.embeddings import EmbeddingStore, EntryKey
from wsisam_server.inference.embeddings.store import OVERHEAD

WRITER = Path(__file__).with_name("writer.py")
SIZE = 10_000
ENTRY = SIZE + OVERHEAD


@pytest.fixture
def store(tmp_path):
    return EmbeddingStore(tmp_path / "embeddings", 10 * ENTRY)


def files(store):
    return sorted(store.folder.rglob("*.embedding"))


def size(store):
    return sum(file.stat().st_size for file in files(store))


def fill(store, *numbers):
    for number in numbers:
        store.put(key(number), data(number, SIZE))


def file_of(store, number):
    (file,) = (one for one in files(store) if data(number, SIZE) in one.read_bytes())
    return file


def used_at(store, number, seconds):
    os.utime(file_of(store, number), (seconds, seconds))


@contextlib.contextmanager
def writer(store, first=0, count=1000, entry=SIZE):
    arguments = (str(store.folder), *map(str, (store.limit, entry, first, count)))
    with subprocess.Popen([sys.executable, str(WRITER), *arguments], stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout.readline().startswith("wrote")
            yield process
        finally:
            process.kill()


def test_what_was_written_is_read_by_whoever_comes_later(store):
    fill(store, 1)
    later = EmbeddingStore(store.folder, store.limit)
    assert key(1) in later
    assert later.get(key(1)) == data(1, SIZE)
    assert later.get(key(2)) is None
    assert (later.counters.hits, later.counters.misses) == (1, 1)
    assert later.nbytes == size(store) == ENTRY


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: content[:-1] + bytes([content[-1] ^ 1]),
        lambda content: content[: len(content) // 2],
        lambda content: content[:20],
        lambda _: b"",
        lambda content: content + b"\0",
        lambda _: b"something else altogether" * 1000,
        lambda content: bytes([content[0] ^ 1]) + content[1:],
    ],
)
def test_what_is_not_as_it_was_written_is_removed_and_can_be_written_again(store, damage, caplog):
    fill(store, 1)
    (file,) = files(store)
    file.write_bytes(damage(file.read_bytes()))
    with caplog.at_level(logging.WARNING):
        assert store.get(key(1)) is None
    assert "is removed" in caplog.text
    assert store.counters.damaged == 1
    assert files(store) == []
    fill(store, 1)
    assert store.get(key(1)) == data(1, SIZE)


def test_an_entry_under_anothers_name_is_none(store):
    fill(store, 1, 2)
    shutil.copy(file_of(store, 1), file_of(store, 2))
    assert store.get(key(2)) is None
    elsewhere = EntryKey(f"{9:064x}", key(1).about)
    folder = store.folder / elsewhere.slide
    folder.mkdir()
    shutil.copy(file_of(store, 1), folder)
    assert store.get(elsewhere) is None
    assert store.counters.damaged == 2
    assert store.get(key(1)) is not None


def test_the_least_recently_used_go_first_and_the_limit_is_kept(store):
    fill(store, *range(10))
    for number in range(10):
        used_at(store, number, 1_000 + number)
    assert store.get(key(0)) is not None  # used now
    fill(store, 10)
    there = {number for number in range(11) if key(number) in store}
    assert 0 in there
    assert 10 in there
    assert 1 not in there
    assert there - {0, 10} == set(range(11 - len(there) + 1, 10))
    for number in range(11, 60):
        fill(store, number)
        assert size(store) <= store.limit
        assert store.nbytes == size(store)
    assert len(files(store)) >= 9


def test_what_is_larger_than_the_limit_is_not_kept_and_nothing_goes_for_it(store):
    fill(store, 1)
    store.put(key(2), bytes(store.limit))
    assert key(2) not in store
    assert key(1) in store


def test_files_that_came_without_us_count(store):
    fill(store, *range(9))
    other = EmbeddingStore(store.folder.with_name("copy"), store.limit)
    shutil.copytree(store.folder, other.folder)
    (other.folder / ".size").unlink()
    fill(other, *range(9, 12))
    assert size(other) <= other.limit
    (other.folder / ".size").write_text("no number")
    fill(other, *range(12, 15))
    assert size(other) <= other.limit
    assert other.nbytes == size(other)


def test_two_processes_write_at_once(store):
    with writer(store, 0) as one, writer(store, 500) as other:
        deadline, most = time.monotonic() + 1.5, 0
        while time.monotonic() < deadline:
            with contextlib.suppress(FileNotFoundError):  # let go of between listing and looking
                most = max(most, size(store))
            fill(store, random.randrange(1000))
    assert one.wait() == other.wait() == -signal.SIGKILL
    assert 9 * ENTRY <= most <= store.limit
    assert size(store) <= store.limit
    # Of as many as a fast disk takes in that time, and more.
    read = [store.get(key(number)) for number in range(20_000)]
    assert sum(one is not None for one in read) == len(files(store)) > 0
    assert all(one in (None, data(number, SIZE)) for number, one in enumerate(read))
    assert store.counters.damaged == 0


@pytest.mark.parametrize(("large", "room"), [(3_000_000, 4), (1_000_000, 60)], ids=["tight", "roomy"])
def test_a_killed_writer_leaves_nothing_that_is_trusted(store, large, room):
    store = EmbeddingStore(store.folder, room * (large + OVERHEAD))
    for turn in range(6):
        with writer(store, first=1000 * turn, entry=large) as process:
            time.sleep(random.uniform(0, 0.03))
            os.kill(process.pid, signal.SIGKILL)
            said = [*map(int, process.stdout.read().split()[1::2])]
        # How many are left is certain: room is made for one entry at a time, to fifteen sixteenths of the limit. Which
        # is not, where there is room for few: of those written within one tick of the system's clock, which may last
        # long where others keep the processor busy, it is chance which counts as the oldest.
        assert len(files(store)) >= min(1 + len(said), room * 15 // 16 - 1)
        assert room < 10 or all(key(number) in store for number in said[-10:])
        for number in range(1000 * turn, 1000 * turn + 20):
            assert store.get(key(number)) in (None, data(number, large))
        assert size(store) <= store.limit
        store.put(EntryKey("a" * 64, "after"), b"1")  # no lock was left
        assert store.get(EntryKey("a" * 64, "after")) == b"1"
    store.put(EntryKey("a" * 64, "last"), b"1")
    left = [path for path in store.folder.iterdir() if path.is_file()]
    assert {path.name for path in left} <= {".lock", ".size"}


def test_a_folder_that_cannot_be_used_is_an_error_for_writers_only(tmp_path, caplog):
    (tmp_path / "file").write_text("in the way")
    store = EmbeddingStore(tmp_path / "file" / "embeddings", 10 * ENTRY)
    with pytest.raises(OSError, match="file"):
        fill(store, 1)
    with caplog.at_level(logging.WARNING):
        assert store.get(key(1)) is None
        assert store.get(key(2)) is None
    assert len(caplog.records) == 1
    assert key(1) not in store
    assert store.nbytes == 0


def test_a_disk_that_hangs_is_asked_nothing_until_it_answers(store, monkeypatch, caplog):
    fill(store, 1, 2)
    store = EmbeddingStore(store.folder, store.limit, seconds=0.2)
    hangs, asked, real = threading.Event(), [], Path.read_bytes

    def hanging(path):
        asked.append(path)
        hangs.wait()
        return real(path)

    monkeypatch.setattr(Path, "read_bytes", hanging)
    with caplog.at_level(logging.WARNING):
        with ThreadPoolExecutor(4) as readers:
            assert [*readers.map(store.get, [key(1)] * 4)] == [None] * 4
        started = time.monotonic()
        for _ in range(20):
            assert store.get(key(2)) is None
            assert key(2) not in store
            assert store.nbytes == 0
            store.discard(key(2), "it is not asked for this, either")
        assert time.monotonic() - started < 0.2
        assert len(asked) == 4
        assert store.counters.misses == 24
        assert all(one.daemon for one in threading.enumerate() if one.name == "wsisam-embeddings")
        hangs.set()
        deadline = time.monotonic() + 10
        while store.get(key(2)) is None:
            assert time.monotonic() < deadline
    assert store.get(key(1)) == data(1, SIZE)
    assert [record.message.removeprefix(f"the folder of embeddings {store.folder} ") for record in caplog.records] == [
        "did not answer within 0.2 s; until it does, they are computed instead",
        "answers again",
    ]


def test_a_write_that_fails_leaves_what_was_there(store, monkeypatch):
    fill(store, 1)

    def full(self, target):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", full)
        with pytest.raises(OSError, match="No space"):
            fill(store, 2)
    assert store.get(key(1)) == data(1, SIZE)
    assert key(2) not in store
    assert store.nbytes == size(store) == ENTRY
    fill(store, 2)
    assert store.get(key(2)) == data(2, SIZE)


def test_a_known_entry_is_kept_unless_it_is_written_anew(store):
    fill(store, 1, 2)
    store.put(key(1), data(3, SIZE))
    assert store.get(key(1)) == data(1, SIZE)
    store.put(key(1), data(3, SIZE // 2), anew=True)
    assert store.get(key(1)) == data(3, SIZE // 2)
    assert store.nbytes == size(store) == ENTRY + SIZE // 2 + OVERHEAD
