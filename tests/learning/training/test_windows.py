"""Windows show their object as the server would, and labels lie where the pixels are."""

import numpy as np
import pytest

from wsisam_server.core.geometry import Window
from wsisam_server.learning.datasets import Sample, objects
from wsisam_server.learning.training import windows
from wsisam_server.learning.training.augment import Augmentation
from wsisam_server.learning.training.windows import labels_in, read_labels, read_pixels


@pytest.fixture(scope="module")
def sample():
    """One ellipse of 60 x 40 pixels on a large image."""
    y, x = np.mgrid[:900, :1200]
    labels = (((x - 500) / 30) ** 2 + ((y - 400) / 20) ** 2 < 1).astype(np.int32)
    image = np.where(labels[..., None] > 0, (90, 40, 120), (235, 200, 220)).astype(np.uint8)
    return Sample(image, labels, None)


def test_objects_take_the_shares_of_the_window_that_the_planner_gives_them(sample):
    (item,) = objects(sample.labels)
    extent = item.box[2] - item.box[0]
    random = np.random.default_rng(0)
    drawn = [windows.draw(sample, [item], 256, random) for _ in range(300)]
    shares = np.array([extent / each.field.high.extent for each in drawn])
    assert 0.08 <= shares.min() < 0.12
    assert 0.75 < shares.max() <= 0.8
    assert 0.7 < ((shares > 0.25) & (shares < 0.7)).mean() < 0.85
    for each in drawn:
        region = each.field.high.region
        assert region.x0 >= 0
        assert region.y0 >= 0
        assert region.x1 <= 1200
        assert region.y1 <= 900
        assert (read_labels(sample, each.field.high, each.augmentation) == item.label).any()


def test_wide_views_show_objects_small_and_cut(sample):
    (item,) = objects(sample.labels)
    extent = item.box[2] - item.box[0]
    random = np.random.default_rng(0)
    drawn = [windows.draw(sample, [item], 256, random, wide=True) for _ in range(300)]
    shares = np.array([extent / each.field.high.extent for each in drawn])
    assert 1 / 12 <= shares.min() < 0.1
    assert 1.5 < shares.max() <= 1.6
    assert 0.25 < (shares < 0.25).mean() < 0.45
    assert 0.05 < (shares > 1).mean() < 0.15
    for each in drawn:
        assert (read_labels(sample, each.field.high, each.augmentation) == item.label).sum() > 40


def test_a_window_is_no_larger_than_the_image_needs():
    labels = np.zeros((100, 160), np.int32)
    labels[10:90, 10:150] = 1
    image = Sample(np.zeros((100, 160, 3), np.uint8), labels, None)
    for seed in range(20):
        window = windows.draw(image, objects(labels), 256, np.random.default_rng(seed)).field.high
        assert window.extent <= 160 / 0.875
        assert window.y == pytest.approx((100 - window.extent) / 2)


def test_points_lie_inside_and_rather_in_the_middle(sample):
    mask = sample.labels[380:420, 470:530] > 0
    points = [windows.interior_point(mask, np.random.default_rng(seed)) for seed in range(200)]
    assert all(mask[int(y), int(x)] for x, y in points)
    assert np.abs(np.mean(points, axis=0) - (30, 20)).max() < 2
    off = [abs(y - 20) for _, y in points]
    assert np.mean(off) < 6  # 8.5 if all points were as likely
    assert max(off) > 10


@pytest.mark.parametrize("turns", range(4))
@pytest.mark.parametrize("mirrored", [False, True])
def test_labels_lie_where_the_pixels_are(sample, turns, mirrored):
    window = Window(440.3, 345.7, 0.5, 256)
    augmentation = Augmentation(turns, mirrored)
    pixels = read_pixels(sample, window, augmentation)
    labels = read_labels(sample, window, augmentation)
    dark = pixels[..., 1] < 120
    assert (dark != (labels > 0)).mean() < 0.01
    assert 0.1 < dark.mean() < 0.2


def test_beyond_the_image_there_is_no_object():
    labels = np.ones((10, 20), np.int32)
    found = labels_in(labels, Window(-10, -5, 40 / 256, 256))
    assert found[:, :64].sum() == 0
    assert found[32:96, 64:192].all()
    assert found.sum() == 64 * 128


def test_a_stain_changes_tissue_and_not_background():
    image = np.full((4, 4, 3), 255, np.uint8)
    image[0] = (150, 80, 160)
    same = Augmentation().stain(image)
    assert same is image
    more = Augmentation(amounts=(1.25, 1.0, 1.0)).stain(image)
    assert (more[0] < image[0]).all()
    assert (more[1:] == 255).all()


def test_a_darker_white_darkens_background_and_tissue_alike():
    image = np.full((4, 4, 3), 250, np.uint8)
    image[0] = (150, 80, 160)
    dark = Augmentation(white=(0.64, 0.6, 0.62)).stain(image)
    assert tuple(dark[3, 3]) == (160, 150, 155)
    assert tuple(dark[0, 0]) == (96, 48, 99)
    whites = [Augmentation.draw(np.random.default_rng(seed)).white for seed in range(300)]
    assert 0.2 < np.mean([white != (1.0, 1.0, 1.0) for white in whites]) < 0.4
    assert 0.5 < np.min(whites) < 0.65


def test_one_image_more_changes_no_draw_of_the_others():
    one, other = windows.generator(0, "a.png", 0), windows.generator(0, "b.png", 0)
    assert windows.generator(0, "a.png", 0).random() == one.random() != other.random()


def test_without_variation_only_scale_and_stain_stay_the_same(sample):
    items = objects(sample.labels)
    drawn, same = (
        [
            windows.draw(sample, items, 256, np.random.default_rng(seed), vary_scale=vary, vary_stain=vary)
            for seed in range(20)
        ]
        for vary in (True, False)
    )
    extent = items[0].box[2] - items[0].box[0]
    for varied, plain in zip(drawn, same, strict=True):
        assert plain.field.high.extent == pytest.approx(2 * extent)
        assert plain.augmentation == Augmentation(varied.augmentation.quarter_turns, varied.augmentation.mirrored)
    assert len({each.field.high.extent for each in drawn}) > 10
    assert len({each.augmentation.amounts for each in drawn}) > 10
