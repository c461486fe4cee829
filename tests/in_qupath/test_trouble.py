"""WsiSamClicks.groovy when answers are late, images are left, and servers refuse or are away, in the window of a real QuPath."""

import shutil

import pytest
import shapely

from support.server import iou, start
from support.waiting import until
from wsisam_model import WsiSam
from wsisam_server.qupath import find_bundle
from wsisam_server.service.identity import Role, TokenFile

pytestmark = [pytest.mark.qupath, pytest.mark.timeout(900)]

QUPATHS_ROUNDING = 0.02
"""Pixels; it keeps some vertices to a hundredth of a pixel only."""


class HeldModel(WsiSam):
    """Answers no prompt while the file `gate` is there."""

    def decode_many(self, *given, **wishes):
        until(lambda: not self.gate.exists(), 600, pause=0.02)
        return super().decode_many(*given, **wishes)


@pytest.fixture(scope="module")
def lab(qupath, server, tmp_path_factory):
    """Two slides, the gate, an open server, and one that wants a token of a file."""
    root = tmp_path_factory.mktemp("lab")
    slides = root / "slides"
    slides.mkdir()
    for name in ("first.png", "second.png"):
        shutil.copy(server.root / "discs.png", slides / name)
    tokens = TokenFile(root / "tokens.json")
    (root / "anna.token").write_text(tokens.create("anna", Role.ANNOTATOR, frozenset(), None)[1])
    model = HeldModel.from_name("wsisam-lite")
    model.gate = root / "gate"
    free, stop_free = start(model, slides)
    refusing, stop_refusing = start(model, slides, tokens=tokens.path, require_tokens=True)
    yield {
        "drive.project": root / "project",
        "drive.first": slides / "first.png",
        "drive.second": slides / "second.png",
        "drive.gate": model.gate,
        "drive.server": free.target,
        "drive.refusing": refusing.target,
        "drive.token": (root / "anna.token").as_posix(),
    }
    model.gate.unlink(missing_ok=True)
    stop_refusing()
    stop_free()


@pytest.fixture(scope="module")
def seen(qupath, lab, repository, tmp_path_factory):
    """What the drive through the window saw."""
    script = next(one for one in find_bundle().scripts if one.name == "WsiSamClicks.groovy")
    (lab["drive.project"]).mkdir()
    return qupath.drive(
        repository / "tests" / "in_qupath" / "drive_trouble.groovy",
        tmp_path_factory.mktemp("trouble") / "seen.json",
        **lab | {"drive.script": script},
    )


def outlines(annotations):
    return [shapely.from_wkt(one["wkt"]) for one in annotations]


def test_a_slow_server_stops_neither_the_window_nor_the_drawing(seen):
    assert seen["slow"]["windowMs"] < 1000
    assert seen["slow"]["annotations"] == 0
    first, second = sorted(outlines(seen["late"]), key=lambda outline: outline.bounds)
    assert iou(first, "a") > 0.9
    assert iou(second, "b") > 0.9


def test_the_result_goes_to_the_image_that_was_left(seen):
    assert seen["left"]["shown"] == 0
    assert len(seen["left"]["first"]) == 3
    assert any(iou(outline, "c") > 0.9 for outline in outlines(seen["left"]["first"]))
    assert seen["reopened"] == 3


def test_the_saved_workflow_repeats_all_objects_without_a_window(seen, qupath, lab, dump, tmp_path):
    """The steps of several objects, joined by QuPath to one script, on a copy of the project without them."""
    project = shutil.copytree(lab["drive.project"], tmp_path / "project") / "project.qpproj"
    drawn, _ = dump(project, "first.png")
    write, workflow = tmp_path / "write.groovy", tmp_path / "workflow.groovy"
    write.write_text(
        "new File(args[0]).text = getCurrentImageData().getHistoryWorkflow().createScript()\nclearAllObjects()\n"
    )
    qupath.script(write, workflow, project=project, image="first.png", save=True)
    assert dump(project, "first.png")[0] == {}
    qupath.script(workflow, project=project, image="first.png", save=True)
    again, _ = dump(project, "first.png")
    assert set(again) == set(drawn)
    assert len(drawn) == 4
    for name, one in drawn.items():
        # Not vertex by vertex: the last digit of a logit, which depends on what else was computed with it, may cost one.
        assert again[name]["geometry"].hausdorff_distance(one["geometry"]) < 2 * QUPATHS_ROUNDING
        for what in ("id", "className", "metadata"):
            assert again[name].get(what) == one.get(what)


def test_the_result_goes_to_the_image_of_a_viewer_that_was_closed(seen):
    assert seen["closed"]["viewers"] == 1
    assert seen["closed"]["shown"] == 0
    assert sorted(seen["closed"]["first"]) == sorted({*seen["closed"]["first"]})
    assert len(seen["closed"]["first"]) == 4


def test_a_refusing_server_changes_nothing_and_says_why(seen):
    assert seen["refused"]["annotations"] == 0
    assert "the call has no token" in seen["refused"]["said"]
    assert seen["known"]["annotations"] == 1
    assert seen["known"]["said"].startswith("Ready: ")


def test_a_server_that_is_away_changes_nothing_and_says_so(seen):
    assert seen["away"]["annotations"] == 1
    assert seen["away"]["said"].startswith("No server answers")
    assert seen["back"] == 2


def test_no_error_in_the_log(seen):
    assert seen["errors"] == []
