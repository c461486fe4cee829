"""Where a slide lies in its scanned frame."""

from PIL import Image

from support.sparse_slide import ORIGIN, SIZE, sparse_slide
from wsisam_server.core.geometry import SlideSize
from wsisam_server.core.settings import Limits
from wsisam_server.slides import open_slide


def test_a_scan_that_is_a_part_of_its_frame(tmp_path):
    slide = open_slide(sparse_slide(tmp_path / "sparse.tif"), Limits())
    assert slide.info.size == SlideSize(*SIZE)
    assert slide.info.frame_origin == ORIGIN
    slide.close()


def test_a_plain_image_is_its_frame(tmp_path):
    path = tmp_path / "plain.png"
    Image.new("L", (9, 9)).save(path)
    assert open_slide(path, Limits()).info.frame_origin == (0, 0)
