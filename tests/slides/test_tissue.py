"""Tissue, told from glass."""

import numpy as np
import pytest
from PIL import Image

from wsisam_server.core.geometry import Point, Window
from wsisam_server.core.settings import Limits
from wsisam_server.segmentation.fields import Lattice
from wsisam_server.segmentation.precompute import fields_over
from wsisam_server.slides import BackgroundFilter, DamagedRegionError, find_tissue, open_slide
from wsisam_server.slides.background import Background

WIDTH, HEIGHT = 1500, 1000
TISSUE = (slice(200, 450), slice(300, 750))
PEN = (slice(800, 900), slice(1000, 1200))


@pytest.fixture
def drawn(tmp_path):
    def draw(*, glass=(243, 243, 241), tissue=(200, 130, 170), black=False, pen=False):
        random = np.random.default_rng(0)
        image = np.empty((HEIGHT, WIDTH, 3), np.float32)
        image[:] = glass
        if tissue is not None:
            image[TISSUE] = tissue
        if black:
            image[:, -100:] = 0
        if pen:
            image[PEN] = (40, 60, 190)
        image += random.normal(0, 2, image.shape)
        path = tmp_path / "slide.png"
        Image.fromarray(image.clip(0, 255).astype(np.uint8)).save(path, compress_level=1)
        return open_slide(path, Limits())

    return draw


def looked(slide):
    return find_tissue(slide.info.size, slide.read)


@pytest.mark.parametrize(
    "look",
    [
        {},
        {"tissue": (226, 205, 222)},
        {"tissue": (60, 60, 60)},
        {"tissue": (2, 2, 2)},  # a black chromogen, which what was not scanned looks like
        {"black": True},
        {"glass": (215, 218, 213)},
        {"glass": (240, 226, 200)},
        {"glass": (12, 12, 14), "tissue": (80, 80, 80)},
        {"pen": True},
        {"pen": True, "tissue": (60, 60, 60)},
    ],
    ids=str,
)
def test_tissue_is_found_and_nothing_else(drawn, look):
    found = looked(drawn(**look))
    expected = np.zeros((HEIGHT, WIDTH), bool)
    expected[TISSUE] = True
    if "pen" in look:
        expected[PEN] = True  # a mark has colour: that costs time, and loses nothing
    y, x = ((np.arange(side) + 0.5) * found.downsample for side in found.mask.shape)
    expected = expected[np.ix_(y.clip(0, HEIGHT - 1).astype(int), x.clip(0, WIDTH - 1).astype(int))]
    assert (found.mask & expected).sum() / expected.sum() > 0.99
    assert (found.mask & ~expected).mean() < 0.02  # the rim, by smoothing


def test_background_alone_has_no_tissue_and_tissue_alone_no_background(drawn):
    assert not looked(drawn(tissue=None)).mask.any()
    assert looked(drawn(glass=(205, 150, 180))).mask.all()


def test_where_the_slide_is_damaged_there_may_be_tissue(drawn):
    slide = drawn()

    def read(window):
        box = window.region
        if box.x0 < 100 and box.y0 < 700 and box.x1 > 0 and box.y1 > 600:
            raise DamagedRegionError(window)
        return slide.read(window)

    found = find_tissue(slide.info.size, read)
    xs, ys = np.array([(50, 650), (500, 300), (1200, 300)], float).T
    assert found.near(xs, ys, 20).tolist() == [True, True, False]
    assert found.share < 0.2


def test_a_slide_of_which_nothing_can_be_read_has_no_tissue_to_tell(drawn):
    def unreadable(window):
        raise DamagedRegionError(window)

    slide = drawn()
    with pytest.raises(DamagedRegionError):
        find_tissue(slide.info.size, unreadable)


def test_every_click_on_tissue_has_its_field_and_far_from_it_there_are_none(drawn):
    slide = drawn()
    tissue = looked(slide)
    for downsample in (0.25, 1.0, 4.0):
        lattice = Lattice(slide.info.size, 256, downsample)
        fields = set(fields_over(lattice, tissue))
        random = np.random.default_rng(1)
        for x, y in random.uniform((300, 200), (750, 450), (200, 2)):
            assert lattice.field(*lattice.place(Point(x, y))) in fields
        rim = lattice.step + 4 * tissue.downsample
        for field in fields:
            middle = field.high.center
            assert 300 - rim <= middle.x <= 750 + rim or field.high.extent > WIDTH / 2
            assert 200 - rim <= middle.y <= 450 + rim or field.high.extent > HEIGHT / 2
    assert len(fields) < len(fields_over(lattice))


@pytest.mark.parametrize("part", [None, Window(250, 150, 0.75, 1024), Window(-50, -50, 1, 820)], ids=str)
def test_places_near_tissue(drawn, part):
    slide = drawn()
    tells = BackgroundFilter(Background((243, 243, 241)), 12)
    tissue = looked(slide) if part is None else tells.tissue_in(part, slide.read(part), 10)
    xs, ys = np.array([(310, 210), (280, 300), (260, 300), (500, 475), (500, 500), (755, 455)], float).T
    assert tissue.near(xs, ys, 30).tolist() == [True, True, False, True, False, True]
    # Where nobody looked, there is none.
    if part is not None:
        assert not tissue.near(np.array([1400.0]), np.array([900.0]), 30).any()
