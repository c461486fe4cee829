"""The jar as an extension of a real QuPath: the menu runs the scripts, without the script editor."""

import pytest
import shapely

from support.server import iou

pytestmark = [pytest.mark.qupath, pytest.mark.timeout(900)]

ITEMS = ["Click tool", "Outline annotations anew", "All objects...", "Review", "Sync project", "Server...", "Help"]


@pytest.fixture(scope="module")
def drive(qupath, server, repository, tmp_path_factory):
    """Called: what a drive through a new window saw."""

    def run():
        folder = tmp_path_factory.mktemp("window")
        return qupath.drive(
            repository / "tests" / "in_qupath" / "drive_extension.groovy",
            folder / "seen.json",
            **{
                "drive.image": server.root / "discs.png",
                "drive.server": server.target,
                "drive.user": qupath.preferences.parent / "user",
            },
        )

    return run


@pytest.fixture(scope="module")
def seen(drive):
    return drive()


def test_the_menu_is_there(seen):
    assert [item for item in seen["items"] if item in ITEMS] == ITEMS


def test_the_click_tool_opens_without_the_script_editor_and_works(seen):
    assert seen["editors"] == []
    assert seen["tool"] == "WSI-SAM"


def test_the_server_window_says_what_the_server_says_and_the_palette_follows(seen):
    assert seen["server"].startswith("Connected. The server is of release ")
    assert "127.0.0.1:1" in seen["unreachable"] or "Asking" in seen["unreachable"]


def test_all_objects_asks_for_sizes_and_finds_them(seen):
    found = [shapely.from_wkt(one["wkt"]) for one in seen["all"]]
    assert max(iou(shape, "a") for shape in found) > 0.8


def test_a_script_that_the_user_changed_wins_and_the_menu_says_so(seen):
    assert seen["itemsWithOwn"][0] == "Click tool (your own script)"
    assert "my own script: true" in seen["notes"]
    assert seen["itemsAfter"][0] == "Click tool"


def test_compiled_classes_are_kept(seen):
    assert len(seen["classes"]) == 1


def test_no_error_in_the_log(seen):
    assert seen["errors"] == []
