"""The palette in a real QuPath: classes that follow, other fields, and annotations that are gone on with."""

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
    return qupath.drive(
        repository / "tests" / "in_qupath" / "drive_going_on.groovy",
        folder / "seen.json",
        **{"drive.image": server.root / "discs.png", "drive.script": script, "drive.server": server.target},
    )


def test_classes_follow_and_have_numbers(seen):
    assert "Gland" in seen["classes"]
    assert seen["chosen"] == "Tumor"


def test_labels_are_off_while_the_palette_is_open(seen):
    assert (seen["labelsBefore"], seen["labels"], seen["labelsAfter"]) == (True, False, True)


def test_larger_asks_in_double_the_field_and_undo_goes_back(seen):
    assert "score" in seen["larger"]
    [accepted] = seen["accepted"]
    assert iou(shapely.from_wkt(accepted["wkt"]), "a") > 0.9


def test_the_prompts_come_back_and_it_stays_the_same_annotation(seen):
    [before], [after], [undone] = seen["accepted"], seen["goneOn"], seen["undone"]
    assert (after["id"], after["name"], after["className"]) == (before["id"], before["name"], before["className"])
    assert len(json.loads(after["metadata"]["wsisam.prompts"])) == 2
    assert undone["metadata"] == before["metadata"]


def test_a_shape_drawn_by_hand_is_the_prompt(seen):
    [crude], [precise] = seen["crude"], seen["precise"]
    assert (precise["id"], precise["name"], precise["className"]) == (crude["id"], "by hand", "Stroma")
    assert "shape" in json.loads(precise["metadata"]["wsisam.prompts"])[0]
    before, after = (iou(shapely.from_wkt(one["wkt"]), "b") for one in (crude, precise))
    assert after > max(0.9, before)


def test_no_error_in_the_log(seen):
    assert seen["errors"] == []
