"""Servers that are killed while annotators save, a few times; benchmarks/server_kills.py does it 200 times."""

import pytest
from PIL import Image

from support.server import picture
from support.server_kills import Trial
from support.server_process import Starter


@pytest.fixture(scope="module")
def starter(tmp_path_factory):
    with Starter(tmp_path_factory.mktemp("servers") / "log") as starter:
        yield starter


@pytest.mark.parametrize(("kind", "kills"), [("sqlite", 4), ("postgres", 2)])
def test_what_was_acknowledged_is_there_once_and_whole(request, tmp_path, starter, kind, kills):
    where = request.getfixturevalue("postgres")() if kind == "postgres" else str(tmp_path / "annotations.sqlite")
    Image.fromarray(picture()).save(tmp_path / "discs.png")
    trial = Trial(starter, tmp_path, where)
    trial.run(kills)
    assert sum(annotator.acknowledged for annotator in trial.annotators) > kills
