"""A project, a store, and QuPath or its double."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from annotations.sync.worlds import DoubleTools, RealTools, World, environment
from wsisam_server.annotations.store import open_store


@pytest.fixture(scope="session")
def double_tools():
    tools = DoubleTools()
    yield tools
    tools.end()


@pytest.fixture(scope="session")
def real_tools(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PAQUO_JAVA_OPTS", environment(tmp_path_factory.mktemp("preferences")))
        tools = RealTools()
        yield tools
        tools.end()


@pytest.fixture(params=["double", pytest.param("qupath", marks=pytest.mark.qupath)])
def tools(request):
    return request.getfixturevalue("real_tools" if request.param == "qupath" else "double_tools")


@pytest.fixture(scope="session")
def slides(tmp_path_factory):
    """Two small images."""
    folder = tmp_path_factory.mktemp("slides")
    random = np.random.default_rng(6)
    paths = []
    for name in ("first", "second"):
        path = folder / f"{name}.png"
        Image.fromarray(random.integers(0, 255, (700, 900, 3), np.uint8)).save(path)
        paths.append(path)
    return paths


@pytest.fixture
def store(tmp_path):
    with open_store(str(tmp_path / "annotations.sqlite")) as opened:
        yield opened


@pytest.fixture
def world(tools, tmp_path, store, slides):
    project = tools.editor.create(str(tmp_path / "Colon"), [str(path) for path in slides])
    return World(tools, Path(project), store, slides)
