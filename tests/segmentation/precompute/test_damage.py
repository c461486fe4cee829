"""Encoding a slide of which a tile is damaged."""

from types import SimpleNamespace

import numpy as np
import pytest
import tifffile

from wsisam_server.cli.damaged_windows import warn_of_damage
from wsisam_server.core.geometry import FieldPair, Window
from wsisam_server.core.settings import Limits
from wsisam_server.segmentation.precompute import Precompute, planned
from wsisam_server.slides import DamagedRegionError, open_slide

SIDE, TILE = 768, 256


@pytest.fixture
def damaged(tmp_path):
    """A tiled TIFF of nine tiles, of which the last one's bytes are no picture."""
    path = tmp_path / "damaged.tif"
    random = np.random.default_rng(0)
    pixels = random.integers(0, 255, (SIDE, SIDE, 3), np.uint8)
    tifffile.imwrite(path, pixels, tile=(TILE, TILE), photometric="rgb", compression="zlib", metadata=None)
    with tifffile.TiffFile(path) as file:
        page = file.pages[0]
        start, length = page.dataoffsets[-1], page.databytecounts[-1]
    with path.open("r+b") as file:
        file.seek(start)
        file.write(b"\0" * length)
    slide = open_slide(path, Limits())
    yield slide
    slide.close()


class Stored:
    """What was written."""

    def __init__(self):
        self.windows = []

    def nbytes(self, _role):
        return 1

    def has(self, *_):
        return False

    def load(self, *_):
        return None

    def save(self, _fingerprint, window, _role, _features):
        self.windows.append(window)


@pytest.fixture
def work(damaged):
    model = SimpleNamespace(
        wants_low=False, encodes_middle=lambda _role: False, features=lambda pixels, **_: pixels.shape
    )
    return Precompute(damaged, model, Stored())


def fields(*corners):
    return [FieldPair(Window(x, y, 1, TILE)) for x, y in corners]


def test_what_can_be_read_is_encoded_and_the_rest_is_named(work):
    # The last one ends where the damaged tile begins.
    good = [(0, 0), (200, 0), (0, 200), (256, 256)]
    plan = planned(work, fields(*good, (512, 512), (400, 512)))
    done = work.run(plan, lambda *_: None)
    assert done.encoded == 4
    assert {(window.x, window.y) for window in work.stored.windows} == set(good)
    assert {(window.x, window.y) for window in done.unreadable} == {(512, 512), (400, 512)}


def test_where_nothing_can_be_read_that_is_an_error(work):
    with pytest.raises(DamagedRegionError):
        work.run(planned(work, fields((512, 512))), lambda *_: None)


def test_the_command_names_places_and_says_nothing_without_damage(capsys, tmp_path):
    warn_of_damage(tmp_path / "slide.tif", [])
    assert capsys.readouterr() == ("", "")
    warn_of_damage(tmp_path / "slide.tif", [Window(512, 400, 2, TILE)] * 30)
    out, said = capsys.readouterr()
    assert not out
    assert "slide.tif is damaged: 30 windows" in said
    assert "x 512, y 400, 512 x 512" in said
    assert "and 10 more" in said
