from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def svs(real_slides) -> Path:
    return real_slides / "CMU-1-Small-Region.svs"


@pytest.fixture(scope="session")
def tcga(real_slides) -> Path:
    return real_slides / "tcga-cr-7395-01a-01-ts1.svs"


@pytest.fixture(scope="session")
def dicom(real_slides) -> list[Path]:
    return sorted((real_slides / "CMU-1-Small-Region-dicom").glob("*.dcm"))
