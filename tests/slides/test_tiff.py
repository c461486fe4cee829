"""TIFF files that say themselves which of their pages are the slide."""

import numpy as np
import pytest
import tifffile
from PIL import Image

from tests.slides.contract import WavesContract
from tests.slides.images import halved, waves, write_pyramid
from wsisam_server.core.errors import Reason, WsiSamServerError
from wsisam_server.core.geometry import SlideSize, Window
from wsisam_server.core.settings import Limits
from wsisam_server.slides import file as slide_file
from wsisam_server.slides import open_slide
from wsisam_server.slides.tiff import TiffSource
from wsisam_server.slides.tiff.layout import downsample_of

pytestmark = pytest.mark.slow

TILE = {"tile": (256, 256)}
STRIPS = {"rowsperstrip": 64}
STORAGES = pytest.mark.parametrize("storage", [TILE, STRIPS], ids=["tiles", "strips"])


def read_all(path, size=(1001, 803)):
    slide = open_slide(path, Limits())
    assert slide.info.size == SlideSize(*size)
    return slide.read(Window(0, 0, 1, max(size)))[: size[1], : size[0]]


def refused(path):
    with pytest.raises(WsiSamServerError) as caught:
        open_slide(path, Limits())
    assert caught.value.reason is Reason.SLIDE_UNREADABLE
    return caught.value.public_text


def write_ome(path, image, levels=4, **options):
    """As QuPath and Bio-Formats write it: each level below the one page."""
    with tifffile.TiffWriter(path, ome=True, bigtiff=True) as tiff:
        options = {"photometric": "rgb", "compression": "zlib", **TILE, **options}
        tiff.write(image, subifds=levels - 1, **options)
        for _ in range(levels - 1):
            image = halved(image)
            tiff.write(image, subfiletype=1, **options)
    return path


class TestOmePyramid(WavesContract):
    @pytest.fixture(scope="class")
    @classmethod
    def truth(cls):
        return waves()

    @pytest.fixture(scope="class")
    @classmethod
    def slide(cls, truth, tmp_path_factory):
        return open_slide(write_ome(tmp_path_factory.mktemp("ome") / "waves.ome.tif", truth), Limits())

    def test_levels_below_the_page_are_levels(self, slide):
        assert slide.info.downsamples == (1, 2, 4, 8)
        assert isinstance(slide, TiffSource)


@pytest.mark.parametrize("compression", [None, "zlib", "lzw", "packbits"])
@pytest.mark.parametrize("predictor", [False, True])
@pytest.mark.parametrize("byteorder", ["<", ">"])
def test_lossless_tiles_of_every_kind_are_read_exactly(tmp_path, compression, predictor, byteorder):
    if compression in {"lzw", "packbits"}:
        Image.fromarray(waves(200, 150)).save(
            tmp_path / "whole.tif", compression={"lzw": "tiff_lzw", "packbits": "packbits"}[compression]
        )
        assert np.array_equal(read_all(tmp_path / "whole.tif", (200, 150)), waves(200, 150))
        return
    if predictor and compression is None:
        predictor = False
    path = tmp_path / "a.ome.tif"
    with tifffile.TiffWriter(path, byteorder=byteorder) as tiff:
        options = {"photometric": "rgb", "compression": compression, "predictor": predictor, **TILE}
        tiff.write(waves(), subifds=1, metadata=None, **options)
        tiff.write(halved(waves()), subfiletype=1, metadata=None, **options)
    assert isinstance(open_slide(path, Limits()), TiffSource)
    assert np.array_equal(read_all(path), waves())


@STORAGES
@pytest.mark.parametrize("names", [["red", "green", "blue"], ["Red", "Green", "Blue"], None, ["C0", "C1", "C2"]])
def test_red_green_and_blue_in_pages_of_their_own_are_one_picture(tmp_path, storage, names):
    path = tmp_path / "channels.ome.tif"
    metadata = {"axes": "CYX", **({"Channel": {"Name": names}} if names else {})}
    tifffile.imwrite(path, waves().transpose(2, 0, 1), photometric="minisblack", metadata=metadata, **storage)
    assert np.array_equal(read_all(path), waves())


