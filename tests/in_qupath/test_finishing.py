"""The palette's switches for finishing, in the window of a real QuPath: seen before accepting, undone by switching off."""

import pytest
import shapely

from support.server import iou
from wsisam_server.qupath import find_bundle

pytestmark = [pytest.mark.qupath, pytest.mark.timeout(900)]

NEIGHBOUR = shapely.box(220, 100, 340, 300)
REGION = shapely.box(0, 0, 620, 690)
ROUNDING = 1.0
"""Square pixels: QuPath keeps vertices to a hundredth of a pixel."""


@pytest.fixture(scope="module")
def seen(qupath, server, repository, tmp_path_factory):
    """What the drive through the window saw."""
    folder = tmp_path_factory.mktemp("window")
    script = next(one for one in find_bundle().scripts if one.name == "WsiSamClicks.groovy")
    return qupath.drive(
        repository / "tests" / "in_qupath" / "drive_finishing.groovy",
        folder / "seen.json",
        **{"drive.image": server.root / "discs.png", "drive.script": script, "drive.server": server.target},
    )


def test_it_does_not_overlap_with_its_neighbour(seen):
    [cut] = seen["cut"]
    outline = shapely.from_wkt(cut["wkt"])
    assert outline.is_valid
    assert outline.intersection(NEIGHBOUR).area < ROUNDING
    assert 0.4 < iou(outline, "a") < 0.9
    assert cut["metadata"]["wsisam.finished"] == "cut"


def test_switched_off_it_is_as_it_was(seen):
    assert "cut" not in seen["before"][0]
    assert seen["before"][1] == "as the model draws it"
    assert seen["on"] == "no overlap"


def test_it_stays_inside_the_annotation_around_it_and_becomes_its_child(seen):
    [inside] = seen["inside"]
    outline = shapely.from_wkt(inside["wkt"])
    assert outline.difference(REGION).area < ROUNDING
    assert iou(outline, "b") > 0.4
    assert seen["parent"] == "region"


def test_the_step_repeats_what_the_server_finished(seen):
    assert "'smoothing': 5.0" in seen["step"]
    assert seen["text"] == "smooth, no overlap, inside"


def test_no_error_in_the_log(seen):
    assert seen["errors"] == []
