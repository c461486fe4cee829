"""WsiSamAnnotate.groovy and what is recorded, in a real QuPath without a window."""

import json
import shutil

import pytest

from support.server import DISCS, iou
from wsisam_server.qupath import find_bundle

pytestmark = [pytest.mark.qupath, pytest.mark.timeout(900)]

MORE = """
import qupath.lib.objects.PathObjects
import qupath.lib.objects.classes.PathClass
import qupath.lib.regions.ImagePlane
import qupath.lib.roi.ROIs

def plane = ImagePlane.getDefaultPlane()
def add = { roi, name, className ->
    def one = PathObjects.createAnnotationObject(roi, className ? PathClass.fromString(className) : null)
    one.setName(name)
    getCurrentHierarchy().addObject(one)
}
add(ROIs.createRectangleROI(120, 120, 160, 160, plane), 'region', 'Region*')
add(ROIs.createRectangleROI(140, 140, 120, 120, plane), 'artefact', 'Ignore*')
add(ROIs.createLineROI(150, 150, 250, 250, plane), 'line', 'Tumor')
add(ROIs.createPolylineROI([150, 200, 250] as double[], [150, 240, 150] as double[], plane), 'polyline', '')
add(ROIs.createPointsROI([590, 610] as double[], [250, 250] as double[], plane), 'clicks', 'Tumor')
add(ROIs.createPointsROI([680, 140, 20] as double[], [170, 140, 590] as double[], plane), 'not this', 'Ignore*')
"""


@pytest.fixture
def annotate(qupath, server, project):
    """Called: runs the installed script on the project; what it says."""
    script = next(one for one in find_bundle().scripts if one.name == "WsiSamAnnotate.groovy")

    def run(*arguments, target=server.target, project=project):
        return qupath.script(script, f"server={target}", *arguments, project=project, save=True)

    return run


def test_boxes_become_outlines_and_keep_who_they_are(annotate, project, drawn, dump):
    assert "2 of 2 annotations refined. 1 skipped" in annotate("which=all")
    now, _ = dump(project)
    assert set(now) == set(DISCS)
    for name in "ac":
        assert iou(now[name]["geometry"], name) > 0.9
        assert now[name]["id"] == drawn[name]["id"]
        assert now[name]["className"] == drawn[name]["className"]
        metadata = now[name]["metadata"]
        assert metadata["wsisam.model"] == "wsisam-lite"
        assert len(metadata["wsisam.weights"]) == 64
        assert '"box":' in metadata["wsisam.prompts"]
        assert 0 < float(metadata["wsisam.score"]) <= 1.5
    assert now["b"] == drawn["b"]


def test_nothing_selected_changes_nothing_and_says_so(annotate, project, drawn, dump):
    """Not even with -s. What an earlier script's top says means the same."""
    for said in (annotate(), annotate("which=auto")):
        assert "no annotation is selected, so nothing was changed" in said
    assert dump(project) == (drawn, [])


def test_only_what_is_an_object_is_outlined(annotate, qupath, project, dump, tmp_path):
    """Lines stay lines; Region* and Ignore* stay what they are; points of Ignore* are negative clicks for what is near."""
    (more := tmp_path / "more.groovy").write_text(MORE)
    qupath.script(more, project=project, save=True)
    before, _ = dump(project)
    said = annotate("which=all")
    assert "3 of 3 annotations refined." in said
    for reason in ("1 locked", "2 a line", "1 of class Region*", "2 of class Ignore*"):
        assert reason in said
    now, _ = dump(project)
    changed = {name for name, one in now.items() if one != before[name]}
    assert changed == {"a", "c", "clicks"}
    assert iou(now["clicks"]["geometry"], "b") > 0.8
    # Of three negative points one is near the clicks, another is in the box of `a`, the third is far from all.
    prompts = {name: json.loads(now[name]["metadata"]["wsisam.prompts"]) for name in changed}
    assert prompts["clicks"] == [{"points": [[590, 250, 1], [610, 250, 1], [680, 170, 0]]}]
    assert prompts["a"] == [{"box": [134, 134, 266, 266], "points": [[140, 140, 0]]}]
    assert set(prompts["c"][0]) == {"box"}


def test_a_run_for_a_project_does_each_image(annotate, make_project, server, drawn, dump):
    """QuPath runs it once for each image: each gets its own outlines, and its own step."""
    shutil.copy(server.root / "discs.png", server.root / "again.png")
    both = make_project(server.root / "discs.png", server.root / "again.png") / "project.qpproj"
    said = annotate("which=class:Tumor", project=both)
    for image in ("discs.png", "again.png"):
        assert f"{image}: WSI-SAM: 1 of 1 annotations refined. 1 skipped" in said
        now, steps = dump(both, image)
        assert iou(now["a"]["geometry"], "a") > 0.9
        assert {now[name]["kind"] for name in "bc"} == {drawn["b"]["kind"]}
        assert [one["name"] for one in steps] == ["WSI-SAM refine annotations"]


def test_nothing_to_do_is_said_and_changes_nothing(annotate, project, drawn, dump):
    assert "no annotation to refine" in annotate("which=class:Necrosis")
    assert dump(project) == (drawn, [])


def test_a_server_that_is_not_there_changes_nothing(annotate, project, drawn, dump):
    with pytest.raises(AssertionError, match="No server answers"):
        annotate("which=all", target="127.0.0.1:1")
    assert dump(project) == (drawn, [])


def test_the_recorded_step_does_it_again(annotate, qupath, project, drawn, dump, tmp_path):
    """It takes the server of the settings and the class that was asked for; what it stores, QuPath can read back."""
    assert "1 of 1 annotations refined." in annotate("which=class:Stroma")
    now, [step] = dump(project)
    assert now["a"] == drawn["a"]
    assert step["name"] == "WSI-SAM refine annotations"
    again = tmp_path / "again.groovy"
    again.write_text(step["script"])
    assert "1 of 1 annotations refined." in qupath.script(again, project=project, save=True)
    now, steps = dump(project)
    assert [one["name"] for one in steps] == ["WSI-SAM refine annotations"] * 2
    assert iou(now["c"]["geometry"], "c") > 0.9