@STORAGES
@pytest.mark.parametrize("suffix", ["ome.tif", "tif"])
def test_planes_of_one_page_are_one_picture(tmp_path, storage, suffix):
    path = tmp_path / f"planar.{suffix}"
    tifffile.imwrite(path, waves().transpose(2, 0, 1), photometric="rgb", planarconfig="separate", **storage)
    assert np.array_equal(read_all(path), waves())


@STORAGES
def test_interleaved_channels_that_the_tags_call_grey_are_colours(tmp_path, storage):
    path = tmp_path / "grey.tif"
    tifffile.imwrite(path, waves(), photometric="minisblack", planarconfig="contig", metadata=None, **storage)
    assert np.array_equal(read_all(path), waves())


@STORAGES
@pytest.mark.parametrize(
    ("count", "metadata"),
    [
        (3, {"axes": "CYX", "Channel": {"Name": ["DAPI", "FITC", "TRITC"]}}),
        (4, {"axes": "CYX"}),
        (2, {"axes": "CYX"}),
        (3, {"axes": "CYX", "Channel": {"Color": [65535, 16711935, -16776961]}}),
    ],
)
def test_channels_that_are_no_colours_are_refused_in_words(tmp_path, storage, count, metadata):
    path = tmp_path / "channels.ome.tif"
    planes = np.stack([waves()[..., 0]] * count)
    tifffile.imwrite(path, planes, photometric="minisblack", metadata=metadata, **storage)
    assert f"its {count} channels are not red, green and blue" in refused(path)


def test_channels_that_only_imagej_names(tmp_path):
    tifffile.imwrite(tmp_path / "three.tif", waves().transpose(2, 0, 1), imagej=True, metadata={"axes": "CYX"})
    assert np.array_equal(read_all(tmp_path / "three.tif"), waves())
    tifffile.imwrite(tmp_path / "two.tif", waves().transpose(2, 0, 1)[:2], imagej=True, metadata={"axes": "CYX"})
    assert "2 channels" in refused(tmp_path / "two.tif")


@STORAGES
def test_pages_of_grey_that_nothing_explains_are_refused(tmp_path, storage):
    tifffile.imwrite(tmp_path / "a.tif", waves().transpose(2, 0, 1), photometric="minisblack", metadata=None, **storage)
    assert "does not say which" in refused(tmp_path / "a.tif")


def test_the_first_plane_of_a_stack_counts(tmp_path):
    grey = waves()[..., 0]
    tifffile.imwrite(tmp_path / "z.ome.tif", np.stack([grey, 255 - grey]), metadata={"axes": "ZYX"}, **TILE)
    assert np.array_equal(read_all(tmp_path / "z.ome.tif")[..., 1], grey)


@STORAGES
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_white_is_zero_in_every_depth(tmp_path, storage, dtype):
    grey = waves()[..., 0]
    stored = (grey.astype(np.uint32) * (257 if dtype is np.uint16 else 1)).astype(dtype)
    tifffile.imwrite(
        tmp_path / "a.tif", np.iinfo(dtype).max - stored, photometric="miniswhite", metadata=None, **storage
    )
    # OpenSlide takes the upper byte of 16 bits, where PIL's are scaled and rounded.
    assert np.abs(read_all(tmp_path / "a.tif").astype(int) - grey[..., np.newaxis]).max() <= int(dtype is np.uint16)


