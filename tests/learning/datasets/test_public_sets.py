"""The script that makes the public sets' manifests: what is an object, and what stays on which side of the split."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

SCRIPT = Path(__file__).parents[3] / "benchmarks" / "manifests.py"


@pytest.fixture(scope="module")
def script():
    spec = importlib.util.spec_from_file_location("public_sets", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def ring(labels, number, x, y, outer, inner):
    down, across = np.mgrid[: labels.shape[0], : labels.shape[1]]
    far = (across - x) ** 2 + (down - y) ** 2
    labels[(far < outer**2) & (far >= inner**2)] = number


def test_a_ring_is_filled_also_where_the_border_cuts_it_open(script):
    labels = np.zeros((200, 200), np.int32)
    ring(labels, 1, 60, 60, 30, 15)
    ring(labels, 2, 130, 199, 40, 20)
    whole = script.filled(labels, 100)
    assert whole[60, 60] == 1
    assert whole[198, 130] == 2
    assert (whole[:30] == 0).all()
    assert (whole > 0).sum() == pytest.approx(np.pi * 30**2 + np.pi * 40**2 / 2, rel=0.03)


def test_two_that_touch_are_no_tubule_and_what_lies_in_another_stays_itself(script):
    labels = np.zeros((200, 200), np.int32)
    ring(labels, 1, 50, 50, 30, 15)
    ring(labels, 1, 108, 50, 30, 15)
    ring(labels, 2, 100, 145, 45, 30)
    labels[140:150, 95:105] = 3
    whole = script.filled(labels, 100)
    assert set(np.unique(whole)) == {0, 2, 3}
    assert whole[145, 100] == 3
    assert whole[145, 120] == 2


def test_inverted_masks_of_epithelium_are_refused(script, tmp_path):
    labels = np.zeros((100, 100), np.int32)
    ring(labels, 1, 50, 50, 40, 20)
    path = tmp_path / "tubule.png"
    Image.fromarray(np.where(labels > 0, 90, 170).astype(np.uint8)).save(path)
    script.check_epithelium(path, labels > 0)
    with pytest.raises(ValueError, match="wrong way round"):
        script.check_epithelium(path, labels == 0)


def test_objects_that_end_with_the_annotation_are_left_out(script):
    labels = np.zeros((120, 120), np.int32)
    labels[20:50, 20:50] = 1
    labels[60:100, 60:100] = 2
    annotated = np.zeros(labels.shape, bool)
    annotated[10:100, 10:110] = True
    assert set(np.unique(script.within_annotation(labels, annotated))) == {0, 1}


def test_the_largest_and_those_that_fill_the_image_are_left_out(script):
    labels = np.zeros((100, 100), np.int32)
    labels[:20, :20], labels[50:60, 50:60] = 1, 2
    assert set(np.unique(script.without_largest(labels, 1))) == {0, 2}
    assert set(np.unique(script.without_largest(labels, 0))) == {0, 1, 2}
    labels[31:] = 3
    assert set(np.unique(script.without_largest(labels, 0))) == {0, 1, 3}
    labels[25:] = 3
    assert set(np.unique(script.without_largest(labels, 0))) == {0, 1}


@pytest.fixture(scope="module")
def splits(script):
    """What each image is for, by set; needs the shared data."""
    data = Path(__file__).parents[3].parent / "shared" / "data"
    if not (data / "nuinsseg_more").is_dir():
        pytest.skip("needs the shared data sets")
    makers = (script.nuinsseg, script.adipocytes, script.bcss, script.bcss_lowpower, script.bcss_tissues)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(script, "grey", lambda _: np.zeros((4, 4), np.uint8))  # splits are told from names alone
        return {make.__name__: {each.image.stem: each.split for each in make(data)} for make in makers}


def test_nothing_trains_that_validates_elsewhere(splits):
    held_out = {name for name, split in splits["nuinsseg"].items() if split == "val"}
    assert len(held_out) == 21
    assert held_out >= {"1", "29", "57"}
    trained = {name for name, split in splits["adipocytes"].items() if split == "train"}
    assert not trained & held_out
    assert splits["bcss"] == {"1008": "train", "1015": "train", "1019": "val"}
    assert splits["bcss_tissues"]["TCGA-A2-A0D2"] == splits["bcss_tissues"]["TCGA-A2-A1G6"] == "train"
    tiles = {name[:4]: split for name, split in splits["bcss_lowpower"].items() if name[0] == "1"}
    assert tiles == {"1001": "train", "1151": "val"}
