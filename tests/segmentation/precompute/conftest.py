import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def svs() -> Path:
    """A real slide: 2220 x 2967 pixels of half a micron."""
    shared = Path(os.environ.get("WSISAM_SHARED", Path(__file__).parents[4] / "shared"))
    slide = shared / "data" / "wsi" / "CMU-1-Small-Region.svs"
    if not slide.is_file():
        pytest.skip("needs ../shared/data")
    return slide.resolve()
