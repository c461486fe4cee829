"""WsiSamClicks.groovy in the window of a real QuPath, with mouse and keys."""

import json

import pytest
import shapely

from support.server import iou
from wsisam_server.qupath import find_bundle

pytestmark = [pytest.mark.qupath, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def seen(qupath, server, repository, tmp_path_factory):
    """What the drive through the window saw."""
    folder = tmp_path_factory.mktemp("window")
    script = next(one for one in find_bundle().scripts if one.name == "WsiSamClicks.groovy")
    text = qupath.drive(
        repository / "tests" / "in_qupath" / "drive_clicks.groovy",
        folder / "seen.json",
        **{
            "drive.result": folder / "seen.json",
            "drive.image": server.root / "discs.png",
            "drive.script": script,
            "drive.server": server.target,
        },
    )
    found = json.loads(text)
    assert "mistake" not in found, found
    return found


def test_a_box_shows_an_outline_and_enter_makes_it_an_annotation(seen):
    [accepted] = seen["accepted"]
    assert iou(shapely.from_wkt(accepted["wkt"]), "a") > 0.9
    assert accepted["name"].endswith(" 1")
    assert accepted["metadata"]["wsisam.model"] == "wsisam-lite"
    assert seen["beforeAccept"] == 0


def test_backspace_takes_the_last_click_back(seen):
    assert seen["afterClick"].startswith("box, 1 positive")
    assert seen["afterUndo"].startswith("box \N{EN DASH} score")


def test_the_step_holds_plain_strings_only(seen):
    assert seen["stepTypes"] == ["java.lang.String"]
    assert "Steps.outline(getCurrentImageData(), object)" in seen["stepScript"]


def test_qupaths_own_undo_and_redo_know_it(seen):
    assert (seen["afterQuPathUndo"], seen["afterQuPathRedo"]) == (0, 1)


def test_the_step_repeats_it_and_does_not_double_it(seen):
    assert seen["afterStepAgain"] == 1
    [repeated] = seen["repeated"]
    assert repeated["id"] == seen["accepted"][0]["id"]
    assert repeated["wkt"] == seen["accepted"][0]["wkt"]


def test_escape_leaves_nothing(seen):
    assert seen["afterEscape"] == 1


def test_closing_the_palette_removes_everything(seen):
    assert seen["open"] == {"overlays": 1, "tool": "WSI-SAM"}
    assert seen["closed"] == {"overlays": 0, "tool": "Move", "threads": [], "clickAdds": 0}


def test_no_error_in_the_log(seen):
    assert seen["errors"] == []
