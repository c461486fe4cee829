"""WsiSamEverything.groovy in a real QuPath, with and without a window: what is found becomes children, what is there stays."""

import re
import shutil

import pytest
import shapely

from support.server import iou
from wsisam_server.qupath import find_bundle

pytestmark = [pytest.mark.qupath, pytest.mark.timeout(900)]

SIZES = ("minSize=70", "maxSize=150")


@pytest.fixture
def everything(qupath, server, project):
    """Called: runs the installed script on the project; what it says."""
    script = next(one for one in find_bundle().scripts if one.name == "WsiSamEverything.groovy")

    def run(*arguments, target=server.target):
        return qupath.script(script, f"server={target}", *arguments, project=project, save=True)

    return run


def test_a_disc_is_found_in_its_box_and_again_by_the_recorded_step_nothing(
    everything, qupath, project, drawn, dump, tmp_path
):
    said = everything("which=class:Stroma", *SIZES, "className=Disc")
    assert "1 object proposed in 1 of 1 annotations" in said
    now, [step] = dump(project)
    assert {name: now[name] for name in "abc"} == drawn
    (found,) = (one for name, one in now.items() if name not in drawn)
    assert found["className"] == "Disc"
    assert iou(found["geometry"], "c") > 0.8
    assert shapely.covers(drawn["c"]["geometry"].buffer(0.05), found["geometry"])
    assert found["metadata"]["wsisam.model"] == "wsisam-lite"
    again = tmp_path / "again.groovy"
    again.write_text(step["script"])
    assert "0 objects proposed" in qupath.script(again, project=project, save=True)
    assert set(dump(project)[0]) == set(now)


def test_sizes_are_microns_where_only_qupath_knows_the_pixel_size(everything, qupath, project, drawn, dump, tmp_path):
    """The file has none. A disc 90 px wide is 45 microns there, on a server of any release."""
    (resize := tmp_path / "resize.groovy").write_text("setPixelSizeMicrons(0.5, 0.5)\n")
    qupath.script(resize, project=project, save=True)
    said = everything("which=class:Stroma", "minSize=35", "maxSize=75", "tolerance=0.5")
    assert "1 object proposed in 1 of 1 annotations." in said
    now, _ = dump(project)
    (found,) = (one for name, one in now.items() if name not in drawn)
    assert iou(found["geometry"], "c") > 0.8


def test_a_server_that_is_not_there_changes_nothing(everything, project, drawn, dump):
    with pytest.raises(AssertionError, match="No server answers"):
        everything("which=class:Stroma", *SIZES, target="127.0.0.1:1")
    assert dump(project) == (drawn, [])


@pytest.fixture(scope="module")
def seen(qupath, server, make_project, repository, tmp_path_factory):
    """What the drive through the window saw, on a project of two images."""
    shutil.copy(server.root / "discs.png", server.root / "again.png")
    project = make_project(server.root / "discs.png", server.root / "again.png")
    script = next(one for one in find_bundle().scripts if one.name == "WsiSamEverything.groovy")
    return qupath.drive(
        repository / "tests" / "in_qupath" / "drive_everything.groovy",
        tmp_path_factory.mktemp("window") / "seen.json",
        **{"drive.project": project / "project.qpproj", "drive.script": script, "drive.server": server.target},
    )


def test_a_window_shows_how_far_it_is(seen):
    assert seen["bar"]
    assert re.fullmatch(r"[1-9]\d* of \d+ windows, [1-9]\d* objects? \([1-9]\d*%\)", seen["progress"][-1])


def test_cancel_keeps_what_was_found(seen):
    assert seen["cancelled"]["note"].endswith("Cancelled before the end.")
    assert seen["cancelled"]["found"] == seen["cancelled"]["parents"] >= 1


def test_what_is_selected_is_looked_in_and_nothing_selected_is_said(seen):
    assert "proposed in 1 of 1 annotations" in seen["selected"]["note"]
    assert any(iou(shapely.from_wkt(one["wkt"]), "a") > 0.8 for one in seen["selected"]["found"])
    assert "Select one" in seen["nothing"]


def test_a_run_for_a_project_does_each_image_and_what_is_open_shows_it(seen):
    for found in seen["batch"]:
        assert any(iou(shapely.from_wkt(one["wkt"]), "c") > 0.8 for one in found)
    assert seen["shown"] == len(seen["batch"][0])


def test_nothing_is_left_running_and_no_error_in_the_log(seen):
    assert (seen["left"], seen["errors"]) == ([], [])
