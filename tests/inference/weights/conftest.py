"""A folder of models, and the files that they are made of."""

import pytest

from support import models
from wsisam_server.inference.weights import WeightsFolder


@pytest.fixture
def folder(tmp_path):
    return WeightsFolder(tmp_path / "weights")


@pytest.fixture(scope="session")
def sam():
    """LiteMedSAM's checkpoint."""
    return models.files().sam


@pytest.fixture(scope="session")
def additions():
    """What was trained for it."""
    return models.files().additions


@pytest.fixture
def everything(folder):
    """All names in the folder, hidden ones too."""
    return lambda: sorted(path.name for path in folder.path.iterdir()) if folder.path.exists() else []
