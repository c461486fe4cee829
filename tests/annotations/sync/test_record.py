"""What is remembered between syncs."""

import json
import os
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsisam_server.annotations.sync.common_record import Common, CommonRecord
from wsisam_server.annotations.sync.errors import ImageError, SyncError
from wsisam_server.annotations.sync.files import Stamp, remove_leftovers, replace_text, stamp, unchanged
from wsisam_server.annotations.sync.model import Image
from wsisam_server.annotations.sync.plan import Base
from wsisam_server.annotations.sync.record import ImageRecord, Look, ProjectRecord, Records, SlideSeen, SyncedEntry

numbers = st.integers(0, 2**53)
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=9)
digests = st.text("0123456789abcdef", min_size=32, max_size=32)
stamps = st.none() | st.builds(Stamp, numbers, numbers, digests)
records = st.builds(
    ImageRecord,
    slide=st.none()
    | st.builds(
        SlideSeen, texts, st.lists(texts, max_size=2).map(tuple), st.none() | st.tuples(texts, numbers, numbers)
    ),
    looks=st.dictionaries(
        texts,
        st.builds(
            Look, revision=numbers, data=stamps, done=st.booleans(), left_out=st.lists(texts).map(tuple), count=numbers
        ),
        max_size=2,
    ),
)
common_records = st.builds(
    CommonRecord,
    slide_id=texts,
    stores=st.dictionaries(
        texts,
        st.builds(
            Common,
            annotations=st.dictionaries(st.uuids(), st.builds(Base, numbers, digests), max_size=3),
            settling=st.dictionaries(st.uuids(), numbers, max_size=2),
            data=stamps,
            sent=st.dictionaries(st.uuids(), digests, max_size=2),
            doubtful=st.dictionaries(st.uuids(), st.none() | st.builds(Base, numbers, digests), max_size=2),
        ),
        max_size=2,
    ),
    carried=digests,
)


@given(records)
def test_what_is_written_is_read(tmp_path_factory, record):
    known = Records(tmp_path_factory.mktemp("project"))
    known.write_image("7", record)
    assert known.image("7") == record
    assert known.lost == []


@given(common_records, st.none() | digests)
def test_what_both_sides_have_in_common_is_read_by_the_name_in_the_data_file(tmp_path_factory, record, generation):
    known = Records(tmp_path_factory.mktemp("project")).common
    assert known.read("7", generation) is None
    known.write("7", generation, record)
    assert known.read("7", generation) == record
    assert known.read("8", generation) is None


@pytest.mark.parametrize("name", ["../../x", "g", "", "a" * 31, "A" * 32])
def test_what_a_data_file_says_names_no_other_file(tmp_path, name):
    known = Records(tmp_path).common
    known.write("7", name, CommonRecord("s"))
    assert [path.name for path in tmp_path.rglob("*.json")] == ["first.json"]


def test_old_records_go_and_those_that_are_needed_stay(tmp_path):
    known = Records(tmp_path).common
    names = [f"{number:032x}" for number in range(11)]
    for number, name in enumerate(names):
        known.write("7", name, CommonRecord("s"))
        os.utime(tmp_path / f"wsisam-sync/synced/7/{name}.json", (number, number))
    known.prune("7", [names[0], names[1]])
    left = {path.stem for path in (tmp_path / "wsisam-sync/synced/7").iterdir()}
    assert left == {names[0], names[1], *names[5:]}
    known.prune("8", [None])


OLD = {
    "format": 1,
    "slide": ["slide", ["file:/s"], None],
    "generation": "0f" * 16,
    "writing": "1e" * 16,
    "stores": {
        "store": {
            "revision": 9,
            "data": [1, 2, "ab"],
            "done": True,
            "left_out": ["x"],
            "annotations": {str(uuid.UUID(int=1)): [3, "cd"]},
            "settling": {str(uuid.UUID(int=2)): 4},
        }
    },
}


def test_the_first_form_of_the_record_is_carried_over(tmp_path):
    (tmp_path / "wsisam-sync/images").mkdir(parents=True)
    (tmp_path / "wsisam-sync/images/7.json").write_text(json.dumps(OLD))
    known = Records(tmp_path)
    record = known.image("7")
    assert record.looks == {"store": Look(9, Stamp(1, 2, "ab"), done=True, left_out=("x",), count=1)}
    expected = Common({uuid.UUID(int=1): Base(3, "cd")}, {uuid.UUID(int=2): 4}, Stamp(1, 2, "ab"))
    for _ in range(2):
        for generation in ("0f" * 16, "1e" * 16):
            assert known.common.read("7", generation) == CommonRecord("slide", {"store": expected})
        assert known.common.read("7", None) is None
        # Also when the file is written anew, by a sync that found nothing to do.
        known.write_image("7", record)
    assert json.loads((tmp_path / "wsisam-sync/images/7.json").read_text())["format"] == 2


def test_what_the_script_kept_in_a_property_is_carried_over_once():
    one, two, three = (uuid.UUID(int=number) for number in (1, 2, 3))
    record = CommonRecord("slide", {"store": Common({one: Base(5, "a"), two: Base(2, "b")})})
    text = f"store\n{one} 4\n{two} 3\n{three} 7\nno line"
    record.with_property(text)
    known = {one: Base(5, "a"), two: Base(3, ""), three: Base(7, "")}
    assert record.stores["store"].annotations == known
    del record.stores["store"].annotations[three]
    record.with_property(text)
    assert three not in record.stores["store"].annotations
    record.with_property(f"another\n{one} 1")
    assert record.stores["another"].annotations == {one: Base(1, "")}


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
    known = Records(tmp_path).common
    one, two = uuid.uuid4(), uuid.uuid4()
    known.write("1", None, CommonRecord("s", {"s": Common({one: Base(1, "a"), two: Base(2, "b")})}))
    before = (tmp_path / "wsisam-sync/synced/1/first.json").stat()
    known.write("1", None, CommonRecord("s", {"s": Common({two: Base(2, "b"), one: Base(1, "a")})}))
    after = (tmp_path / "wsisam-sync/synced/1/first.json").stat()
    assert (before.st_mtime_ns, before.st_ino) == (after.st_mtime_ns, after.st_ino)


@pytest.mark.parametrize("damage", ["", "{", '{"format": 1}', '{"format": 1, "slide": 5}', "null", '{"format": "x"}'])
def test_a_damaged_record_is_as_good_as_none_and_is_named(tmp_path, damage):
    known = Records(tmp_path)
    known.write_image("1", ImageRecord(looks={"s": Look(3)}))
    known.common.write("1", None, CommonRecord("s"))
    known.write_project(known.project())
    for name in ("images/1.json", "project.json", "synced/1/first.json"):
        (tmp_path / "wsisam-sync" / name).write_text(damage)
    assert known.image("1") == ImageRecord()
    assert known.common.read("1", None) is None
    assert known.project().name == tmp_path.name
    assert sorted(known.lost) == ["1.json", "project.json"]


def test_a_record_of_a_newer_wsisam_is_refused(tmp_path):
    (tmp_path / "wsisam-sync").mkdir()
    (tmp_path / "wsisam-sync/project.json").write_text(json.dumps({"format": 99}))
    with pytest.raises(SyncError, match="newer version"):
        Records(tmp_path).project()
    known = Records(tmp_path).common
    known.write("1", None, CommonRecord("s"))
    (tmp_path / "wsisam-sync/synced/1/first.json").write_text(json.dumps({"format": 99}))
    with pytest.raises(ImageError, match="newer version"):
        known.read("1", None)


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
