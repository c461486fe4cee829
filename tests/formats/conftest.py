"""Files of other programs: real ones where the shared material is there, and small ones of our own."""

import os
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def shared_data():
    """The folder of public exports that is too large, or of another licence, to be in the repository."""
    data = Path(os.environ.get("WSISAM_SHARED", REPOSITORY.parent / "shared")) / "data"
    if not data.is_dir():
        pytest.skip("needs ../shared/data")
    return data
