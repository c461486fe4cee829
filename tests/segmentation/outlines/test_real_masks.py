import numpy as np
import pytest
import shapely

from wsisam_server.core.geometry import SlideSize, Window
from wsisam_server.core.shapes import decode, encode
from wsisam_server.segmentation.outlines import outline

# File, left, top and side of the square, in the mask's pixels.
FIELDS = [
    *[(f"testis_tubules/masks/{name}.png", 200, 0, 1200) for name in ("M02G4x20_05", "M04B0012", "216690001")],
    *[(f"bcss_regions/masks/{name}.jpg", 512, 512, 1024) for name in ("1008", "1015", "1019")],
    ("rings_prostate/masks/P3_C10_3_5_1.png", 0, 0, 512),
]


@pytest.mark.parametrize("field", FIELDS, ids=lambda field: field[0])
def test_the_outline_covers_the_mask(shared_data, read_mask, as_logits, field):
    path, left, top, side = field
    if not (shared_data / path).exists():
        pytest.skip(f"needs ../shared/data/{path}")
    mask = read_mask(shared_data / path, left, top, side)
    window = Window(left, top, side / 1024, 1024)
    geometry = outline(as_logits(mask), window, SlideSize(left + side, top + side)).geometry
    assert shapely.is_valid(geometry)
    assert decode(encode(geometry)).equals_exact(geometry, tolerance=0)
    # The polygon on every third pixel, at the pixel's centre.
    rows, columns = np.mgrid[0:side:3, 0:side:3]
    shapely.prepare(geometry)
    drawn = shapely.contains_xy(geometry, left + columns + 0.5, top + rows + 0.5)
    truth = mask[rows, columns]
    assert truth.any()
    assert np.count_nonzero(drawn & truth) / np.count_nonzero(drawn | truth) >= 0.97
