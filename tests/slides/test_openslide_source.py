import shutil
import threading
from contextlib import contextmanager

import numpy as np
import openslide
import pytest
from PIL import Image

from tests.slides.contract import SlideContract, WavesContract
from tests.slides.images import halved, waves, write_pyramid
from wsisam_server.core.errors import Reason, WsiSamServerError
from wsisam_server.core.geometry import SlideSize, Window
from wsisam_server.core.settings import Limits
from wsisam_server.slides import open_slide, openslide_source, sampling
from wsisam_server.slides.openslide_source import OpenSlideSource


def level_zero(path):
    with openslide.OpenSlide(path) as opened:
        return np.asarray(opened.read_region((0, 0), 0, opened.dimensions).convert("RGB"))


class TestSvs(SlideContract):
    @pytest.fixture(scope="class")
    @classmethod
    def slide(cls, svs):
        return open_slide(svs, Limits())

    @pytest.fixture(scope="class")
    @classmethod
    def truth(cls, svs):
        return level_zero(svs)

    def test_facts(self, slide):
        assert slide.info.size == SlideSize(2220, 2967)
        assert slide.info.mpp == pytest.approx(0.499)
        assert slide.info.source == "openslide:aperio"
        assert slide.info.downsamples == (1.0,)


class TestDicom(SlideContract):
    @pytest.fixture(scope="class")
    @classmethod
    def slide(cls, dicom):
        return open_slide(dicom[0], Limits())

    @pytest.fixture(scope="class")
    @classmethod
    def truth(cls, dicom):
        return level_zero(dicom[-1])

    def test_any_file_of_the_set_names_the_same_slide(self, slide, dicom):
        assert len(dicom) == 4
        assert {open_slide(path, Limits()).info for path in dicom} == {slide.info}
        assert slide.info.source == "openslide:dicom"
        assert slide.info.mpp == pytest.approx(0.499)


class TestTwoLevelsWithoutMpp(SlideContract):
    @pytest.fixture(scope="class")
    @classmethod
    def slide(cls, tcga):
        return open_slide(tcga, Limits())

    @pytest.fixture(scope="class")
    @classmethod
    def truth(cls, tcga):
        return level_zero(tcga)

    def test_facts(self, slide):
        assert slide.info.mpp is None
        assert slide.info.downsamples == (1.0, 2.0)

    @pytest.mark.parametrize(("x", "y"), [(0, 0), (1900, 1500), (3400, 2500)])
    def test_stored_level_agrees_with_level_zero_shrunk(self, slide, truth, x, y):
        # The last corner proves the scale of 2: taken as 2.0005, the level lies half a patch pixel off there. The
        # scanner sharpens its levels, so even in place they differ from a plain mean.
        size = 512
        stored = slide.read(Window(x, y, 2, size)).astype(float)
        shrunk = truth[y : y + 2 * size, x : x + 2 * size].astype(float)
        shrunk = shrunk.reshape(size, 2, size, 2, 3).mean((1, 3))
        error = np.abs(stored - shrunk).mean()
        assert error < 7
        for axis in (0, 1):
            for shift in (-1, 1):
                assert np.abs(np.roll(stored, shift, axis) - shrunk).mean() > 1.5 * error


class TestPyramid(WavesContract):
    @pytest.fixture(scope="class")
    @classmethod
    def truth(cls):
        return waves()

    @pytest.fixture(scope="class")
    @classmethod
    def slide(cls, truth, tmp_path_factory):
        path = write_pyramid(tmp_path_factory.mktemp("pyramid") / "waves.tif", truth, 4)
        return OpenSlideSource(path)

    def test_scales_are_whole_though_the_sides_are_odd(self, slide):
        assert slide.info.downsamples == (1.0, 2.0, 4.0, 8.0)
        assert slide.info.source == "openslide:generic-tiff"

    @pytest.mark.parametrize(
        ("downsample", "level"), [(0.1, 0), (1, 0), (1.9, 0), (1.99, 1), (2, 1), (3.9, 1), (4, 2), (1e9, 3)]
    )
    def test_reads_the_coarsest_level_that_serves(self, slide, downsample, level):
        assert slide._layout.best_level(downsample) == level


