"""A slide that is made here, and a server of it."""

import pytest

from support.dark_parts import DarkParts
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


@pytest.fixture
def costless(monkeypatch):
    """Commands that load the default model get one that finds what is dark; other options are read as they are."""
    real, default = model.load_model, {"model": "wsisam-lite", "sam": None, "device": "auto"}

    def load_model(**options):
        return DarkParts() if default.items() <= options.items() else real(**options)

    monkeypatch.setattr(model, "load_model", load_model)


@pytest.fixture(scope="module")
def dark_server(slide):
    running, stop = start(DarkParts(), slide.parent)
    yield running.target
    stop()


@pytest.fixture
def target(dark_server, costless):
    """The address of a server of the slide's folder; here and there, what is dark is found."""
    return dark_server


@pytest.fixture(scope="module")
def real_target(slide, shipped):
    """The same with the default model, which commands load here, too."""
    running, stop = start(shipped, slide.parent)
    yield running.target
    stop()
