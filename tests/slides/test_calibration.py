"""How large a pixel is: OME-XML, ImageJ's and other TIFF tags, and whose word counts."""

import numpy as np
import pytest
import tifffile

from wsisam_server.core.geometry import SlideSize
from wsisam_server.core.pixel_size import Axes, PixelSize, PixelSizeSource, differs
from wsisam_server.core.settings import Limits
from wsisam_server.slides import PushedSlide, open_slide
from wsisam_server.slides.calibration import ome_axes

PIXELS = np.full((300, 300, 3), 200, np.uint8)
HEAD = '<?xml version="1.0" encoding="UTF-8"?><OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06">'


def ome(attributes, image="<Image>{}</Image></OME>"):
    return HEAD + image.format(f"<Pixels {attributes}/>")


def info(path):
    slide = open_slide(path, Limits())
    slide.close()
    return slide.info


@pytest.mark.parametrize("options", [{"tile": (256, 256)}, {}], ids=["openslide", "plain"])
def test_ome_tiff_says_its_pixel_size_without_resolution_tags(tmp_path, options):
    path = tmp_path / "a.ome.tif"
    size = {"PhysicalSizeX": 250.0, "PhysicalSizeY": 500.0, "PhysicalSizeXUnit": "nm", "PhysicalSizeYUnit": "nm"}
    tifffile.imwrite(path, PIXELS, photometric="rgb", metadata={"axes": "YXS", **size}, **options)
    found = info(path)
    assert found.mpp == pytest.approx(0.375)
    assert (found.axes.x, found.axes.y, found.axes.are_square) == (0.25, 0.5, False)


@pytest.mark.parametrize("options", [{"tile": (256, 256)}, {}], ids=["openslide", "plain"])
def test_ome_xml_counts_before_a_printers_resolution(tmp_path, options):
    path = tmp_path / "a.ome.tif"
    size = {"PhysicalSizeX": 0.5, "PhysicalSizeY": 0.5, "PhysicalSizeXUnit": "µm", "PhysicalSizeYUnit": "µm"}
    more = {"resolution": (5000, 5000), "resolutionunit": "CENTIMETER", **options}
    tifffile.imwrite(path, PIXELS, photometric="rgb", metadata={"axes": "YXS", **size}, **more)
    assert info(path).mpp == 0.5


@pytest.mark.parametrize("unit", ["micron", "um", "\\u00B5m"])
def test_imagej_writes_its_unit_into_the_description(tmp_path, unit):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, PIXELS, imagej=True, resolution=(4, 4), metadata={"unit": unit})
    assert info(path).mpp == 0.25


@pytest.mark.parametrize(
    ("attributes", "mpp"),
    [
        ('PhysicalSizeX="0.5" PhysicalSizeY="0.5"', 0.5),
        ('PhysicalSizeX="5.0E-1" PhysicalSizeY="0.5" PhysicalSizeXUnit="µm" PhysicalSizeYUnit="μm"', 0.5),
        ('PhysicalSizeX="0.0005" PhysicalSizeXUnit="mm" PhysicalSizeY="0.5"', 0.5),
        ('PhysicalSizeX="5000" PhysicalSizeXUnit="Å" PhysicalSizeY="5000" PhysicalSizeYUnit="Å"', 0.5),
        ('PhysicalSizeX="0.5"', None),
        ('PhysicalSizeX="1" PhysicalSizeY="1" PhysicalSizeXUnit="pixel" PhysicalSizeYUnit="pixel"', None),
        ('PhysicalSizeX="1" PhysicalSizeY="1" PhysicalSizeXUnit="reference frame"', None),
        ('PhysicalSizeX="0" PhysicalSizeY="0"', None),
        ('PhysicalSizeX="NaN" PhysicalSizeY="0.5"', None),
        ('PhysicalSizeX="wide" PhysicalSizeY="0.5"', None),
        ('PhysicalSizeX="353" PhysicalSizeY="353"', None),
        ("", None),
    ],
)
def test_units_of_ome_xml(attributes, mpp):
    found = ome_axes(ome(attributes))
    assert (found and found.mean) == (None if mpp is None else pytest.approx(mpp))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "<OME",
        "Aperio Image Library <OME>",
        HEAD,
        '<!DOCTYPE OME [<!ENTITY a "0.5">]><OME><Pixels PhysicalSizeX="&a;" PhysicalSizeY="&a;"/></OME>',
    ],
)
def test_what_is_no_ome_xml_says_nothing(text):
    assert ome_axes(text) is None


def test_the_first_image_counts_and_prefixes_do_not():
    label = '<Pixels PhysicalSizeX="9" PhysicalSizeY="9"/></Image></OME>'
    assert ome_axes(ome('PhysicalSizeX="0.5" PhysicalSizeY="0.5"', "<Image>{}</Image><Image>" + label)).mean == 0.5
    text = '<o:OME xmlns:o="x"><o:Pixels PhysicalSizeX="0.5" PhysicalSizeY="0.5"/></o:OME>'
    assert ome_axes(text).mean == 0.5


def test_the_files_size_counts_and_the_clients_where_there_is_none():
    slide, client = PixelSizeSource.SLIDE, PixelSizeSource.CLIENT
    assert PixelSize.chosen(None, None) == PixelSize()
    assert PixelSize.chosen(None, 0.5) == PixelSize(0.5, client)
    assert PixelSize.chosen(0.25, None) == PixelSize(0.25, slide)
    assert PixelSize.chosen(0.25, 0.2549) == PixelSize(0.25, slide)
    assert PixelSize.chosen(0.25, 0.2551) == PixelSize(0.25, slide, 0.2551)
    assert not differs(0.25, None)


def test_in_pixel_mode_all_comes_from_the_client():
    info = PushedSlide(SlideSize(9, 9), 0.5, limit_bytes=1).info
    assert info.pixel_size(None) == PixelSize(0.5, PixelSizeSource.CLIENT)
    assert info.pixel_size(0.25) == PixelSize(0.25, PixelSizeSource.CLIENT)


def test_nearly_square_is_square():
    assert Axes(0.25, 0.2549).are_square
    assert not Axes(0.25, 0.26).are_square
