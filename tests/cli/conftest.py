"""A slide that is made here, and a server of it."""

import pytest
from PIL import Image

from support.server import picture, start
from wsisam_model import WsiSam


@pytest.fixture(scope="module")
def slide(tmp_path_factory):
    """Dark discs, whose outlines are known exactly."""
    path = tmp_path_factory.mktemp("slides") / "discs.png"
    Image.fromarray(picture()).save(path)
    return path


@pytest.fixture(scope="module")
def target(slide):
    """The address of a server of the slide's folder, with the default model."""
    running, stop = start(WsiSam.from_name("wsisam-lite"), slide.parent)
    yield running.target
    stop()
