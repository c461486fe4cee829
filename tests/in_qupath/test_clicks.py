"""WsiSamClicks.groovy in the window of a real QuPath, with mouse and keys."""

import json
import re

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
    return qupath.drive(
        repository / "tests" / "in_qupath" / "drive_clicks.groovy",
        folder / "seen.json",
        **{"drive.image": server.root / "discs.png", "drive.script": script, "drive.server": server.target},
    )


def test_a_box_shows_an_outline_and_enter_makes_it_an_annotation(seen):
    [accepted] = seen["accepted"]
    assert iou(shapely.from_wkt(accepted["wkt"]), "a") > 0.9
    assert accepted["name"].endswith(" 1")
    assert accepted["metadata"]["wsisam.model"] == "wsisam-lite"
    assert seen["beforeAccept"] == 0


def test_clicks_refine_and_backspace_takes_them_back(seen):
    assert seen["afterClick"].startswith("box, 1 positive")
    assert seen["afterAltClick"].startswith("box, 1 positive, 1 negative")
    assert seen["afterUndo"].startswith("box \N{EN DASH} score")


def test_the_step_holds_plain_strings_only(seen):
    assert seen["stepTypes"] == ["java.lang.String"]
    assert "Steps.outline(getCurrentImageData(), [" in seen["stepScript"]


def test_qupaths_own_undo_and_redo_know_it(seen):
    assert (seen["afterQuPathUndo"], seen["afterQuPathRedo"]) == (0, 1)


def test_the_step_repeats_it_and_does_not_double_it(seen):
    assert seen["afterStepAgain"] == 1
    [repeated] = seen["repeated"]
    assert repeated["id"] == seen["accepted"][0]["id"]
    assert repeated["wkt"] == seen["accepted"][0]["wkt"]


def test_j_and_k_step_through_what_a_click_may_mean_and_enter_keeps_what_is_seen(seen):
    count = re.search(r"1 of (\d) \(J smaller, K larger\)", seen["smallest"])[1]
    assert f"2 of {count}" in seen["larger"]
    kept = seen["candidate"]
    said = json.loads(kept["metadata"]["wsisam.prompts"])
    score = float(kept["metadata"]["wsisam.score"])
    assert f"score {score:.2f}" in seen["larger"]
    assert len(said) == 1
    assert said[0].get("candidate", 0) in range(4)
    assert shapely.from_wkt(kept["wkt"]).intersects(shapely.Point(seen["ambiguous"]))


def test_escape_leaves_nothing(seen):
    assert seen["afterEscape"] == {"annotations": 1, "draws": False}


def test_x_goes_through_the_classes(seen):
    assert len(set(seen["classes"])) == 3
    assert seen["accepted"][0]["className"] == seen["classes"][-1]


def test_space_drag_moves_the_image_and_draws_nothing(seen):
    assert seen["spaceDrag"] == {"draws": False}


def test_another_tool_works_as_if_we_were_not_there(seen):
    assert seen["otherTool"] == {"draws": False}


def test_closing_the_palette_removes_everything(seen):
    assert seen["open"] == {"overlays": 1, "tool": "WSI-SAM"}
    assert seen["closed"] == {"overlays": 0, "tool": "Move", "threads": [], "annotations": 0}


def test_no_error_in_the_log(seen):
    assert seen["errors"] == []
