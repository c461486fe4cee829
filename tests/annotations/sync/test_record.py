"""What is remembered between syncs."""

import json
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsisam_server.annotations.sync.errors import SyncError
from wsisam_server.annotations.sync.files import Stamp, remove_leftovers, replace_text, stamp, unchanged
from wsisam_server.annotations.sync.model import Image
from wsisam_server.annotations.sync.plan import Base
from wsisam_server.annotations.sync.record import ImageRecord, ProjectRecord, Records, SlideSeen, Synced, SyncedEntry

numbers = st.integers(0, 2**53)
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=9)
digests = st.text("0123456789abcdef", min_size=32, max_size=32)
syncs = st.builds(
    Synced,
    revision=numbers,
    data=st.none() | st.builds(Stamp, numbers, numbers, digests),
    done=st.booleans(),
    annotations=st.dictionaries(st.uuids(), st.builds(Base, numbers, digests), max_size=3),
    settling=st.dictionaries(st.uuids(), numbers, max_size=2),
)
records = st.builds(
    ImageRecord,
    slide=st.none()
    | st.builds(
        SlideSeen, texts, st.lists(texts, max_size=2).map(tuple), st.none() | st.tuples(texts, numbers, numbers)
    ),
    generation=st.none() | texts,
    writing=st.none() | texts,
    stores=st.dictionaries(texts, syncs, max_size=2),
)


@given(records)
def test_what_is_written_is_read(tmp_path_factory, record):
    known = Records(tmp_path_factory.mktemp("project"))
    known.write_image("7", record)
    assert known.image("7") == record
    assert known.lost == []


def test_the_project(tmp_path):
    known = Records(tmp_path)
    record = known.project()
    assert record.name == tmp_path.name
    assert uuid.UUID(record.id)
    one = uuid.uuid4()
    known.write_project(ProjectRecord(record.id, "name", {"store": (one, 7, "at")}))
    assert known.project() == ProjectRecord(record.id, "name", {"store": (one, 7, "at")})


def test_which_image_is_synced_for_a_slide(tmp_path):
    known = Records(tmp_path)
    assert known.entry("a slide") is None
    known.write_entry("a slide", Image("2", "b", ("file:/b",)), saved=True)
    assert known.entry("a slide") == SyncedEntry("2", ("file:/b",), saved=True)
    assert known.entry("another") is None
    (path,) = (tmp_path / "wsisam-sync/slides").iterdir()
    path.write_text("{")
    assert known.entry("a slide") is None


def test_the_same_record_is_not_written_again(tmp_path):
    known = Records(tmp_path)
    one, two = uuid.uuid4(), uuid.uuid4()
    known.write_image("1", ImageRecord(stores={"s": Synced(annotations={one: Base(1, "a"), two: Base(2, "b")})}))
    before = (tmp_path / "wsisam-sync/images/1.json").stat()
    known.write_image("1", ImageRecord(stores={"s": Synced(annotations={two: Base(2, "b"), one: Base(1, "a")})}))
    after = (tmp_path / "wsisam-sync/images/1.json").stat()
    assert (before.st_mtime_ns, before.st_ino) == (after.st_mtime_ns, after.st_ino)


@pytest.mark.parametrize("damage", ["", "{", '{"format": 1}', '{"format": 1, "slide": 5}', "null", '{"format": "x"}'])
def test_a_damaged_record_is_as_good_as_none_and_is_named(tmp_path, damage):
    known = Records(tmp_path)
    known.write_image("1", ImageRecord(generation="g"))
    known.write_project(known.project())
    for name in ("images/1.json", "project.json"):
        (tmp_path / "wsisam-sync" / name).write_text(damage)
    assert known.image("1") == ImageRecord()
    assert known.project().name == tmp_path.name
    assert sorted(known.lost) == ["1.json", "project.json"]


def test_a_record_of_a_newer_wsisam_is_refused(tmp_path):
    (tmp_path / "wsisam-sync").mkdir()
    (tmp_path / "wsisam-sync/project.json").write_text(json.dumps({"format": 99}))
    with pytest.raises(SyncError, match="newer version"):
        Records(tmp_path).project()


def test_files_are_known_again(tmp_path):
    path = tmp_path / "file"
    assert stamp(path) is None
    assert unchanged(path, None)
    path.write_bytes(b"one")
    known = stamp(path)
    assert unchanged(path, known)
    assert not unchanged(path, None)
    path.touch()
    assert unchanged(path, known)
    path.write_bytes(b"two")
    assert not unchanged(path, known)
    path.unlink()
    assert not unchanged(path, known)


def test_writing_whole_files(tmp_path):
    path = tmp_path / "folder/file"
    assert replace_text(path, "a")
    assert not replace_text(path, "a")
    assert replace_text(path, "b")
    (tmp_path / "folder/file.wsisam-left").write_text("behind")
    remove_leftovers(tmp_path / "folder")
    assert [item.name for item in (tmp_path / "folder").iterdir()] == ["file"]