@pytest.mark.parametrize("bits", [1, 2, 4])
def test_white_is_zero_below_eight_bits(tmp_path, bits):
    """Written by hand: rows of packed pixels, all zero but the second row."""
    width, height = 64, 16
    rows = np.zeros((height, width * bits // 8), np.uint8)
    rows[1] = 255
    tags = [(256, 4, width), (257, 4, height), (258, 3, bits), (259, 3, 1), (262, 3, 0), (273, 4, 8), (277, 3, 1)]
    tags += [(278, 4, height), (279, 4, rows.size)]
    data = b"II*\0" + (8 + rows.size).to_bytes(4, "little") + rows.tobytes() + len(tags).to_bytes(2, "little")
    for tag, kind, value in tags:
        data += tag.to_bytes(2, "little") + kind.to_bytes(2, "little") + (1).to_bytes(4, "little")
        data += value.to_bytes(4, "little")
    (tmp_path / "a.tif").write_bytes(data + bytes(4))
    pixels = read_all(tmp_path / "a.tif", (width, height))
    assert (pixels[0] == 255).all()
    assert (pixels[1] == 0).all()


@STORAGES
@pytest.mark.parametrize(("extra", "meaning"), [("unspecified", "dropped"), ("unassalpha", "opacity")])
def test_a_fourth_sample_is_opacity_only_where_the_file_says_so(tmp_path, storage, extra, meaning):
    four = np.dstack([waves(), np.zeros(waves().shape[:2], np.uint8)])
    tifffile.imwrite(tmp_path / "a.tif", four, photometric="rgb", extrasamples=[extra], metadata=None, **storage)
    expected = waves() if meaning == "dropped" else np.full_like(waves(), 255)
    assert np.array_equal(read_all(tmp_path / "a.tif"), expected)


def test_a_label_flagged_as_reduced_is_no_level(tmp_path):
    path = tmp_path / "a.tif"
    image = waves(2048, 1536)
    with tifffile.TiffWriter(path) as tiff:
        for number, page in enumerate([image, halved(halved(image)), np.zeros((450, 550, 3), np.uint8)]):
            tiff.write(page, photometric="rgb", subfiletype=int(number > 0), metadata=None, **TILE)
    slide = open_slide(path, Limits())
    assert slide.info.downsamples == (1, 4)
    assert slide.read(Window(0, 0, 4, 384)).mean() > 100


@STORAGES
@pytest.mark.parametrize("flag", [0, 1])
def test_a_thumbnail_before_the_slide_is_not_the_slide(tmp_path, storage, flag):
    with tifffile.TiffWriter(tmp_path / "a.tif") as tiff:
        options = {"photometric": "rgb", "metadata": None, **storage}
        tiff.write(waves()[::8, ::8], subfiletype=flag, **options)
        tiff.write(waves(), **options)
    assert np.array_equal(read_all(tmp_path / "a.tif"), waves())


def test_levels_padded_to_whole_tiles_lie_where_they_belong(tmp_path):
    """As in CAMELYON16: the disc is at the same place at every downsample."""
    path, image = tmp_path / "a.tif", np.full((1536, 2048, 3), 245, np.uint8)
    ys, xs = np.ogrid[:1536, :2048]
    image[(xs - 1000) ** 2 + (ys - 1300) ** 2 < 150**2] = (150, 70, 150)
    with tifffile.TiffWriter(path) as tiff:
        for level in range(5):
            height, width = (-(-side // 256) * 256 for side in image.shape[:2])
            padded = np.zeros((height, width, 3), np.uint8)
            padded[: image.shape[0], : image.shape[1]] = image
            page = image if level == 0 else padded
            tiff.write(page, photometric="rgb", subfiletype=int(level > 0), metadata=None, **TILE)
            image = halved(image)
    slide = open_slide(path, Limits())
    assert slide.info.downsamples == (1, 2, 4, 8, 16)
    for downsample in (1, 2, 4, 8, 16):
        picture = slide.read(Window(0, 0, downsample, 2048 // downsample))[: 1536 // downsample].astype(int)
        ys, xs = (np.abs(picture - (150, 70, 150)).sum(2) < 60).nonzero()
        assert (xs.mean() + 0.5) * downsample == pytest.approx(1000, abs=3)
        assert (ys.mean() + 0.5) * downsample == pytest.approx(1300, abs=3)
        assert picture[:, :, :].min() > 40


@pytest.mark.parametrize(
    ("full", "stored", "tile", "last", "found"),
    [
        ((2048, 1536), (1024, 768), (256, 256), 1, (2, 2)),
        ((2048, 1536), (512, 512), (256, 256), 2, (4, 4)),
        ((2048, 1536), (256, 256), (256, 256), 4, (8, 8)),
        ((2048, 1536), (256, 256), (256, 256), 8, (16, 16)),
        ((97792, 221184), (1536, 3584), (512, 512), 32, (64, 64)),
        ((97792, 221184), (512, 512), (512, 512), 256, (512, 512)),
        ((1000, 1000), (512, 512), (512, 512), 1, (2, 2)),
        ((4443, 5935), (2221, 2967), (256, 256), 1, (2, 2)),
        ((3000, 2000), (1000, 667), (1, 1), 1, (3, 3)),
        ((1000, 700), (400, 280), (1, 1), 1, (2.5, 2.5)),
        ((8192, 6144), (1100, 900), (256, 256), 4, None),
        ((600, 400), (600, 400), (256, 256), 1, None),
    ],
)
def test_downsamples_are_whole_where_padding_explains_the_rest(full, stored, tile, last, found):
    assert downsample_of(full, stored, tile, last) == found


def test_openslide_keeps_what_it_reads_rightly(tmp_path):
    write_pyramid(tmp_path / "a.tif", waves(), 3)
    assert open_slide(tmp_path / "a.tif", Limits()).info.source == "openslide:generic-tiff"


@pytest.mark.parametrize(("index", "damaged", "good"), [(5, (256, 256), (0, 0)), (0, (0, 0), (300, 300))])
def test_a_damaged_tile_costs_its_place_only(tmp_path, index, damaged, good):
    path = write_ome(tmp_path / "a.ome.tif", waves())
    with tifffile.TiffFile(path) as tiff:
        offset, count = tiff.pages[0].dataoffsets[index], tiff.pages[0].databytecounts[index]
    data = bytearray(path.read_bytes())
    data[offset : offset + count] = b"\x00" * count
    path.write_bytes(data)
    slide = open_slide(path, Limits())
    x, y = good
    assert np.array_equal(slide.read(Window(x, y, 1, 200)), waves()[y : y + 200, x : x + 200])
    with pytest.raises(WsiSamServerError) as caught:
        slide.read(Window(*damaged, 1, 256))
    assert caught.value.reason is Reason.SLIDE_UNREADABLE


@pytest.mark.parametrize("has_names", [True, False], ids=["descriptors", "paths"])
def test_of_a_file_replaced_while_open_the_old_one_is_read_or_none(tmp_path, monkeypatch, has_names):
    if not has_names:
        monkeypatch.setattr(slide_file, "_DESCRIPTORS", None)
    slide = open_slide(write_ome(tmp_path / "a.ome.tif", waves()), Limits())
    write_ome(tmp_path / "b.ome.tif", 255 - waves()).rename(tmp_path / "a.ome.tif")
    if has_names:
        assert np.array_equal(slide.read(Window(0, 0, 1, 64)), waves()[:64, :64])
        return
    with pytest.raises(WsiSamServerError):
        slide.read(Window(0, 0, 1, 64))


@pytest.mark.parametrize(
    ("folder", "file"), [("46-padded-levels", "slide.tif"), ("32-ome-channels", "channels.ome.tif")]
)
def test_faults_from_public_reports(real_slides, folder, file):
    slide = open_slide(real_slides.parents[1] / "faults" / folder / file, Limits())
    if folder.startswith("46"):
        assert slide.info.downsamples == (1, 2, 4, 8)
    assert np.ptp(slide.read(Window(0, 0, 4, 512)).astype(int), axis=2).max() > 50


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("seed", range(3))
def test_damaged_files_are_unreadable_or_read(tmp_path, seed):
    """Nothing else comes out of a parser that is fed whatever bytes, nor does it take long."""
    rng = np.random.default_rng(seed)
    good = write_ome(tmp_path / "good.ome.tif", waves(300, 300), 2).read_bytes()
    path, met = tmp_path / "a.ome.tif", set()
    for _ in range(30):
        data = bytearray(good)
        # Tags lie at the beginning, and after the pixels.
        for place in rng.choice([rng.integers(0, 900), rng.integers(0, len(data))], 4):
            data[place] = rng.integers(0, 256)
        path.write_bytes(data[: rng.choice([len(data), rng.integers(1, len(data))])])
        try:
            slide = open_slide(path, Limits())
            slide.read(Window(0, 0, 1, 64))
            slide.read(Window(0, 0, 2, 64))
        except WsiSamServerError as error:
            met.add(error.reason)
    assert met <= {Reason.SLIDE_UNREADABLE, Reason.SLIDE_TOO_LARGE, Reason.VIEW_TOO_COARSE}
