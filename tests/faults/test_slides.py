"""Slides out of reports: each with the value that is right, which is not the one that was first seen."""

from contextlib import closing

import numpy as np
import pytest

from wsisam_server.core.errors import Reason, WsiSamServerError
from wsisam_server.core.geometry import Window
from wsisam_server.core.settings import Limits
from wsisam_server.slides import background_filter, find_tissue, open_slide, overview, read_in_parts

pytestmark = pytest.mark.slow

DISC = (150, 70, 150)


@pytest.fixture
def opened(faults):
    slides = []

    def open_(name):
        slides.append(open_slide(faults / name, Limits()))
        return slides[-1]

    yield open_
    for slide in slides:
        slide.close()


def disc(slide, downsample):
    """Where it is, level-0 pixels, and its share of the slide."""
    side = int(max(slide.info.size.width, slide.info.size.height) / downsample)
    picture = slide.read(Window(0, 0, downsample, side)).astype(int)
    there = np.abs(picture - DISC).sum(axis=2) < 60
    ys, xs = there.nonzero()
    assert len(xs), "the disc is not there"
    return (xs.mean() + 0.5) * downsample, (ys.mean() + 0.5) * downsample, there.mean()


def test_24_a_pixel_size_in_ome_xml(opened):
    assert opened("24-ome-mpp/rgb.ome.tif").info.mpp == pytest.approx(0.5)


def test_25_one_damaged_tile_is_not_the_slide(opened):
    slide = opened("25-damaged-tile/damaged.tif")
    errors = []
    for x in range(0, 512, 128):
        for y in range(0, 512, 128):
            try:
                slide.read(Window(x, y, 1, 64))
            except WsiSamServerError as error:
                errors.append(error)
    assert 0 < len(errors) < 16
    assert {error.reason for error in errors} == {Reason.SLIDE_UNREADABLE}
    assert all({"x", "y", "width", "height"} <= set(error.details) for error in errors)
    tissue = find_tissue(slide.info.size, slide.read)
    assert 0 < tissue.share <= 1


def test_28_a_slide_with_bounds_knows_where_it_lies_in_its_frame(opened):
    assert opened("28-asap-bounds/bounds.tif").info.frame_origin == (512, 256)


def test_32_channels_in_pages_are_colour(opened):
    picture = opened("32-ome-channels/channels.ome.tif").read(Window(0, 0, 1, 256)).astype(int)
    assert np.ptp(picture, axis=2).max() > 50


def test_33_a_view_of_one_huge_level_is_refused_before_it_is_read(opened):
    slide = opened("33-single-level-huge/huge.svs")
    size = max(slide.info.size.width, slide.info.size.height)
    with pytest.raises(WsiSamServerError) as caught:
        slide.read(Window(0, 0, size / 256, 256))
    assert caught.value.reason is Reason.VIEW_TOO_COARSE
    assert slide.read(Window(0, 0, 1, 64)).shape == (64, 64, 3)


@pytest.mark.slow
@pytest.mark.parametrize("downsample", [1, 8, 16])
def test_45_a_label_is_no_level(opened, downsample):
    x, y, share = disc(opened("45-label-page-as-level/slide.tif"), downsample)
    assert (x, y) == (pytest.approx(2000, abs=20), pytest.approx(2000, abs=20))
    assert 0.01 < share < 0.05


def test_45_on_that_slide_tissue_is_the_disc(opened):
    slide = opened("45-label-page-as-level/slide.tif")
    assert 0.02 < find_tissue(slide.info.size, slide.read).share < 0.05


def test_45_a_thumbnail_that_comes_first_is_not_the_slide(opened):
    info = opened("45-label-page-as-level/thumbnail-first.tif").info
    assert (info.size.width, info.size.height) == (600, 400)


@pytest.mark.parametrize("downsample", [1, 2, 4, 8])
def test_46_padded_levels_lie_where_they_belong(opened, downsample):
    slide = opened("46-padded-levels/slide.tif")
    assert slide.info.downsamples == (1, 2, 4, 8)
    x, y, _ = disc(slide, downsample)
    assert (x, y) == (pytest.approx(1000, abs=downsample), pytest.approx(1300, abs=downsample))


@pytest.mark.parametrize(("name", "said"), [("case.mrxs", "case/Slidedat.ini"), ("case.vsi", "pixels can be sent")])
def test_47_a_preview_is_not_the_slide(faults, name, said):
    with pytest.raises(WsiSamServerError) as caught:
        open_slide(faults / "47-companion-missing" / name, Limits())
    assert caught.value.reason is Reason.SLIDE_UNREADABLE
    assert said in caught.value.public_text


@pytest.mark.parametrize("name", ["tiled.tif", "strips.tif"])
def test_48_a_fourth_sample_is_not_alpha_unless_it_is_called_so(opened, name):
    slide = opened(f"48-fourth-channel-as-alpha/{name}")
    x, y, _ = disc(slide, 1)
    assert (x, y) == (pytest.approx(250, abs=1), pytest.approx(250, abs=1))
    assert slide.read(Window(0, 0, 1, 500)).mean((0, 1)) == pytest.approx((224, 209, 226), abs=2)


@pytest.mark.parametrize("name", ["plain.png", "pen.png"])
def test_49_tissue_without_colour_is_tissue_beside_a_pen_mark(opened, name):
    slide = opened(f"49-grey-stain-and-pen/{name}")
    tells = background_filter([slide.read(window) for row in overview(slide.info) for window in row])
    window = Window(250, 250, 1, 512)
    mask = tells.tissue_in(window, slide.read(window), 30).mask
    for x, y in ((300, 300), (420, 330), (600, 300), (330, 430), (470, 460), (620, 450)):
        assert mask[y - 270 : y - 230, x - 270 : x - 230].all()
    assert mask.mean() < 0.1  # with the rims that averaging gives them


def test_61_tinted_background_is_background(opened):
    slide = opened("61-tinted-glass/slide.png")
    assert find_tissue(slide.info.size, slide.read).share == pytest.approx(0.16, abs=0.02)


def test_33_commands_of_this_machine_read_such_a_view_in_parts(faults, opened):
    name = "32-ome-channels/channels.ome.tif"
    window = Window(0, 0, 1, 200)
    with closing(open_slide(faults / name, Limits(read_pixels=20_000))) as bounded:
        with pytest.raises(WsiSamServerError) as caught:
            bounded.read(window)
        assert caught.value.reason is Reason.VIEW_TOO_COARSE
        assert np.array_equal(read_in_parts(bounded.read, window), opened(name).read(window))
