"""Data sets are split by image, and their windows dealt out as asked."""

import pytest

from wsisam_server.learning.datasets import Row
from wsisam_server.learning.training import Source, TrainingError
from wsisam_server.learning.training.sources import allot, shares, split_rows


@pytest.fixture
def write(tmp_path):
    def make(*lines, header="image,mask,split"):
        path = tmp_path / "set.csv"
        path.write_text("\n".join([header, *lines]) + "\n")
        return Source(path)

    return make


def names(rows):
    return [row.image.name for row in rows]


def test_the_manifest_says_which_images_validate(write):
    train, val = split_rows(write("a.png,a_m.png,train", "b.png,b_m.png,val", "c.png,c_m.png,test"))
    assert (names(train), names(val)) == (["a.png"], ["b.png"])


def test_an_image_never_is_in_both_splits(write):
    with pytest.raises(TrainingError, match=r"a\.png is in both splits"):
        split_rows(write("a.png,nuclei.png,train", "a.png,glands.png,val"))


def test_without_a_split_about_every_fifth_image_validates_with_all_its_masks(write):
    lines = [f"{index}.png,{mask}_{index}.png" for index in range(100) for mask in ("nuclei", "glands")]
    train, val = split_rows(write(*lines, header="image,mask"))
    assert 20 <= len(val) <= 60
    assert len(train) + len(val) == 200
    assert not set(names(train)) & set(names(val))
    assert all(names(val).count(name) == 2 for name in names(val))


@pytest.mark.parametrize("count", range(2, 8))
def test_small_sets_validate_on_something_too(write, count):
    train, val = split_rows(write(*(f"{index}.png,m{index}.png" for index in range(count)), header="image,mask"))
    assert train
    assert val


@pytest.mark.parametrize(("count", "images"), [(0, 3), (2, 5), (5, 5), (12, 5), (3, 0)])
def test_windows_are_dealt_out_evenly(tmp_path, count, images):
    rows = [Row(line, tmp_path / f"{line}.png", tmp_path / f"{line}_m.png") for line in range(images)]
    dealt = allot(count, rows)
    assert sum(each for _, each in dealt) == (count if images else 0)
    assert len({row.line for row, _ in dealt}) == min(count, images)
    assert not dealt or max(each for _, each in dealt) - min(each for _, each in dealt) <= 1


def test_weights_share_the_windows_out(tmp_path):
    assert shares([Source(tmp_path), Source(tmp_path, 0.5), Source(tmp_path, 0.5)], 400) == [200, 100, 100]
