"""Manifests of the public data sets that the default weights were trained and measured on.

    python benchmarks/manifests.py DATA OUT

DATA holds one folder a data set, as named in `SETS`; which sets they are, from where and under which licences, is in
the model card (wsisam_model/weights/README.md). OUT gets one manifest a set and, where a mask does not hold one number
an object, label images made of it. Splits are by patient, animal or region where the names tell, else by image.
"""

from __future__ import annotations

import csv
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from PIL import Image
from scipy import ndimage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

_TOUCHING = np.ones((3, 3), bool)
_HALF = 127  # masks are 0 and 255, some of them through JPEG


class Labelled(NamedTuple):
    """An image and its objects: a label file that is used as it is, or int32 [H, W].

    The split is "train", "val", or "left out". White is the level of empty glass where it is dark, see `datasets.load`.
    """

    image: Path
    labels: Path | NDArray[np.int32]
    split: str
    white: str = ""


NUINSSEG_WHITE = "165 152 157"  # of all its images, where they show glass: the camera's, not the mirror's

NUINSSEG_HELD_OUT = frozenset(("human_lung", "human_rectum", "mouse_heart"))
"""Organs that only validate. The images of one organ are of few sections, so that single images prove little."""

BCSS_HELD_OUT = ("1005", "1019", "1020", "1129", "1140", "1143", "1151", "TCGA-A2-A0CM")
"""Regions that only validate, one a patient. 1008 and 1015, which train, are TCGA-A2-A0D2 and TCGA-A2-A1G6."""

BCSS_CUT = {"1127": 1, "1128": 1, "1130": 1, "1135": 2, "1137": 1, "1142": 2}
"""Of these regions so many of the largest objects are left out: the annotation ends in straight lines there."""


def parts(mask: NDArray[np.bool_], min_pixels: int) -> NDArray[np.int32]:
    """The connected parts of a mask; smaller ones left out."""
    regions, _ = ndimage.label(mask, _TOUCHING)
    labels = np.zeros(mask.shape, np.int32)
    count = 0
    for number, where in enumerate(ndimage.find_objects(regions), 1):
        part = regions[where] == number
        if part.sum() >= min_pixels:
            count += 1
            labels[where][part] = count
    return labels


def filled(labels: NDArray[np.int32], big_hole: int) -> NDArray[np.int32]:
    """Each object by itself with its holes filled, also those that the image's border cuts open.

    Objects with more than one hole of `big_hole` pixels are left out: two that touch, with what is between them.
    """
    whole = np.zeros_like(labels)
    for number, where in enumerate(ndimage.find_objects(labels), 1):
        part = labels[where] == number
        closed = part.copy()
        for edge, side in (
            (where[0].start == 0, closed[0]),
            (where[0].stop == labels.shape[0], closed[-1]),
            (where[1].start == 0, closed[:, 0]),
            (where[1].stop == labels.shape[1], closed[:, -1]),
        ):
            along = np.flatnonzero(side)
            if edge and along.size:
                side[along[0] : along[-1] + 1] = True
        drawn = ndimage.binary_fill_holes(closed)
        holes, _ = ndimage.label(drawn & ~part)
        if (np.bincount(holes.ravel())[1:] >= big_hole).sum() > 1:
            continue
        # what lies in the hole of another stays itself
        drawn &= np.isin(labels[where], (0, number))
        whole[where][drawn] = number
    return whole


def natural(path: Path) -> list[int | str]:
    """Sorts 9.png before 10.png."""
    return [int(text) if text.isdigit() else text for text in re.split(r"(\d+)", path.name)]


def grey(path: Path) -> NDArray[np.uint8]:
    """A picture without colour, uint8 [H, W]."""
    return np.array(Image.open(path).convert("L"))


def every_fourth(number: int) -> str:
    """Which split an image is in where no name tells whose tissue it is."""
    return "train" if number % 4 else "val"


def dsb(data: Path) -> Iterator[Labelled]:
    """Nuclei in bright field, instances."""
    for number, image in enumerate(sorted((data / "dsb2018_brightfield/images").iterdir())):
        yield Labelled(image, data / "dsb2018_brightfield/labels" / image.name, every_fourth(number))


