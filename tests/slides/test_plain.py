import numpy as np
import pytest
import tifffile
from PIL import Image

from tests.slides.contract import WavesContract
from tests.slides.images import waves
from wsisam_server.core.errors import Reason, WsiSamServerError
from wsisam_server.core.geometry import SlideSize, Window
from wsisam_server.core.settings import Limits
from wsisam_server.slides import open_slide


def read_all(path):
    slide = open_slide(path, Limits())
    size = slide.info.size
    return slide.read(Window(0, 0, 1, max(size.width, size.height)))[: size.height, : size.width]


class TestPng(WavesContract):
    @pytest.fixture(scope="class")
    @classmethod
    def path(cls, tmp_path_factory):
        path = tmp_path_factory.mktemp("plain") / "waves.png"
        Image.fromarray(waves()).save(path)
        return path

    @pytest.fixture(scope="class")
    @classmethod
    def slide(cls, path):
        return open_slide(path, Limits())

    @pytest.fixture(scope="class")
    @classmethod
    def truth(cls):
        return waves()

    def test_facts(self, slide):
        assert slide.info.source == "plain:png"
        assert slide.info.mpp is None
        assert slide.info.downsamples == (1.0,)


@pytest.mark.parametrize(
    ("extension", "source", "options"),
    [
        ("tif", "plain:tiff", {}),
        ("bmp", "plain:bmp", {}),
        ("jpg", "plain:jpeg", {}),
        ("webp", "plain:webp", {"lossless": True}),
    ],
)
def test_every_format_is_read_as_a_png_of_the_same_pixels_is(tmp_path, extension, source, options):
    path, same = tmp_path / f"waves.{extension}", tmp_path / "same.png"
    Image.fromarray(waves()).save(path, **options)
    with Image.open(path) as image:
        image.convert("RGB").save(same)
    slide, png = open_slide(path, Limits()), open_slide(same, Limits())
    assert slide.info.source == source
    assert (slide.info.size, slide.info.mpp, slide.info.downsamples) == (png.info.size, None, (1.0,))
    windows = [
        Window(17, 400, 1, 256),
        Window(-10, -7, 1, 64),
        Window(103.37, 61.81, 2.5, 200),
        Window(slide.info.size.width - 40.5, slide.info.size.height - 30.25, 0.25, 400),
        Window(-5000, 10, 1.3, 40),
        Window(0, 0, 64, 33),
    ]
    for window in windows:
        assert np.array_equal(slide.read(window), png.read(window))


def test_grey_becomes_rgb(tmp_path):
    grey = waves(40, 30)[..., 0]
    Image.fromarray(grey).save(tmp_path / "grey.png")
    assert np.array_equal(read_all(tmp_path / "grey.png"), np.repeat(grey[..., None], 3, axis=2))


@pytest.mark.parametrize("extension", ["png", "tif"])
def test_sixteen_bit_grey_is_scaled_over_its_full_range(tmp_path, extension):
    values = np.array([[0, 128, 129, 257, 32768, 65407, 65535]], np.uint16).repeat(3, axis=0)
    path = tmp_path / f"deep.{extension}"
    if extension == "png":
        Image.fromarray(values).save(path)
    else:
        tifffile.imwrite(path, values, metadata=None)
    assert read_all(path)[0, :, 0].tolist() == [0, 0, 1, 1, 128, 255, 255]


def test_opaque_alpha_is_dropped_and_real_alpha_lies_on_white(tmp_path):
    pixels = np.dstack([waves(20, 20), np.full((20, 20), 255, np.uint8)])
    pixels[0, 0] = (10, 20, 30, 0)
    pixels[0, 1] = (0, 100, 200, 51)
    Image.fromarray(pixels).save(tmp_path / "alpha.png")
    seen = read_all(tmp_path / "alpha.png")
    assert seen[0, 0].tolist() == [255, 255, 255]
    assert np.abs(seen[0, 1].astype(int) - [204, 224, 244]).max() <= 1
    assert np.array_equal(seen[1:], pixels[1:, :, :3])


def test_palette_with_a_transparent_entry(tmp_path):
    image = Image.new("P", (2, 2))
    image.putpalette([200, 10, 10, 0, 0, 255])
    image.putdata([0, 1, 1, 0])
    image.save(tmp_path / "palette.png", transparency=1)
    assert read_all(tmp_path / "palette.png")[0].tolist() == [[200, 10, 10], [255, 255, 255]]


@pytest.mark.parametrize(("mode", "extension"), [("CMYK", "jpg"), ("CMYK", "tif"), ("F", "tif"), ("LAB", "tif")])
def test_colours_that_would_be_guessed_are_refused(tmp_path, mode, extension):
    path = tmp_path / f"odd.{extension}"
    Image.new(mode, (20, 20)).save(path)
    with pytest.raises(WsiSamServerError) as caught:
        open_slide(path, Limits())
    assert caught.value.reason is Reason.SLIDE_UNREADABLE
    assert mode in caught.value.private


