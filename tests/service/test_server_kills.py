"""Servers that are killed while annotators save, a few times; benchmarks/server_kills.py does it 200 times."""

from support.server import write_picture
from support.server_kills import EARLY, Trial
from support.server_process import Starter


def test_what_was_acknowledged_is_there_once_and_whole(tmp_path):
    write_picture(tmp_path / "discs.png")
    with Starter(tmp_path / "log") as starter:
        trial = Trial(starter, tmp_path, str(tmp_path / "annotations.sqlite"))
        trial.run(EARLY)
    assert sum(annotator.acknowledged for annotator in trial.annotators) > EARLY
