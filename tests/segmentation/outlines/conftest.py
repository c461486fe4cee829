import numpy as np
import pytest
from PIL import Image


@pytest.fixture(scope="session")
def read_mask():
    """Returns a function: path, left, top, side -> that square of a mask image as booleans."""

    def read(path, left, top, side):
        with Image.open(path) as image:
            return np.asarray(image.convert("L").crop((left, top, left + side, top + side))) > 127

    return read


@pytest.fixture(scope="session")
def as_logits():
    """Returns a function: boolean mask -> [256, 256] logits in -10..10, zero where half of a sample is covered."""

    def convert(mask):
        image = Image.fromarray(mask.astype(np.float32)).resize((256, 256), Image.Resampling.BOX)
        return (np.asarray(image) - 0.5) * 20

    return convert
