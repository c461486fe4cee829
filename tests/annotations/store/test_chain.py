"""A store that was changed afterwards, by hand or by a failing disk, is told by its check."""

import random
import shutil
import sqlite3

import pytest

from annotations.store.damage import answers
from annotations.store.examples import EVERYTHING, OTHER_SLIDE, SLIDE, draft, request
from wsisam_server.annotations.store import Draft, SlideRecord, StoreError, Target, open_store
from wsisam_server.annotations.store.upkeep import check
from wsisam_server.core.geometry import SlideSize

pytestmark = pytest.mark.slow

EDITS = {
    "author": "UPDATE revision SET author = 'eve' WHERE number = 2",
    "time": "UPDATE revision SET at = at + 1 WHERE number = 2",
    "kind": "UPDATE revision SET kind = 3 WHERE number = 2",
    "number": "UPDATE revision SET number = 99 WHERE number = 3",
    "what it follows": "UPDATE revision SET previous = NULL WHERE number = 4",
    "annotation": "UPDATE revision SET annotation_id = (SELECT annotation_id FROM revision WHERE number = 3)"
    " WHERE number = 2",
    "slide": "UPDATE revision SET slide = 2 WHERE number = 1",
    "bounds of a revision": "UPDATE revision SET x1 = x1 + 1 WHERE number = 1",
    "shape": "UPDATE revision SET shape = (SELECT shape FROM revision WHERE number = 3) WHERE number = 1",
    "class": "UPDATE revision SET class_name = 'Stroma' WHERE number = 1",
    "colour": "UPDATE revision SET rgb = 1 WHERE number = 1",
    "name": "UPDATE revision SET name = 'forged' WHERE number = 1",
    "project": "UPDATE revision SET project = 'Liver' WHERE number = 1",
    "lock": "UPDATE revision SET locked = 0 WHERE number = 1",
    "measurements": "UPDATE revision SET measurements = '{}' WHERE number = 1",
    "metadata": "UPDATE revision SET metadata = '{}' WHERE number = 1",
    "model": "UPDATE revision SET model = 'other' WHERE number = 1",
    "content's digest": "UPDATE revision SET digest = zeroblob(32) WHERE number = 1",
    "chain": "UPDATE revision SET chain = NULL WHERE number = 3",
    "creator": "UPDATE annotation SET creator = 'eve'",
    "created": "UPDATE annotation SET created = 0",
    "author as it is": "UPDATE annotation SET author = 'eve'",
    "deleted": "UPDATE annotation SET deleted = NOT deleted",
    "project as it is": "UPDATE annotation SET project = 'Liver'",
    "class as it is": "UPDATE annotation SET class_name = 'Stroma'",
    "bounds": "UPDATE annotation SET y0 = y0 - 1",
    "slide as it is": "UPDATE annotation SET slide = 3 - slide",
    "an annotation": "DELETE FROM annotation WHERE revision = 3",
    "slide's id": "UPDATE slide SET slide_id = 'other' WHERE number = 1",
    "size": "UPDATE slide SET width = 7 WHERE number = 1",
    "place": "UPDATE slide_uri SET uri = 'file:///b.svs'",
    "what a place is found by": "UPDATE slide_uri SET digest = zeroblob(32)",
    "slide of a place": "UPDATE slide_uri SET slide = 3 - slide",
    "all places": "DELETE FROM slide_uri",
    "an answer": "UPDATE request SET answer = '[[9,0]]'",
    "who asked": "UPDATE request SET fingerprint = zeroblob(32)",
    "identity": "UPDATE store SET identity = '00000000-0000-0000-0000-000000000000'",
    "head": "UPDATE store SET revision = 9",
}


@pytest.fixture(scope="module")
def filled(tmp_path_factory):
    """A store of a few revisions, and the repeatable change that made the first."""
    where, request_id = tmp_path_factory.mktemp("chain") / "a.sqlite", request()
    new = Draft(draft().id, EVERYTHING)
    first, other = [new, draft(name="other")], draft(slide_id=OTHER_SLIDE)
    slides = [SlideRecord(SLIDE, ("file:///a.svs",), SlideSize(1000, 800))]
    with open_store(str(where)) as store:
        store.save(first, author="anna", request_id=request_id, slides=slides)
        store.save([other], author="ben", request_id=request())
        store.delete([Target(new.id, 1)], author="ben", request_id=request())
        store.restore([Target(new.id, 4)], author="anna", request_id=request())
    return where, request_id, first


@pytest.fixture
def copied(filled, tmp_path):
    return shutil.copy(filled[0], tmp_path / "copy.sqlite")


@pytest.mark.parametrize("what", EDITS)
def test_every_column_that_is_edited_by_hand_is_seen(copied, what):
    assert check(str(copied)).problems == ()
    connection = sqlite3.connect(copied)
    with connection:
        assert connection.execute(EDITS[what]).rowcount
    connection.close()
    assert check(str(copied)).problems != ()


def test_a_history_that_was_made_anew_is_seen_by_who_kept_a_digest(copied):
    said = check(str(copied))
    number, digest = said.newest.split(":")
    kept = (int(number), bytes.fromhex(digest))
    assert check(str(copied), kept=kept).problems == ()
    connection = sqlite3.connect(copied)
    with connection:
        connection.execute("UPDATE annotation SET revision = 4, deleted = 1, author = 'ben' WHERE revision = 5")
        connection.execute("DELETE FROM revision WHERE number = 5")
        connection.execute("DELETE FROM request WHERE answer = '[[5,0]]'")
        connection.execute("UPDATE store SET revision = 4")
    connection.close()
    # The last revision was taken away, so that all fits, and another made in its place.
    assert check(str(copied)).problems == ()
    assert "is not the one" in " ".join(check(str(copied), kept=kept).problems)
    with open_store(str(copied)) as store:
        store.save([draft()], author="a", request_id=request())
    assert check(str(copied)).problems == ()
    assert "is not the one" in " ".join(check(str(copied), kept=kept).problems)


def flipped(path, at, bit):
    with path.open("r+b") as file:
        file.seek(at)
        (byte,) = file.read(1)
        file.seek(at)
        file.write(bytes([byte ^ (1 << bit)]))


def seen(path):
    try:
        return bool(check(str(path)).problems)
    except StoreError:
        return True


def unseen(filled, folder, count, seed):
    """Flips of single bits after which a store answers otherwise, though its check finds nothing."""
    where, request_id, drafts = filled
    path, shots = folder / "flipped.sqlite", random.Random(seed)
    shutil.copy(where, path)
    right, size, wrong = answers(path, request_id, drafts), where.stat().st_size, []
    for _ in range(count):
        shutil.copy(where, path)
        at, bit = shots.randrange(size), shots.randrange(8)
        flipped(path, at, bit)
        if not seen(path) and answers(path, request_id, drafts) != right:
            wrong.append((at, bit))
    return wrong


def test_no_flipped_bit_changes_an_answer_unseen(filled, tmp_path):
    assert unseen(filled, tmp_path, 40, 1) == []
