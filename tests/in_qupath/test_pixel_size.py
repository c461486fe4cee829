"""WsiSamClicks.groovy in the window of a real QuPath, where the user's pixel size is not the file's."""

import pytest
from PIL import Image

from support.server import picture
from wsisam_server.qupath import find_bundle

pytestmark = [pytest.mark.qupath, pytest.mark.timeout(900)]

PER_CM = 3
"""TIFF's unit of resolution."""


@pytest.fixture(scope="module")
def seen(qupath, server, repository, tmp_path_factory):
    """What the drive through the window saw, on a file that says 0.25 microns for each pixel."""
    image = server.root / "sized.tif"
    Image.fromarray(picture()).save(image, x_resolution=40_000, y_resolution=40_000, resolution_unit=PER_CM)
    script = next(one for one in find_bundle().scripts if one.name == "WsiSamClicks.groovy")
    return qupath.drive(
        repository / "tests" / "in_qupath" / "drive_pixel_size.groovy",
        tmp_path_factory.mktemp("size") / "seen.json",
        **{"drive.image": image, "drive.script": script, "drive.server": server.target},
    )


def test_a_size_that_differs_from_the_files_is_said_once_from_then_on(seen):
    assert seen["before"] == []
    [said] = seen["after"]
    assert said.startswith("sized.tif: The file says that a pixel is 0.25 microns wide")
    assert "the image that is open here 0.5." in said
    assert seen["errors"] == []
