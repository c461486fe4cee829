"""Objects larger than one window: the border as the whole field shows it, beside the refined one, against the truth.

    python benchmarks/large_objects.py DATA bcss testis drawn [--octaves 4] [--objects 6] [--json OUT]

DATA holds bcss_regions and testis_tubules (see the model card). Each object is asked for by its own box, in the field
that the server plans; then its border is refined at that field's downsample halved `--octaves` times: at 4, an object
whose box takes half the field has the extent of 8 windows. Images are taken as they are; where the finest scale is
below 1, windows are magnified, as in the server. `drawn` are synthetic: dark tissue on one side of a known border, pale
on the other. The scheme was chosen on bcss image 1008 and three testis images; this script leaves these out, and more.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, get_args

import numpy as np
from PIL import Image
from scipy import ndimage

from wsisam_model import LowReading, Prompt, WsiSam
from wsisam_server.core.geometry import Box
from wsisam_server.core.prompt import SlidePrompt
from wsisam_server.core.requests import ResolvedRefinement
from wsisam_server.learning.datasets.image_slide import ImageSlide
from wsisam_server.learning.evaluation.masks import PixelRegion, predicted
from wsisam_server.learning.evaluation.patches import Patches
from wsisam_server.learning.evaluation.scores import dice, interval
from wsisam_server.segmentation.fields import plan
from wsisam_server.segmentation.refinement import border_windows, build_mosaic, refinement_prompt

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from wsisam_server.core.geometry import FieldPair, Window

_HALF = 127
_TOUCHING = np.ones((3, 3), bool)
_CHOSEN_ON = {f"{name}.jpg" for name in ("M02G4x20_02", "M02G4x20_10", "M02G4x20_20", "M02G4x20_30", "M02G4x20_40")} | {
    "216690001.png"
}
_MANY = 100_000


class Case(NamedTuple):
    """An image uint8 [H, W, 3] and one object in it, bool [H, W]."""

    name: str
    image: NDArray[np.uint8]
    truth: NDArray[np.bool_]


def whole(regions: NDArray[np.int32], extent: int) -> list[tuple[int, tuple[slice, slice]]]:
    """The labels that do not touch the image's border and are at least so long, the longest first."""
    height, width = regions.shape
    found = [
        (max(rows.stop - rows.start, columns.stop - columns.start), label, (rows, columns))
        for label, (rows, columns) in enumerate(ndimage.find_objects(regions), 1)
        if min(rows.start, columns.start) > 1 and rows.stop < height - 1 and columns.stop < width - 1
    ]
    return [(label, place) for length, label, place in sorted(found, reverse=True) if length >= extent]


def bcss(data: Path) -> Iterator[Case]:
    """Connected tumour regions of at least 590 px."""
    for name in ("1019", "1015"):
        image = np.array(Image.open(data / f"bcss_regions/images/{name}.jpg").convert("RGB"))
        mask = np.array(Image.open(data / f"bcss_regions/masks/{name}.jpg").convert("L")) > _HALF
        regions, _ = ndimage.label(mask, _TOUCHING)
        for label, _ in whole(regions, 590):
            yield Case(f"bcss {name} region {label}", image, regions == label)


def testis(data: Path) -> Iterator[Case]:
    """The longest whole tubule of each image, its lumen filled."""
    for path in sorted((data / "testis_tubules/images").iterdir(), key=lambda path: path.name[::-1]):
        if path.name in _CHOSEN_ON:
            continue
        (drawn,) = (data / "testis_tubules/masks").glob(f"{path.stem}.*")
        mask = ndimage.binary_opening(np.array(Image.open(drawn).convert("L")) > _HALF, np.ones((5, 5)))
        regions, _ = ndimage.label(mask, _TOUCHING)
        for label, place in whole(regions, 250)[:1]:
            truth = np.zeros(mask.shape, bool)
            truth[place] = ndimage.binary_fill_holes(regions[place] == label)
            yield Case(f"testis {path.stem}", np.array(Image.open(path).convert("RGB")), truth)


def drawn(_: Path) -> Iterator[Case]:
    """Lobed discs and a rotated rectangle of about 1,024 px, filled with dark cells on a ground of pale ones."""
    for seed in range(_MANY):
        yield draw(seed)


