import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def real_slides() -> Path:
    """The folder of real slides; a test that wants them is skipped where they are not."""
    shared = Path(os.environ.get("WSISAM_SHARED", Path(__file__).parents[3] / "shared"))
    folder = shared / "data" / "wsi"
    if not folder.is_dir():
        pytest.skip("needs ../shared/data")
    return folder


@pytest.fixture(scope="session")
def svs(real_slides) -> Path:
    return real_slides / "CMU-1-Small-Region.svs"


@pytest.fixture(scope="session")
def tcga(real_slides) -> Path:
    return real_slides / "tcga-cr-7395-01a-01-ts1.svs"


@pytest.fixture(scope="session")
def dicom(real_slides) -> list[Path]:
    return sorted((real_slides / "CMU-1-Small-Region-dicom").glob("*.dcm"))
