"""The contact sheet shows what is drawn, and warns of what has spoilt runs before."""

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from wsisam_server.cli import main
from wsisam_server.learning.datasets import Row
from wsisam_server.learning.evaluation import contact_sheet
from wsisam_server.learning.evaluation.sheet import CELL


@pytest.fixture
def drawn(tmp_path):
    """Writes an image of dark discs on glass of some white and its mask, upside down if wanted."""

    def write(name="a", white=245, *, inverted=False, mask_side=96):
        y, x = np.mgrid[:96, :96]
        discs = ((x % 48 - 24) ** 2 + (y % 48 - 24) ** 2) < 15**2
        image = np.where(discs[..., None], (120, 60, 140), (white, white - 4, white)).astype(np.uint8)
        mask = np.where(discs != inverted, 255, 0).astype(np.uint8)[:mask_side, :mask_side]
        Image.fromarray(image).save(tmp_path / f"{name}.png")
        Image.fromarray(mask).save(tmp_path / f"{name}_mask.png")
        return Row(2, tmp_path / f"{name}.png", tmp_path / f"{name}_mask.png")

    return write


def problems(*rows):
    return [str(finding) for finding in contact_sheet(rows, connected_parts=True)[1]]


def test_good_data_passes_without_a_word(drawn):
    assert problems(drawn(), drawn("b", white=230)) == []


def test_a_mask_the_wrong_way_round(drawn):
    (problem,) = problems(drawn(), drawn("b", inverted=True))
    assert problem.startswith("line 2, b.png: the objects are brighter than the rest by 1")
    assert "wrong way round" in problem


def test_a_grey_background_is_a_warning_about_the_set_with_the_numbers_to_write(drawn):
    (problem,) = problems(drawn(white=165), drawn("b", white=165))
    assert "165 161 165" in problem
    assert "column 'white'" in problem
    assert problems(drawn(white=165), drawn("b", white=245)) == []


def test_a_mask_that_does_not_fit_is_listed_with_the_others(drawn):
    size, white = problems(drawn(white=170), drawn("b", mask_side=90))
    assert "90 x 90" in size
    assert "170" in white


def test_an_image_without_an_object_and_an_object_without_an_edge(drawn, tmp_path):
    row, other = drawn(), drawn("b")
    Image.new("L", (96, 96)).save(row.mask)
    Image.new("L", (96, 96), 255).save(other.mask)
    nothing, full = problems(row, other)
    assert "no object" in nothing
    assert "covers 100%" in full


def test_the_sheet_has_a_cell_for_each_image_with_edges_and_tint(drawn):
    sheet, _ = contact_sheet([drawn(), drawn("b")], connected_parts=True)
    pixels = np.asarray(sheet)
    assert pixels.shape == (CELL + 14, 2 * CELL, 3)
    for cell in (pixels[:, :CELL], pixels[:, CELL:]):
        assert 0.01 < (cell == (255, 235, 0)).all(axis=2).mean() < 0.2
        assert tuple(cell[14 + 64, 64]) == (90, 95, 127)


def test_the_command_asks_no_model(drawn, tmp_path):
    drawn(white=165)
    manifest = tmp_path / "set.csv"
    manifest.write_text("image,mask\na.png,a_mask.png\n")
    done = CliRunner().invoke(
        main, ["evaluate", str(manifest), "--connected-parts", "--sheet", str(tmp_path / "sheet.png")]
    )
    assert done.exit_code == 0, done.output
    assert "165 161 165" in done.output
    assert "1 images, 1 warnings" in done.output
    with Image.open(tmp_path / "sheet.png") as sheet:
        assert sheet.size == (CELL, CELL + 14)
    wrong = CliRunner().invoke(main, ["evaluate", str(manifest), "--sheet", str(tmp_path / "sheet.txt")])
    assert wrong.exit_code == 2
    assert "must end in .png" in wrong.output
