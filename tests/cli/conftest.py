"""A slide that is made here, and a server of it."""

import pytest

from support.server import start, write_picture
from wsisam_model import WsiSam
from wsisam_server.cli import model


@pytest.fixture(scope="module")
def slide(tmp_path_factory):
    """Dark discs, whose outlines are known exactly."""
    path = tmp_path_factory.mktemp("slides") / "discs.png"
    write_picture(path)
    return path


@pytest.fixture(scope="session")
def shipped():
    return WsiSam.from_name("wsisam-lite")


@pytest.fixture(scope="module")
def _loaded_once():
    """A command that is run in this process again and again loads the same weights once."""
    real, loaded = model.load_model, {}

    def load_model(**options):
        key = str(sorted(options.items()))
        if key not in loaded:
            loaded[key] = real(**options)
        return loaded[key]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(model, "load_model", load_model)
        yield


@pytest.fixture(scope="module")
def target(slide, shipped, _loaded_once):
    """The address of a server of the slide's folder, with the default model."""
    running, stop = start(shipped, slide.parent)
    yield running.target
    stop()
