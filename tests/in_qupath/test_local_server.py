"""A server that QuPath itself starts on this computer: without a terminal, and found again after a crash."""

import json
import os
import signal
import sys

import pytest
import shapely
from PIL import Image

from support.qupath_program import qupath_or_skip
from support.server import iou, picture
from support.waiting import until
from wsisam_server.qupath import find_bundle, install

pytestmark = [pytest.mark.qupath, pytest.mark.timeout(1800)]

MOST_ACTIONS = 10


@pytest.fixture(scope="module")
def slide(tmp_path_factory):
    folder = tmp_path_factory.mktemp("slides")
    Image.fromarray(picture()).save(folder / "discs.png")
    return folder / "discs.png"


@pytest.fixture(scope="module")
def own(tmp_path_factory):
    """A QuPath of its own, in which `wsisam qupath install` has noted this Python."""
    program = qupath_or_skip(tmp_path_factory.mktemp("qupath"))
    install(find_bundle(), user_directory(program), sys.executable)
    return program


@pytest.fixture(scope="module")
def record(own):
    """Where the server is noted; what is left of it ends with the tests."""
    file = user_directory(own) / "wsisam" / "local" / "server.json"
    yield file
    if file.exists():
        pid = json.loads(file.read_text(encoding="utf-8"))["server"]["pid"]
        if is_alive(pid):
            os.kill(pid, signal.SIGTERM)


@pytest.fixture(scope="module")
def seen(own, slide, record, repository, tmp_path_factory):
    """What the drive saw that starts a server, and then crashes."""
    folder = tmp_path_factory.mktemp("window")
    script = repository / "tests" / "in_qupath" / "drive_local_server.groovy"
    return own.drive(script, folder / "seen.json", **{"drive.image": slide})


@pytest.fixture(scope="module")
def left_behind(seen, record):
    """The process of the server, after the crash."""
    pid = json.loads(record.read_text(encoding="utf-8"))["server"]["pid"]
    assert is_alive(pid)
    return pid


def user_directory(program):
    return program.preferences.parent / "user"


def is_alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_the_first_outline_takes_few_actions_and_no_terminal(seen):
    [accepted] = seen["accepted"]
    assert iou(shapely.from_wkt(accepted["wkt"]), "a") > 0.9
    assert seen["actions"] <= MOST_ACTIONS


def test_the_slides_folder_and_the_stages_are_said(seen, slide):
    assert seen["folders"] == str(slide.parent)
    assert seen["stages"][-1] == "Loading the model"
    assert not seen["offered"], "once a server answers"


def test_no_error_in_the_log(seen):
    assert seen["errors"] == []


def test_the_server_that_a_crash_left_behind_is_used_and_ends_with_qupath(
    own, slide, record, left_behind, repository, tmp_path
):
    script = repository / "tests" / "in_qupath" / "drive_local_again.groovy"
    properties = {"drive.image": slide, "drive.record": record, "drive.closed": "true"}
    seen = own.drive(script, tmp_path / "seen.json", **properties)
    assert json.loads(seen["record"])["server"]["pid"] == left_behind
    assert seen["errors"] == []
    until(lambda: not is_alive(left_behind), 120)
    assert not record.exists()


def test_without_an_installation_it_is_said_how_to_get_one(slide, repository, tmp_path):
    program = qupath_or_skip(tmp_path)
    script = repository / "tests" / "in_qupath" / "drive_local_none.groovy"
    seen = program.drive(script, tmp_path / "seen.json", **{"drive.image": slide})
    assert any("wsisam qupath install" in text for text in seen["said"])
    assert not seen["start"]
    assert not (user_directory(program) / "wsisam").exists()
