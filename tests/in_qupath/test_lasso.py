"""A rough loop about an object, and the wheel that steps through sizes, in the window of a real QuPath."""

import pytest
import shapely

from support.server import iou
from wsisam_server.qupath import find_bundle

pytestmark = [pytest.mark.qupath, pytest.mark.timeout(900)]

QUPATHS_OWN = {"Q", "Shortcut+Z", "Shortcut+Shift+Z"}  # our menu's key, and undo and redo, which mean the same there


@pytest.fixture(scope="module")
def seen(qupath, server, repository, tmp_path_factory):
    """What the drive through the window saw."""
    folder = tmp_path_factory.mktemp("window")
    script = next(one for one in find_bundle().scripts if one.name == "WsiSamClicks.groovy")
    return qupath.drive(
        repository / "tests" / "in_qupath" / "drive_lasso.groovy",
        folder / "seen.json",
        **{"drive.image": server.root / "discs.png", "drive.script": script, "drive.server": server.target},
    )


def test_qupath_has_none_of_our_keys(seen):
    assert {"Q", "J", "K", "Enter", "Shift+X"} <= set(seen["keys"])
    assert {key: action for key, action in seen["keys"].items() if key not in QUPATHS_OWN and action != "nobody"} == {}
    assert "Shift" not in seen["keys"]
    assert "Alt" not in seen["keys"]


def test_alt_has_no_meaning_of_its_own_for_qupaths_wheel(seen):
    alone = seen["alone"]
    assert alone["plain"]["zoom"] != 1
    assert alone["alt"] == alone["plain"]
    assert alone["control"]["opacity"]


def test_a_loop_gives_the_precise_outline_and_qupath_does_nothing_with_it(seen):
    loop = shapely.Polygon(seen["afterLoop"]["loop"])
    [accepted] = seen["accepted"]
    precise = iou(shapely.from_wkt(accepted["wkt"]), "b")
    assert precise > iou(loop, "b") + 0.1
    assert (seen["afterLoop"]["annotations"], seen["afterLoop"]["moved"]) == (0, False)
    assert '"shape"' in accepted["metadata"]["wsisam.prompts"]


def test_clicks_go_on_with_it_and_undo_takes_it_back(seen):
    assert seen["afterClick"].startswith("shape, 1 positive")
    assert seen["undone"] == 1


def test_a_line_is_no_loop(seen):
    assert seen["afterLine"]


def test_the_wheel_with_alt_does_as_j_and_k(seen):
    assert seen["byWheel"] == seen["byKeys"]
    assert seen["byWheelWithGestures"] == seen["byKeys"][0]


def test_the_wheel_with_alt_moves_and_zooms_nothing_and_leaves_the_keyboard(seen):
    assert seen["wheelMoved"] is False
    assert seen["focus"] is True
    assert seen["candidate"]["metadata"]["wsisam.prompts"]


def test_without_a_draft_or_without_alt_the_wheel_is_qupaths(seen):
    zooms = pytest.approx(seen["alone"]["plain"]["zoom"], rel=0.01)
    assert seen["stillZooms"]["zoom"] == zooms
    assert seen["nothingDrawn"]["zoom"] == zooms
    assert seen["closed"]["zoom"] == zooms


def test_no_error_in_the_log(seen):
    assert seen["errors"] == []