def test_memory_stays_bounded_at_a_huge_downsample(tmp_path, monkeypatch):
    image = np.random.default_rng(0).integers(0, 255, (3000, 5000, 3), np.uint8)
    slide = OpenSlideSource(write_pyramid(tmp_path / "flat.tif", image, 1))
    regions = []
    read_region = openslide.OpenSlide.read_region

    def spy(self, location, level, size):
        regions.append(size)
        return read_region(self, location, level, size)

    monkeypatch.setattr(openslide.OpenSlide, "read_region", spy)
    patch = slide.read(Window(0, 0, 64, 80))
    assert max(max(size) for size in regions) <= sampling.PIECE
    assert sum(width * height for width, height in regions) == 3000 * 5000
    assert np.abs(patch[:46, :77].astype(float).mean() - image.mean()) < 1


@pytest.mark.parametrize("shape", [(2500, 2700), (5000, 7)])
def test_pieces_join_without_a_seam(tmp_path, shape):
    image = waves(shape[1], shape[0])
    slide = OpenSlideSource(write_pyramid(tmp_path / "waves.tif", image, 1))
    whole = slide.read(Window(0, 0, 1, max(shape)))
    assert np.array_equal(whole[: shape[0], : shape[1]], image)
    quarter = slide.read(Window(0, 0, 4, max(shape) // 4))[: shape[0] // 4, : max(1, shape[1] // 4)].astype(float)
    expected = halved(halved(image))[: quarter.shape[0], : quarter.shape[1]]
    assert np.abs(quarter - expected)[1:-1].max() < 8


def test_tag_of_72_dpi_is_no_pixel_size(tmp_path):
    path = write_pyramid(tmp_path / "dpi.tif", waves(300, 300), 1, resolution=(72, 72), resolutionunit="INCH")
    assert OpenSlideSource(path).info.mpp is None
    path = write_pyramid(
        tmp_path / "mpp.tif", waves(300, 300), 1, resolution=(20000, 20000), resolutionunit="CENTIMETER"
    )
    assert OpenSlideSource(path).info.mpp == pytest.approx(0.5)


@pytest.mark.parametrize(("x", "width"), [(100, 400), (0, 999999)])
def test_coordinates_start_at_the_bounding_box_as_in_qupath(tmp_path, monkeypatch, x, width):
    image = waves(1000, 800)
    image[:52] = image[352:] = image[:, :100] = image[:, 500:] = 0  # must not bleed in
    path = write_pyramid(tmp_path / "framed.tif", image, 3)
    bounds = {"x": x, "y": 52, "width": width, "height": 300}
    properties = openslide.OpenSlide.properties.fget

    def framed(self):
        return {**properties(self), **{f"openslide.bounds-{name}": str(value) for name, value in bounds.items()}}

    monkeypatch.setattr(openslide.OpenSlide, "properties", property(framed))
    slide = OpenSlideSource(path)
    if width > image.shape[1]:
        assert slide.info.size == SlideSize(1000, 800)  # nonsense is ignored
        return
    assert slide.info.size == SlideSize(400, 300)
    assert np.array_equal(slide.read(Window(0, 0, 1, 300)), image[52:352, 100:400])
    assert (slide.read(Window(-50, 0, 1, 50)) == 255).all()
    assert (slide.read(Window(400, 300, 2, 50)) == 255).all()
    magnified = slide.read(Window(0, 0, 0.5, 600)).astype(float)
    assert np.abs(magnified[::2, 0] - image[52:352, 100]).max() < 8
    half = slide.read(Window(0, 0, 2, 150)).astype(float)
    assert np.abs(half - halved(image[52:352, 100:400])).max() <= 1


def test_transparent_pixels_show_the_slides_background(tmp_path, monkeypatch):
    path = write_pyramid(tmp_path / "waves.tif", waves(300, 300), 1)
    properties = openslide.OpenSlide.properties.fget
    monkeypatch.setattr(
        openslide.OpenSlide,
        "properties",
        property(lambda self: {**properties(self), "openslide.background-color": "204060"}),
    )

    def nothing(self, location, level, size):
        return Image.new("RGBA", size, (255, 255, 255, 0))

    monkeypatch.setattr(openslide.OpenSlide, "read_region", nothing)
    patch = OpenSlideSource(path).read(Window(10, 10, 1, 16))
    assert (patch == (0x20, 0x40, 0x60)).all()


@contextmanager
def errors_into(outcomes):
    try:
        yield
    except WsiSamServerError as error:
        outcomes.append(error)


@pytest.mark.filterwarnings("ignore")  # what PIL says about a damaged TIFF
def test_truncated_copies_are_unreadable_or_right(svs, tmp_path):
    truth = level_zero(svs)
    data = svs.read_bytes()
    outcomes = []
    for length in [0, 1, 7, 100, 5000, *range(100_000, len(data), 171_717), len(data) - 100, len(data) - 1]:
        path = tmp_path / f"{length}.svs"
        path.write_bytes(data[:length])
        with errors_into(outcomes):
            slide = open_slide(path, Limits())
            for x, y in ((0, 0), (1000, 1400), (1964, 2711)):
                assert np.array_equal(slide.read(Window(x, y, 1, 256)), truth[y : y + 256, x : x + 256])
            outcomes.append(None)
    refused = [error for error in outcomes if error is not None]
    assert len(refused) > len(outcomes) / 2
    assert {error.reason for error in refused} == {Reason.SLIDE_UNREADABLE}
    assert not any(str(tmp_path) in str(error) for error in refused)


def damage(path, start, length):
    with path.open("r+b") as file:
        file.seek(start)
        file.write(bytes(length))


def test_damage_met_while_reading_leaves_the_rest_readable(svs, tmp_path):
    path = tmp_path / "damaged.svs"
    shutil.copy(svs, path)
    path.chmod(0o600)
    damage(path, 60_000, 200_000)
    truth = level_zero(svs)
    slide = open_slide(path, Limits())
    for _ in range(2):
        with pytest.raises(WsiSamServerError) as caught:
            slide.read(Window(0, 0, 2, 1200))
        assert caught.value.reason is Reason.SLIDE_UNREADABLE
        assert np.array_equal(slide.read(Window(1900, 2600, 1, 256)), truth[2600:2856, 1900:2156])


def test_another_threads_error_does_not_spoil_a_good_read(svs, tmp_path):
    path = tmp_path / "damaged.svs"
    shutil.copy(svs, path)
    path.chmod(0o600)
    damage(path, 60_000, 200_000)
    truth = level_zero(svs)
    slide = open_slide(path, Limits())
    stop = threading.Event()

    def keep_failing():
        while not stop.is_set():
            with pytest.raises(WsiSamServerError):
                slide.read(Window(0, 0, 2, 600))

    thread = threading.Thread(target=keep_failing)
    thread.start()
    try:
        for _ in range(20):
            assert np.array_equal(slide.read(Window(1900, 2600, 1, 64)), truth[2600:2664, 1900:1964])
    finally:
        stop.set()
        thread.join()


def test_file_replaced_while_open_is_noticed_when_it_is_opened_again(tmp_path):
    path = write_pyramid(tmp_path / "waves.tif", waves(600, 600), 1)
    slide = OpenSlideSource(path)
    write_pyramid(path, waves(700, 600), 1)
    slide._handle = None
    with pytest.raises(WsiSamServerError) as caught:
        slide.read(Window(0, 0, 1, 10))
    assert caught.value.reason is Reason.SLIDE_UNREADABLE
    path.unlink()
    with pytest.raises(WsiSamServerError):
        slide.read(Window(0, 0, 1, 10))


def test_associated_images_are_never_read(svs, monkeypatch):
    def refuse(*args):
        raise AssertionError("label or macro image touched")

    monkeypatch.setattr(openslide.lowlevel, "read_associated_image", refuse)
    monkeypatch.setattr(openslide.lowlevel, "get_associated_image_names", refuse)
    open_slide(svs, Limits()).read(Window(0, 0, 4, 64))


def test_closed_slide_refuses(tmp_path):
    slide = OpenSlideSource(write_pyramid(tmp_path / "waves.tif", waves(300, 300), 1))
    slide.close()
    slide.close()
    with pytest.raises(ValueError, match="closed"):
        slide.read(Window(0, 0, 1, 10))


@pytest.mark.parametrize("color", ["", "ff", "not hex", "#ffffff", "ffffffff"])
def test_odd_background_means_white(color):
    assert openslide_source._background({"openslide.background-color": color}).tolist() == [255, 255, 255]
