"""Images and masks: the forms that are taken, and the words for those that are not."""

from dataclasses import replace

import numpy as np
import pytest
import tifffile
from PIL import Image

from wsisam_server.learning.datasets import DatasetError, Row, load


@pytest.fixture
def row(folder):
    return Row(4, folder / "image.png", folder / "mask.png", 0.5, "val")


def test_pixels_and_labels(row):
    sample = load(row)
    assert (sample.image.shape, sample.image.dtype) == ((30, 40, 3), np.uint8)
    assert (sample.labels.shape, sample.labels.dtype) == ((30, 40), np.int32)
    assert set(np.unique(sample.labels)) == {0, 1, 7}
    assert sample.mpp == 0.5
    assert tuple(sample.image[10, 10]) == (120, 60, 140)


def test_a_dark_white_is_scaled_to_that_of_slides(row):
    image = np.full((30, 40, 3), (165, 152, 157), np.uint8)
    image[5:15, 5:15] = (80, 40, 90)
    image[0, 0] = 180
    Image.fromarray(image).save(row.image)
    scaled = load(replace(row, white=(165, 152, 157))).image
    assert tuple(scaled[20, 20]) == (250, 250, 250)
    assert tuple(scaled[10, 10]) == (121, 66, 143)
    assert tuple(scaled[0, 0]) == (255, 255, 255)
    assert (load(row).image == image).all()


def test_sixteen_bit_labels(row):
    labels = np.zeros((30, 40), np.uint16)
    labels[3:9, 3:9] = 65535
    Image.fromarray(labels).save(row.mask)
    assert load(row).labels.max() == 65535


def test_a_palette_image_holds_labels_as_indices(row):
    mask = Image.open(row.mask).convert("P")
    mask.putpalette([0, 0, 0, 255, 0, 0] + [9] * 762)
    labels = np.asarray(mask)
    mask.save(row.mask)
    assert (load(row).labels == labels).all()


def test_grey_stored_as_rgb(row):
    labels = np.asarray(Image.open(row.mask))
    Image.open(row.mask).convert("RGB").save(row.mask)
    assert (load(row).labels == labels).all()


def test_opaque_alpha_is_dropped(row):
    Image.open(row.image).convert("RGBA").save(row.image)
    assert tuple(load(row).image[10, 10]) == (120, 60, 140)


def binary(row, value=255):
    """Two squares that touch at a corner, and one beside them."""
    mask = np.zeros((30, 40), np.uint8)
    mask[2:8, 2:8] = mask[8:14, 8:14] = mask[20:28, 20:28] = value
    Image.fromarray(mask).save(row.mask)
    return mask


@pytest.mark.parametrize("value", [1, 255])
def test_connected_parts(row, value):
    binary(row, value)
    labels = load(row, connected_parts=True).labels
    assert labels.max() == 2
    assert labels[3, 3] == labels[10, 10] != labels[22, 22]


def test_a_binary_mask_is_one_object_unless_asked_otherwise(row):
    binary(row)
    assert set(np.unique(load(row).labels)) == {0, 255}


def test_one_bit_masks(row):
    mask = binary(row)
    Image.fromarray(mask > 0).save(row.mask)
    assert set(np.unique(load(row).labels)) == {0, 1}


def test_a_jpeg_mask_is_cut_in_the_middle(row, folder):
    mask = binary(row)
    path = folder / "mask.jpg"
    Image.fromarray(mask).convert("RGB").save(path, quality=95)
    labels = load(Row(2, row.image, path), connected_parts=True).labels
    assert ((labels > 0) == (mask > 0)).mean() > 0.98
    assert labels.max() == 2


def test_no_object_is_no_error(row):
    Image.new("L", (40, 30)).save(row.mask)
    assert load(row, connected_parts=True).labels.max() == 0


def cmyk(row):
    path = row.image.with_suffix(".jpg")
    Image.open(row.image).convert("CMYK").save(path)
    return Row(4, path, row.mask)


def transparent(row):
    image = Image.open(row.image).convert("RGBA")
    image.putpixel((0, 0), (0, 0, 0, 254))
    image.save(row.image)
    return row


def transparent_palette(row):
    image = Image.open(row.image).convert("P")
    image.save(row.image, transparency=image.getpixel((0, 0)))
    return row


def smaller_mask(row):
    Image.open(row.mask).crop((0, 0, 39, 30)).save(row.mask)
    return row


def missing_image(row):
    row.image.unlink()
    return row


def truncated_mask(row):
    row.mask.write_bytes(row.mask.read_bytes()[:60])
    return row


def text_mask(row):
    row.mask.write_text("no image")
    return row


def coloured_mask(row):
    Image.open(row.image).save(row.mask)
    return row


def jpeg_mask(row):
    path = row.mask.with_suffix(".jpg")
    Image.open(row.mask).save(path)
    return Row(4, row.image, path)


def float_mask(row):
    path = row.mask.with_suffix(".tif")
    Image.open(row.mask).convert("F").save(path)
    return Row(4, row.image, path)


def negative_labels(row):
    path = row.mask.with_suffix(".tif")
    Image.fromarray(np.full((30, 40), -1, np.int32)).save(path)
    return Row(4, row.image, path)


@pytest.mark.parametrize(
    ("spoil", "at_fault", "says"),
    [
        (cmyk, "image", "CMYK; convert the image to RGB"),
        (transparent, "image", "transparent"),
        (transparent_palette, "image", "transparent"),
        (smaller_mask, "mask", "the mask is 39 x 30 pixels, its image image.png 40 x 30"),
        (missing_image, "image", "no such file"),
        (truncated_mask, "mask", "cannot be read as an image"),
        (text_mask, "mask", "cannot be read as an image"),
        (coloured_mask, "mask", "not one number each"),
        (jpeg_mask, "mask", "--connected-parts"),
        (float_mask, "mask", "not one number each"),
        (negative_labels, "mask", "between 0 and 65535"),
    ],
)
def test_errors_name_the_row_and_the_file(row, spoil, at_fault, says):
    spoiled = spoil(row)
    with pytest.raises(DatasetError) as caught:
        load(spoiled)
    assert caught.value.line == 4
    assert caught.value.file == getattr(spoiled, at_fault)
    assert says in caught.value.problem
    assert "row at line 4" in str(caught.value)


def test_labels_are_not_split_into_parts(row):
    with pytest.raises(DatasetError, match="more than two values"):
        load(row, connected_parts=True)


@pytest.mark.parametrize("bits", [np.int64, np.float64, np.dtype(">u4")])
def test_a_label_image_of_a_kind_that_is_not_read_says_what_to_save(folder, bits):
    tifffile.imwrite(folder / "mask.tif", np.ones((30, 40), bits), byteorder=">" if bits == np.dtype(">u4") else "<")
    with pytest.raises(DatasetError, match="8 or 16 bits"):
        load(Row(2, folder / "image.png", folder / "mask.tif"))
