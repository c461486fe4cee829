"""A file with the name of a slide format is a slide, or an error that says what is missing."""

import numpy as np
import pytest
import tifffile
from PIL import Image

from tests.slides.images import waves, write_pyramid
from wsisam_server.core.errors import Reason, WsiSamServerError
from wsisam_server.core.settings import Limits
from wsisam_server.slides import open_slide

FORMATS = (
    "mrxs vsi vms vmu scn ndpi svs bif svslide czi dcm lif nd2 oib oif oir ets zvi afi isyntax i2syntax lsm stk kfb"
)
FORMATS += " sdpc tmap mdsx sld xlif MRXS Vsi"


def refused(path):
    with pytest.raises(WsiSamServerError) as caught:
        open_slide(path, Limits())
    assert caught.value.reason is Reason.SLIDE_UNREADABLE
    assert str(path.parent) not in caught.value.public_text
    return caught.value.public_text


@pytest.mark.parametrize("suffix", FORMATS.split())
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF"])
def test_a_preview_is_never_the_slide(tmp_path, suffix, kind):
    path = tmp_path / f"case.{suffix}"
    Image.fromarray(waves(60, 40)).save(path, kind)
    assert "damaged, truncated or of an unsupported format" not in refused(path)


@pytest.mark.parametrize("suffix", ["vsi", "scn", "bif", "ndpi"])
def test_nor_is_a_tiled_overview(tmp_path, suffix):
    write_pyramid(tmp_path / f"case.{suffix}", waves(), 2)
    refused(tmp_path / f"case.{suffix}")


def test_the_folder_that_belongs_to_a_mirax_file_is_named(tmp_path):
    Image.fromarray(waves(60, 40)).save(tmp_path / "case.mrxs", "JPEG")
    assert "'case/Slidedat.ini' is missing" in refused(tmp_path / "case.mrxs")
    Image.fromarray(waves(60, 40)).save(tmp_path / f"{'long' * 40}.mrxs", "JPEG")
    assert "Slidedat.ini' is missing" in refused(tmp_path / f"{'long' * 40}.mrxs")


@pytest.mark.parametrize("name", ["a.svs", "a.qptiff", "a.tif", "a.btf"])
def test_any_pyramid_under_these_names_is_read(tmp_path, name):
    write_pyramid(tmp_path / name, waves(), 2)
    assert open_slide(tmp_path / name, Limits()).info.downsamples == (1, 2)


def test_fluorescence_of_akoya_is_refused_in_words(tmp_path):
    tifffile.imwrite(tmp_path / "a.qptiff", np.stack([waves()[..., 0]] * 5), photometric="minisblack", metadata=None)
    assert "channels" in refused(tmp_path / "a.qptiff")


@pytest.mark.parametrize(("name", "words"), [("case.mrxs", "case/Slidedat.ini"), ("case.vsi", "VSI")])
def test_fault_from_public_reports(real_slides, name, words):
    assert words in refused(real_slides.parents[1] / "faults" / "47-companion-missing" / name)