def draw(seed: int, side: int = 2048) -> Case:
    """One synthetic object of half the image's side."""
    random = np.random.default_rng(seed)
    ys, xs = np.mgrid[:side, :side] - side / 2
    turn = float(random.uniform(0, np.pi))
    if seed % 3 == 2:
        along, across = xs * np.cos(turn) + ys * np.sin(turn), ys * np.cos(turn) - xs * np.sin(turn)
        truth = (np.abs(along) < side * 0.24) & (np.abs(across) < side * 0.14)
    else:
        angle = np.arctan2(ys, xs)
        lobes = 0.15 * np.sin(5 * angle + turn) + 0.08 * np.sin(13 * angle) + 0.03 * np.sin(41 * angle)
        truth = np.hypot(xs, ys) < side * 0.21 * (1 + lobes)
    noise = sum(
        weight * ndimage.zoom(random.standard_normal((side // step + 1,) * 2), step, order=1)[:side, :side]
        for step, weight in ((4, 0.5), (16, 0.7), (64, 0.5))
    )
    light = np.where(truth, 0.45, 0.7) + 0.07 * noise
    colour = np.stack([light * 1.05, light * 0.75, light * 1.0], -1)
    return Case(f"drawn {seed}", (np.clip(colour, 0, 1) * 255).astype(np.uint8), truth)


def answer(model: WsiSam, slide: ImageSlide, case: Case, octaves: int) -> dict[str, float | int | str]:
    """Asks for one object both ways."""
    rows, columns = (np.flatnonzero(case.truth.any(axis)) for axis in (1, 0))
    box = Box(float(columns[0]), float(rows[0]), float(columns[-1] + 1), float(rows[-1] + 1))
    size = slide.info.size
    pair = plan(SlidePrompt(box=box), size, model.image_size)
    window, patches = pair.high, Patches(model, slide)

    def asked_of(field: FieldPair, prompt: Prompt) -> NDArray[np.float32]:
        low = patches.low(field.low) if model.reads_low(prompt) else None
        return model.decode(patches.high(field.high), low, prompt).logits

    logits = asked_of(pair, Prompt(box=window.box_to_model(box)))
    planned = border_windows(logits, window, size, ResolvedRefinement(window.downsample / 2**octaves, _MANY))
    fine: list[list[tuple[Window, NDArray[np.float32]]]] = []
    for fields in planned.levels:
        fine.append([])
        for field in fields:
            one = refinement_prompt(logits, window, field.high)
            if one is not None:
                points, labels, part = one.to_model(field.high)
                fine[-1].append((field.high, asked_of(field, Prompt(points=points, labels=labels, box=part))))
    merged, once = build_mosaic(logits, window, fine), build_mosaic(logits, window, fine[:1])
    everything = PixelRegion(0, 0, size.width, size.height)
    return {
        "name": case.name,
        "extent": max(box.width, box.height),
        "windows' extent": max(box.width, box.height) / planned.levels[-1][0].high.extent,
        "coarse downsample": window.downsample,
        "windows": sum(map(len, planned.levels)),
        "rejected": sum(merged.rejected),
        "coarse": dice(case.truth, predicted(logits, window, everything)),
        "refined": dice(case.truth, predicted(merged.logits, merged.window, everything)),
        # As where the bound on windows leaves no more.
        "refined at one scale": dice(case.truth, predicted(once.logits, once.window, everything)),
    }


def main() -> None:
    """Runs it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("sets", nargs="+", choices=["bcss", "testis", "drawn"])
    parser.add_argument("--octaves", type=int, default=4)
    parser.add_argument("--objects", type=int, default=6, help="of each set")
    parser.add_argument("--low-resolution", choices=get_args(LowReading), default="middle")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    model = WsiSam.from_name()
    model.set_low_reading(given.low_resolution)
    results: list[dict[str, float | int | str]] = []
    for kind in given.sets:
        made = []
        for _, case in zip(range(given.objects), {"bcss": bcss, "testis": testis, "drawn": drawn}[kind](given.data)):  # noqa: B905
            one = answer(model, ImageSlide(case.image), case, given.octaves)
            made.append(one)
            print(json.dumps(one), flush=True)
        for way in ("refined", "refined at one scale"):
            gains = [float(one[way]) - float(one["coarse"]) for one in made]
            low, high = interval(gains, 0)
            print(f"{kind} {way}: {np.mean(gains):+.4f} [{low:+.4f}, {high:+.4f}] of {len(gains)}", flush=True)
        results += made
        if given.json is not None:
            given.json.write_text(json.dumps(results, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
