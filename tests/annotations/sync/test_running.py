"""A QuPath that has an image open: what is seen of it, and what a sync then does."""

import contextlib
import subprocess
import sys

import pytest
import shapely

from wsisam_server.annotations.sync.report import Outcome
from wsisam_server.annotations.sync.running import running

SQUARE = shapely.box(10, 10, 60, 50)

HOLDING = "import sys; held = open(sys.argv[-1], 'rb'); print('held', flush=True); sys.stdin.read()"


@contextlib.contextmanager
def program(path, main_class="qupath.QuPath"):
    """A process that looks like QuPath's Java, and has a file open until it is left."""
    command = [sys.executable, "-c", HOLDING, main_class, str(path)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        assert process.stdout.readline() == b"held\n"
        yield process.pid
    finally:
        process.communicate()


def test_a_qupath_is_seen_with_its_files(tmp_path):
    path = tmp_path / "slide.svs"
    path.write_bytes(b"")
    with program(path) as pid:
        (found,) = [qupath for qupath in running() if qupath.pid == pid]
        assert found.shows([tmp_path / "other.svs", path])
        assert not found.shows([tmp_path / "other.svs"])
    assert pid not in {qupath.pid for qupath in running()}


def test_other_programs_are_not_taken_for_qupath(tmp_path):
    path = tmp_path / "slide.svs"
    path.write_bytes(b"")
    with program(path, "org.other.Viewer") as pid:
        assert pid not in {qupath.pid for qupath in running()}


@pytest.mark.parametrize("held", ["slide", "data file"])
def test_an_image_that_qupath_shows_is_not_written_and_the_others_are(world, held):
    one, two = world.save(SQUARE), world.save(SQUARE, image="2")
    drawn = world.draw(SQUARE)
    before = world.files()["data/1/data.qpdata"]
    path = world.slides[0] if held == "slide" else world.folder / "data/1/data.qpdata"
    with program(path) as pid:
        report = world.sync()
        assert [image.outcome for image in report.images] == [Outcome.FAILED, Outcome.SYNCED]
        assert f"process {pid}" in report.images[0].failures[0]
        assert "--even-if-open" in report.images[0].failures[0]
        assert any("QuPath is running" in note for note in report.notes)
        assert world.files()["data/1/data.qpdata"] == before
        assert world.shown("2").keys() == {two}
        assert one not in world.shown()
    assert world.sync().status == 0
    assert world.shown().keys() == world.stored().keys() - {two} == {one, drawn}


def test_what_qupath_shows_is_read_all_the_same(world):
    """Nothing is written in the project, so nothing can be overwritten."""
    drawn = world.draw(SQUARE)
    with program(world.slides[0]):
        assert world.sync().status == 0
    assert world.stored().keys() == {drawn}


def test_who_knows_better_may_write(world):
    one = world.save(SQUARE)
    with program(world.slides[0]):
        report = world.sync(even_if_open=True)
        assert report.status == 0
    assert world.shown().keys() == {one}
