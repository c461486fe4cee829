import dataclasses
import os
import time

import pytest

from support.encoders import CONDITIONS
from wsisam_server.inference.encoders import EncoderError, EncoderFolder
from wsisam_server.inference.encoders.folder import RETRY_SECONDS, UNUSED_SECONDS


def test_has_nothing_at_first(folder):
    assert folder.find(CONDITIONS) is None
    assert folder.all() == []


def test_finds_what_was_published(folder, publish):
    finding = publish()
    assert folder.find(CONDITIONS) == finding
    assert folder.all() == [finding]
    assert folder.compiled(finding, [256, 112]) == {256: b"whole", 112: b"middle"}


@pytest.mark.parametrize("damage", [lambda file: file.write_bytes(b"whale"), lambda file: file.unlink()])
def test_a_damaged_file_is_told_and_all_of_its_finding_removed(folder, publish, damage):
    finding = publish()
    damage(folder.path / CONDITIONS.key / "256.compiled")
    with pytest.raises(EncoderError, match=r"damaged|cannot be read"):
        folder.compiled(finding, [256])
    assert folder.find(CONDITIONS) is None


def test_a_damaged_finding_is_none(folder, publish):
    publish()
    (folder.path / CONDITIONS.key / "finding.json").write_text("{")
    assert folder.find(CONDITIONS) is None
    assert folder.all() == []


def test_a_finding_under_another_key_does_not_count(folder, publish):
    publish()
    other = dataclasses.replace(CONDITIONS, threads=3)
    (folder.path / CONDITIONS.key).rename(folder.path / other.key)
    assert folder.find(other) is None


def test_what_failed_is_tried_again_after_a_day(folder, publish):
    publish(problem="no memory", measured=time.time() - RETRY_SECONDS / 2)
    assert folder.find(CONDITIONS).problem == "no memory"
    publish(problem="no memory", measured=time.time() - RETRY_SECONDS - 1)
    assert folder.find(CONDITIONS) is None


def test_notes_outlive_the_process(folder, publish):
    finding = publish()
    noted = folder.note_checked(finding, 256)
    assert noted.checked == (256,)
    assert folder.find(CONDITIONS) == noted
    folder.note_problem(noted, "it differs")
    assert folder.find(CONDITIONS).problem == "it differs"
    assert folder.find(CONDITIONS).chosen(forced=True) == []


def test_what_nobody_used_for_long_goes(folder, publish):
    publish()
    old = time.time() - UNUSED_SECONDS - 1
    (folder.path / "old").mkdir()
    os.utime(folder.path / "old", (old, old))
    publish()
    assert sorted(path.name for path in folder.path.iterdir()) == [CONDITIONS.key]


def test_an_abandoned_preparation_leaves_nothing(folder):
    with pytest.raises(KeyError), folder.staging() as place:
        (place / "256.compiled").write_bytes(b"half")
        raise KeyError
    assert list(folder.path.iterdir()) == []


def test_a_folder_that_cannot_be_written_is_told(tmp_path, make_finding):
    # Below a file nothing can be made, not even by root.
    (tmp_path / "file").write_text("")
    folder = EncoderFolder(tmp_path / "file" / "encoders")
    with pytest.raises(EncoderError, match="cannot be written"), folder.staging():
        pass
    with pytest.raises(EncoderError, match="cannot be written"), folder.lock(CONDITIONS, 1):
        pass
    # Notes are best effort.
    assert folder.note_checked(make_finding(), 256).checked == (256,)


def test_one_process_compiles_the_others_wait(folder):
    with folder.lock(CONDITIONS, 1), pytest.raises(EncoderError, match="another process"), folder.lock(CONDITIONS, 0.1):
        pass
