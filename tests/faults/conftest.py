import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def faults():
    """The folder of small inputs out of reports about this and other programs."""
    folder = Path(os.environ.get("WSISAM_SHARED", Path(__file__).parents[3] / "shared")) / "faults"
    if not folder.is_dir():
        pytest.skip("needs ../shared/faults")
    return folder
