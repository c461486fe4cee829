"""Files that cannot be written are found out before the work."""

import pytest
from click.testing import CliRunner

from wsisam_server.cli import main

CALIBRATE = ["calibrate", "{here}", "--out"]
COMMANDS = [
    ["segment", "{here}", "--box", "0,0,9,9", "--geojson"],
    ["segment", "{here}", "--box", "0,0,9,9", "--overlay"],
    ["evaluate", "{here}", "--json"],
    CALIBRATE,
    ["replay", "--json"],
    ["sync", "{here}", "--json"],
]


@pytest.mark.parametrize("words", COMMANDS, ids=lambda words: f"{words[0]} {words[-1]}")
def test_a_folder_that_is_not_there_is_told_before_the_work(tmp_path, words):
    here = tmp_path / "there.png"
    here.write_bytes(b"")
    out = tmp_path / "missing" / "out.x"
    done = CliRunner().invoke(main, [*(word.format(here=here) for word in words), str(out)])
    assert (done.exit_code, done.exception.__class__) == (2, SystemExit), done.output
    assert "there is no folder" in " ".join(done.output.split())
