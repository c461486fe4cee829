"""The border of an object larger than a window, refined in a real QuPath: in the palette, and without a window."""

import json

import numpy as np
import pytest
import shapely
from PIL import Image

from support.server import iou
from wsisam_server.qupath import find_bundle

pytestmark = [pytest.mark.qupath, pytest.mark.timeout(900)]

SIDE, RADIUS = 2048, 700
"""A slide with one disc in its middle: eight times as wide as what the model sees at the scale of the slide."""


@pytest.fixture(scope="module")
def seen(qupath, server, repository, tmp_path_factory):
    """What the drive through the window saw."""
    random = np.random.default_rng(0)
    y, x = np.mgrid[:SIDE, :SIDE] + 0.5
    pixels = np.full((SIDE, SIDE, 3), (235, 205, 220), np.float64)
    pixels[np.hypot(x - SIDE / 2, y - SIDE / 2) < RADIUS] = (120, 60, 130)
    image = server.root / "large.png"
    Image.fromarray((pixels + random.normal(0, 6, pixels.shape)).clip(0, 255).astype(np.uint8)).save(image)
    script = next(one for one in find_bundle().scripts if one.name == "WsiSamClicks.groovy")
    return qupath.drive(
        repository / "tests" / "in_qupath" / "drive_border.groovy",
        tmp_path_factory.mktemp("border") / "seen.json",
        **{"drive.image": image, "drive.script": script, "drive.server": server.target},
    )


def test_it_is_offered_where_it_can_show_more(seen):
    assert (seen["nothing"], seen["offered"], seen["far"]) == (False, True, False)


def test_it_says_how_far_it_is_and_escape_stops_it(seen):
    assert "(Esc stops it)" in seen["refining"]
    assert "border at" not in seen["stopped"]["status"]
    assert (seen["stopped"]["offered"], seen["stopped"]["annotations"]) == (True, 0)


def test_a_finer_border_names_its_scales_and_is_kept(seen):
    assert "windows" in seen["refined"]["status"]
    assert not seen["refined"]["offered"]
    [accepted] = seen["accepted"]
    outline = shapely.from_wkt(accepted["wkt"])
    disc = shapely.Point(SIDE / 2, SIDE / 2).buffer(RADIUS, quad_segs=256)
    assert outline.intersection(disc).area / outline.union(disc).area > 0.97
    (coarse, _), (fine, windows) = json.loads(accepted["metadata"]["wsisam.levels"])
    assert fine < coarse
    assert windows > 4
    assert json.loads(accepted["metadata"]["wsisam.prompts"])[-1]["refine"]["downsample"] >= 1


def test_the_recorded_step_refines_it_again(seen):
    [accepted], [repeated] = seen["accepted"], seen["repeated"]
    assert repeated["metadata"] == accepted["metadata"]
    again, before = (shapely.from_wkt(one["wkt"]) for one in (repeated, accepted))
    assert again.symmetric_difference(before).area < 0.001 * before.area


def test_no_error_in_the_log(seen):
    assert seen["errors"] == []


def test_annotations_are_refined_without_a_window(qupath, server, project, dump):
    script = next(one for one in find_bundle().scripts if one.name == "WsiSamAnnotate.groovy")
    arguments = (f"server={server.target}", "which=class:Stroma", "border=0.25")
    said = qupath.script(script, *arguments, project=project, save=True)
    now, [step] = dump(project)
    assert iou(now["c"]["geometry"], "c") > 0.9
    (field, *scales) = json.loads(now["c"]["metadata"]["wsisam.levels"])
    assert field[1] == 1
    assert [downsample for downsample, _ in scales] == pytest.approx([field[0] / 2, field[0] / 4])
    assert f"1 with a finer border, in {sum(windows for _, windows in scales)} windows." in said
    assert "border" in step["script"]
    # Outlined anew without: nothing is left of what was said of the finer border.
    qupath.script(script, *arguments[:2], project=project, save=True)
    again, _ = dump(project)
    assert "wsisam.levels" not in again["c"]["metadata"]
    assert again["c"]["metadata"]["wsisam.weights"] == now["c"]["metadata"]["wsisam.weights"]
