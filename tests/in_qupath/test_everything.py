"""WsiSamEverything.groovy in a real QuPath without a window: what is found becomes children, what is there stays."""

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
    assert "1 objects proposed in 1 of 1 annotations" in said
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


def test_a_server_that_is_not_there_changes_nothing(everything, project, drawn, dump):
    with pytest.raises(AssertionError, match="No server answers"):
        everything("which=class:Stroma", *SIZES, target="127.0.0.1:1")
    assert dump(project) == (drawn, [])