def nuinsseg(data: Path) -> Iterator[Labelled]:
    """Nuclei of 26 organs; touching nuclei are one object.

    Every seventh image of the data set was taken, and its place among those says which split it is in.
    """
    organs = nuinsseg_organs(data)
    for image in sorted((data / "nuinsseg/images").iterdir(), key=natural):
        mask = grey(data / "nuinsseg/masks" / f"{image.stem}.png") > _HALF
        split = every_fourth((int(image.stem) - 1) // 7)
        if split == "train" and organs[image.stem] in NUINSSEG_HELD_OUT:
            split = "left out"
        yield Labelled(image, parts(mask, 16), split, NUINSSEG_WHITE)


def nuinsseg_more(data: Path) -> Iterator[Labelled]:
    """More nuclei of the same organs, some organs to validate."""
    organs = nuinsseg_organs(data)
    for image in sorted((data / "nuinsseg_more/images").iterdir(), key=natural):
        mask = grey(data / "nuinsseg_more/masks" / f"{image.stem}.png") > _HALF
        split = "val" if organs[image.stem] in NUINSSEG_HELD_OUT else "train"
        yield Labelled(image, parts(mask, 60), split, NUINSSEG_WHITE)


def adipocytes(data: Path) -> Iterator[Labelled]:
    """Fat cells drawn by a machine, not all of them: to train on a little, never to measure by."""
    held_out = {each.image.stem for each in nuinsseg(data) if each.split == "val"}
    for image in sorted((data / "nuinsseg_adipocytes_weak/images").iterdir(), key=natural):
        mask = data / "nuinsseg_adipocytes_weak/masks" / f"{image.stem}.png"
        yield Labelled(image, mask, "left out" if image.stem in held_out else "train", NUINSSEG_WHITE)


def nuinsseg_organs(data: Path) -> dict[str, str]:
    """The organ of each image, guessed from the order of the data set."""
    with (data / "nuinsseg_more/tiles.csv").open(newline="") as file:
        return {row["tile"]: row["organ_guess"] for row in csv.DictReader(file)}


def histolytics(data: Path) -> Iterator[Labelled]:
    """Nuclei drawn by a machine: to train on a little, never to measure by."""
    for image in sorted((data / "histolytics_nuclei/images").iterdir()):
        yield Labelled(image, data / "histolytics_nuclei/masks" / f"{image.stem}.png", "train")


def bcss(data: Path) -> Iterator[Labelled]:
    """Tumour regions of the breast; the last region validates."""
    images = sorted((data / "bcss_regions/images").iterdir())
    for image in images:
        mask = grey(data / "bcss_regions/masks" / image.name) > _HALF
        yield Labelled(image, parts(mask, 400), "val" if image == images[-1] else "train")


def bcss_lowpower(data: Path) -> Iterator[Labelled]:
    """Tumour regions of more breasts, seen from farther away, and tiles of two at twice the pixel size of `bcss`."""
    for folder in ("tumour", "tumour_tiles"):
        for image in sorted((data / "bcss_lowpower" / folder / "images").iterdir()):
            region = image.stem.removeprefix("roi_").split("_")[0]
            labels = parts(grey(data / "bcss_lowpower" / folder / "masks" / image.name) > _HALF, 100)
            yield Labelled(image, without_largest(labels, BCSS_CUT.get(region, 0)), _bcss_split(region))


def bcss_tissues(data: Path) -> Iterator[Labelled]:
    """Tumour, stroma, lymphocytes, necrosis and fat of eight breasts, from far away."""
    for image in sorted((data / "bcss_lowpower/multiclass/images").iterdir()):
        codes = grey(data / "bcss_lowpower/multiclass/masks" / image.name)
        labels = np.zeros(codes.shape, np.int32)
        for code in np.unique(codes[codes > 0]):
            found = parts(codes == code, 150)
            labels[found > 0] = found[found > 0] + labels.max()
        yield Labelled(image, within_annotation(labels, codes > 0), _bcss_split(image.stem))


def _bcss_split(region: str) -> str:
    return "val" if region in BCSS_HELD_OUT else "train"


def without_largest(labels: NDArray[np.int32], count: int) -> NDArray[np.int32]:
    """Leaves the largest objects out, and those that nearly fill the image: there is nothing to outline."""
    areas = np.bincount(labels.ravel())
    areas[0] = 0
    chosen = set(np.argsort(areas)[len(areas) - count :].tolist()) | set(np.flatnonzero(areas > 0.7 * labels.size))
    return np.where(np.isin(labels, list(chosen)), 0, labels)


def within_annotation(labels: NDArray[np.int32], annotated: NDArray[np.bool_]) -> NDArray[np.int32]:
    """Leaves out objects of whose edge more than a tenth is where the annotation ends."""
    near_end = ndimage.binary_dilation(~annotated, _TOUCHING, iterations=2)
    edge = labels != ndimage.grey_erosion(labels, footprint=_TOUCHING)
    edge |= labels != ndimage.grey_dilation(labels, footprint=_TOUCHING)
    length = np.bincount(labels[edge], minlength=labels.max() + 1)
    cut = np.bincount(labels[edge & near_end], minlength=labels.max() + 1)
    return without_largest(np.where(np.isin(labels, np.flatnonzero(cut > 0.1 * length)), 0, labels), 0)


def ocdc(data: Path) -> Iterator[Labelled]:
    """Tumour regions of the mouth, of one slide: an organ that is never trained on."""
    for image in sorted((data / "ocdc_oral/images").iterdir()):
        yield Labelled(image, parts(grey(data / "ocdc_oral/masks" / image.name) > _HALF, 400), "val")


def ocdc_lowpower(data: Path) -> Iterator[Labelled]:
    """More of the same slide, from farther away; it only validates, too."""
    for image in sorted((data / "ocdc_lowpower/images").iterdir()):
        if image.stem.startswith("mosaic"):
            continue  # six of the others put together
        labels = parts(grey(data / "ocdc_lowpower/masks" / f"{image.stem}.png") > _HALF, 100)
        yield Labelled(image, without_largest(labels, 0), "val")


def rings_lowpower(data: Path) -> Iterator[Labelled]:
    """Tumour glands of the prostate from farther away, of patient P5, who trains in `rings` too."""
    for image in sorted((data / "rings_lowpower/images").iterdir()):
        labels = parts(grey(data / "rings_lowpower/masks" / image.name) > _HALF, 100)
        yield Labelled(image, without_largest(labels, 0), "train")


def rings(data: Path) -> Iterator[Labelled]:
    """Glands and tumour of the prostate; patient P3 validates."""
    for image in sorted((data / "rings_prostate/images").iterdir()):
        mask = np.array(Image.open(data / "rings_prostate/masks" / image.name).convert("RGB"))
        labels, tumour = parts(mask[..., 1] > _HALF, 100), parts(mask[..., 0] > _HALF, 100)
        free = (tumour > 0) & (labels == 0)
        labels[free] = tumour[free] + labels.max()
        yield Labelled(image, labels, "val" if image.name.startswith("P3") else "train")


def _testis(data: Path, *, whole: bool) -> Iterator[Labelled]:
    for image in sorted((data / "testis_tubules/images").iterdir()):
        mask = grey(data / "testis_tubules/masks" / f"{image.stem}.png") > _HALF
        check_epithelium(image, mask)
        labels = parts(ndimage.binary_opening(mask, np.ones((5, 5))), 2500)
        labels = filled(labels, 1500) if whole else labels
        split = "train" if image.name.startswith("M04") else "val"
        yield Labelled(image, labels, split, TESTIS_WHITES.get(image.stem[:5], "173 174 172"))


TESTIS_WHITES = {"21669": "165 157 153", "21712": "204 201 202"}  # of the polar bears; all minks are alike


def check_epithelium(image: Path, mask: NDArray[np.bool_]) -> None:
    """Epithelium is darker than lumen and glass together. Masks the wrong way round were taken for right once.

    Raises:
        ValueError: the mask is brighter than the rest.
    """
    pixels = grey(image)
    if pixels[mask].mean() > pixels[~mask].mean():
        raise ValueError(f"{image.name}: the mask is brighter than what is around it; it is the wrong way round")


def testis_rings(data: Path) -> Iterator[Labelled]:
    """Epithelium of testis tubules, rings about a lumen; mink M04 trains, mink M02 and polar bears validate."""
    return _testis(data, whole=False)


def testis_tubules(data: Path) -> Iterator[Labelled]:
    """The same images, whole tubules, lumen included: a click in the ring is ambiguous between the two on purpose."""
    return _testis(data, whole=True)


SETS: dict[Callable[[Path], Iterator[Labelled]], str] = {
    dsb: "",
    nuinsseg: "",
    nuinsseg_more: "",
    adipocytes: "",
    histolytics: "",
    rings: "0.934",
    rings_lowpower: "",
    bcss: "0.25",
    bcss_lowpower: "",
    bcss_tissues: "",
    ocdc: "0.5",
    ocdc_lowpower: "",
    testis_rings: "",
    testis_tubules: "",
}
"""The sets and their microns per pixel, where known."""


def main(data: Path, out: Path) -> None:
    """Writes all manifests."""
    out.mkdir(parents=True, exist_ok=True)
    for labelled, mpp in SETS.items():
        name = labelled.__name__
        rows = []
        for image, labels, split, white in labelled(data):
            if isinstance(labels, Path):
                mask = labels
            else:
                mask = out / "labels" / name / f"{image.stem}.png"
                mask.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(labels.astype(np.uint16)).save(mask)
            rows.append((image.resolve(), mask.resolve(), mpp, split, white))
        with (out / f"{name}.csv").open("w", newline="") as file:
            csv.writer(file).writerows([("image", "mask", "mpp", "split", "white"), *rows])
        print(f"{name}: {len(rows)} images")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
