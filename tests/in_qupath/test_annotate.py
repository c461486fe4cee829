"""WsiSamAnnotate.groovy and what is recorded, in a real QuPath without a window."""

import shutil

import pytest

from support.server import DISCS, iou
from wsisam_server.qupath import find_bundle

pytestmark = [pytest.mark.qupath, pytest.mark.timeout(900)]


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
