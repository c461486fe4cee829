"""`--mpp` and `--slide-mpp`: how large a pixel is where the slide's file does not say, and what is said of it."""

import pytest
import tifffile
from click.testing import CliRunner

from support.dark_parts import DarkParts
from support.server import around, picture
from wsisam_server.cli import main, model

pytestmark = pytest.mark.slow

REAL = model.load_model

_BOX = around("a").box
BOX = f"{_BOX.x0:g},{_BOX.y0:g},{_BOX.x1:g},{_BOX.y1:g}"


@pytest.fixture
def slides(tmp_path, monkeypatch):
    """One that says nothing, one that says 0.5, and one of wide pixels; the model costs nothing."""
    monkeypatch.setattr(model, "load_model", lambda **_: DarkParts())
    for name, sizes in {"silent": {}, "measured": (0.5, 0.5), "wide": (0.5, 0.25)}.items():
        metadata = {
            "axes": "YXS",
            **(dict(zip(("PhysicalSizeX", "PhysicalSizeY"), sizes, strict=True)) if sizes else {}),
        }
        tifffile.imwrite(tmp_path / f"{name}.ome.tif", picture(), photometric="rgb", metadata=metadata)
    return tmp_path


def run(*words):
    done = CliRunner().invoke(main, [str(word) for word in words])
    assert done.exit_code == 0, done.output
    return done


@pytest.mark.parametrize("option", ["--mpp", "--slide-mpp"])
def test_sizes_are_microns_where_either_says_so(slides, option):
    sizes = ("--box", "150,150,250,250", "--min-size", 40, "--max-size", 80)
    assert "sizes in pixels" in run("everything", slides / "silent.ome.tif", *sizes).stdout
    done = run("everything", slides / "silent.ome.tif", *sizes, option, 0.5)
    assert "sizes in microns" in done.stdout
    assert "1 objects" in done.stdout  # the disc, 120 px wide
    assert "warning" not in done.stderr


def test_the_files_own_counts_and_a_difference_is_said(slides):
    for command in (("segment", "--box", BOX), ("everything", "--box", "0,0,60,60", "--min-size", 4, "--max-size", 15)):
        for given, warned in ((0.505, False), (0.25, True)):
            done = run(command[0], slides / "measured.ome.tif", *command[1:], "--mpp", given)
            assert ("0.25 microns was given, but the slide's file says 0.5" in done.stderr) is warned


def test_pixels_that_are_not_square_are_said(slides):
    done = run("segment", slides / "wide.ome.tif", "--box", BOX)
    assert "0.5 microns wide and 0.25 high" in done.stderr


def test_precompute_works_at_a_resolution_of_a_slide_that_says_nothing(slides, monkeypatch):
    monkeypatch.setattr(model, "load_model", REAL)
    words = ("precompute", slides / "silent.ome.tif", "--mpp", 1, "--dry-run", "--embedding-store", slides / "store")
    refused = CliRunner().invoke(main, [str(word) for word in words])
    assert refused.exit_code == 2
    assert "--slide-mpp" in refused.output
    assert "at downsample 2 (1.00 microns per pixel)" in run(*words, "--slide-mpp", 0.5).stdout


@pytest.mark.parametrize("value", ["0", "353", "nan", "wide"])
def test_one_that_no_microscope_has_is_wrong_usage(slides, value):
    done = CliRunner().invoke(main, ["segment", str(slides / "silent.ome.tif"), "--box", BOX, "--mpp", value])
    assert done.exit_code == 2
    assert "--mpp" in done.output
