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
    """An image and its objects: a label file that is used as it is, or int32 [H, W]."""

    image: Path
    labels: Path | NDArray[np.int32]
    split: str


def parts(mask: NDArray[np.bool_], min_pixels: int, *, filled: bool = False) -> NDArray[np.int32]:
    """The connected parts of a mask, each by itself with its holes filled if wanted; smaller ones left out."""
    regions, _ = ndimage.label(mask, _TOUCHING)
    labels = np.zeros(mask.shape, np.int32)
    count = 0
    for number, where in enumerate(ndimage.find_objects(regions), 1):
        part = regions[where] == number
        if part.sum() < min_pixels:
            continue
        count += 1
        view = labels[where]
        # what lies in the hole of another stays itself
        drawn = ndimage.binary_fill_holes(part) & (view == 0) if filled else part
        view[drawn | part] = count
    return labels


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
    """Nuclei of 31 organs; touching nuclei are one object."""
    for number, image in enumerate(sorted((data / "nuinsseg/images").iterdir(), key=natural)):
        mask = grey(data / "nuinsseg/masks" / f"{image.stem}.png") > _HALF
        yield Labelled(image, parts(mask, 16), every_fourth(number))


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


def ocdc(data: Path) -> Iterator[Labelled]:
    """Tumour regions of the mouth, of one slide: an organ that is never trained on."""
    for image in sorted((data / "ocdc_oral/images").iterdir()):
        yield Labelled(image, parts(grey(data / "ocdc_oral/masks" / image.name) > _HALF, 400), "val")


def rings(data: Path) -> Iterator[Labelled]:
    """Glands and tumour of the prostate; patient P3 validates."""
    for image in sorted((data / "rings_prostate/images").iterdir()):
        mask = np.array(Image.open(data / "rings_prostate/masks" / image.name).convert("RGB"))
        labels, tumour = parts(mask[..., 1] > _HALF, 100), parts(mask[..., 0] > _HALF, 100)
        free = (tumour > 0) & (labels == 0)
        labels[free] = tumour[free] + labels.max()
        yield Labelled(image, labels, "val" if image.name.startswith("P3") else "train")


def _testis(data: Path, *, filled: bool) -> Iterator[Labelled]:
    for image in sorted((data / "testis_tubules/images").iterdir()):
        mask = grey(data / "testis_tubules/masks" / f"{image.stem}.png") > _HALF
        labels = parts(ndimage.binary_opening(mask, np.ones((5, 5))), 2500, filled=filled)
        yield Labelled(image, labels, "train" if image.name.startswith("M04") else "val")


def testis_rings(data: Path) -> Iterator[Labelled]:
    """Epithelium of testis tubules; mink M04 trains, mink M02 and polar bears validate."""
    return _testis(data, filled=False)


def testis_tubules(data: Path) -> Iterator[Labelled]:
    """The same images, whole tubules: a click in the ring is ambiguous between the two on purpose."""
    return _testis(data, filled=True)


SETS: dict[Callable[[Path], Iterator[Labelled]], str] = {
    dsb: "",
    nuinsseg: "",
    histolytics: "",
    rings: "0.934",
    bcss: "0.25",
    ocdc: "0.5",
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
        for image, labels, split in labelled(data):
            if isinstance(labels, Path):
                mask = labels
            else:
                mask = out / "labels" / name / f"{image.stem}.png"
                mask.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(labels.astype(np.uint16)).save(mask)
            rows.append((image.resolve(), mask.resolve(), mpp, split))
        with (out / f"{name}.csv").open("w", newline="") as file:
            csv.writer(file).writerows([("image", "mask", "mpp", "split"), *rows])
        print(f"{name}: {len(rows)} images")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
