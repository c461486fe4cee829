"""A thousand files that each break one thing: no other error than ours, what is good is taken, every count adds up."""

import re

from support.damaged_files import made
from wsisam_server.annotations.formats import FormatError, reading
from wsisam_server.annotations.store import digest
from wsisam_server.cli.annotation_files import FileEntry
from wsisam_server.cli.storable import storable

FILES = 1000
SLIDE = "5e" * 32


def read(file):
    return reading.read(file.data, SLIDE, origin=lambda: (0, 0))


def test_what_is_good_is_taken_and_every_count_adds_up(capsys):
    whole, left_out, ignored = 0, 0, 0
    refused = []
    for number in range(FILES):
        file = made(number)
        try:
            found = read(file)
        except FormatError as error:
            refused.append((file.objects, str(error)))
            continue
        assert len(found.positions) == len(found.drafts)
        whole += 1
        left_out += found.left_out.total()
        ignored += found.ignored.total()
        if file.objects is not None:
            assert len(found.drafts) + found.left_out.total() == file.objects, number
        stored, lost = storable(list(map(FileEntry, found.drafts, found.positions)), mend=True)
        assert len(stored) + lost == len(found.drafts), number
        names = {entry.draft.content.name for entry in stored}
        assert file.good <= names, number
        for entry in stored:  # what is stored can be told from others
            assert len(digest(entry.draft.content)) == 32
    # Only bytes that are damaged make a file unreadable, and it is said in our words.
    assert all(objects is None and re.match(r"this is |it is |its ", text) for objects, text in refused)
    # The files do break something, and not all of it.
    assert whole > FILES * 0.8
    assert left_out > 50
    assert ignored > 50
    assert "Traceback" not in capsys.readouterr().err


def test_the_good_ones_are_as_they_would_be_alone():
    """Nothing of a broken one gets into its neighbours."""
    for number in range(0, FILES, 10):
        file = made(number)
        if file.objects is None:
            continue
        for draft in read(file).drafts:
            if draft.content.name in file.good:
                assert draft.content.path_class.name in {"Tumor", "G"}
                assert draft.content.shape.area == 50 * 40.5