@pytest.mark.parametrize("extension", ["jpg", "png", "tif"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_is_ignored_as_in_qupath(tmp_path, extension, orientation):
    image = waves(40, 24)
    path = tmp_path / f"turned.{extension}"
    exif = Image.Exif()
    exif[274] = orientation
    options = {"quality": 100, "subsampling": 0} if extension == "jpg" else {}
    Image.fromarray(image).save(path, exif=exif, **options)
    slide = open_slide(path, Limits())
    assert slide.info.size == SlideSize(40, 24)
    assert np.abs(read_all(path).astype(int) - image).max() <= 4


def test_limit_is_checked_before_decoding(tmp_path, monkeypatch):
    Image.new("L", (200, 100)).save(tmp_path / "big.png")
    monkeypatch.setattr(Image.Image, "load", lambda _: pytest.fail("decoded"))
    with pytest.raises(WsiSamServerError) as caught:
        open_slide(tmp_path / "big.png", Limits(plain_image_pixels=19_999))
    assert caught.value.reason is Reason.SLIDE_TOO_LARGE
    assert caught.value.details == {"pixels": "20000", "limit": "19999"}


@pytest.mark.parametrize("extension", ["png", "tif", "bmp", "webp"])
def test_our_limit_counts_and_not_pils(tmp_path, monkeypatch, extension):
    path = tmp_path / f"big.{extension}"
    Image.fromarray(waves(200, 100)).save(path)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)  # it would warn from 1000 pixels, and refuse from 2000
    assert read_all(path).shape == (100, 200, 3)
    assert Image.MAX_IMAGE_PIXELS == 1000


@pytest.mark.parametrize(
    ("resolution", "unit", "mpp"),
    [
        ((20000, 20000), "CENTIMETER", 0.5),
        ((50800, 50800), "INCH", 0.5),
        ((20000, 10000), "CENTIMETER", 0.75),
        ((72, 72), "INCH", None),
        ((300, 300), "INCH", None),
        ((20000, 20000), "NONE", None),
        ((10**7, 10**7), "CENTIMETER", None),
    ],
)
def test_tiff_resolution_counts_where_it_is_plausible(tmp_path, resolution, unit, mpp):
    path = tmp_path / "r.tif"
    tifffile.imwrite(path, waves(30, 30), photometric="rgb", resolution=resolution, resolutionunit=unit, metadata=None)
    assert open_slide(path, Limits()).info.mpp == mpp


def test_dpi_of_png_and_jpeg_is_a_printers(tmp_path):
    for name in ("a.png", "a.jpg"):
        Image.fromarray(waves(30, 30)).save(tmp_path / name, dpi=(50800, 50800))
        assert open_slide(tmp_path / name, Limits()).info.mpp is None


def test_first_page_counts(tmp_path):
    first = waves(30, 20)
    tifffile.imwrite(tmp_path / "pages.tif", np.stack([first, 255 - first]), photometric="rgb", metadata=None)
    assert np.array_equal(read_all(tmp_path / "pages.tif"), first)


@pytest.mark.filterwarnings("ignore")  # what PIL says about damaged files
@pytest.mark.parametrize("extension", ["png", "jpg", "tif", "bmp", "webp"])
def test_truncated_files_are_unreadable(tmp_path, extension):
    whole = tmp_path / f"whole.{extension}"
    Image.fromarray(np.random.default_rng(1).integers(0, 255, (90, 90, 3), np.uint8)).save(whole)
    data = whole.read_bytes()
    for length in {0, 1, 20, len(data) // 3, len(data) // 2, len(data) * 9 // 10}:
        path = tmp_path / f"{length}.{extension}"
        path.write_bytes(data[:length])
        with pytest.raises(WsiSamServerError) as caught:
            open_slide(path, Limits())
        assert caught.value.reason is Reason.SLIDE_UNREADABLE
        assert str(tmp_path) not in str(caught.value)


def test_text_is_unreadable(tmp_path):
    (tmp_path / "notes.svs").write_text("not a slide")
    with pytest.raises(WsiSamServerError) as caught:
        open_slide(tmp_path / "notes.svs", Limits())
    assert caught.value.reason is Reason.SLIDE_UNREADABLE


def test_missing_file_is_not_found(tmp_path):
    with pytest.raises(WsiSamServerError) as caught:
        open_slide(tmp_path / "missing.svs", Limits())
    assert caught.value.reason is Reason.SLIDE_NOT_FOUND


def test_closed_slide_refuses(tmp_path):
    Image.fromarray(waves(30, 30)).save(tmp_path / "a.png")
    slide = open_slide(tmp_path / "a.png", Limits())
    slide.close()
    with pytest.raises(ValueError, match="closed"):
        slide.read(Window(0, 0, 1, 10))
