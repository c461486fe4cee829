"""How many of the drawn objects are proposed, and how many proposals are objects.

    python benchmarks/everything.py MANIFESTS [--set NAME] [--images N] [--pictures FOLDER]

MANIFESTS is what benchmarks/manifests.py wrote. Of the held-out images of each set, every so many-th one is searched in
the middle square that holds some four windows across, with the sizes and thresholds that a user would get. A proposal
and a drawn object that meet with an IoU of 0.5 are a hit, each once. Drawn objects of other sizes, and those that the
square cuts, count neither way; nor do proposals that hit one. Precision, recall and F1 are over all images of a set,
with 95 % bootstrap intervals: images are drawn, for what one of them holds resembles the rest of it.
"""

from __future__ import annotations

import argparse
import asyncio
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import shapely
from PIL import Image, ImageDraw

from wsisam_model import WsiSam
from wsisam_server.cli.app import build_segmenter
from wsisam_server.core.geometry import SlideSize, Window
from wsisam_server.core.requests import ProposalFilter, SurveyRequest
from wsisam_server.core.settings import Settings
from wsisam_server.learning.datasets import crop, objects, read_manifest
from wsisam_server.learning.evaluation.scores import RESAMPLES
from wsisam_server.segmentation.outlines import outline
from wsisam_server.segmentation.segmenter import Survey

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from wsisam_server.learning.datasets import Row
    from wsisam_server.segmentation.segmenter import Segmenter

SIZES = {"dsb": (12, 40), "nuinsseg": (20, 60), "rings": (60, 180), "testis_tubules": (150, 360)}
"""What a user would look for, in pixels: the sets do not say how large theirs are."""

ACROSS = 4
HIT = 0.5


@dataclass
class Tally:
    """Hits, proposals that are none, and objects that were missed."""

    hits: int = 0
    wrong: int = 0
    missed: int = 0


def rates(hits: NDArray[np.int64], wrong: NDArray[np.int64], missed: NDArray[np.int64]) -> NDArray[np.float64]:
    """Precision, recall and F1 of counts of any shape: [3, ...]; 0 where there is nothing to count."""
    precision = hits / np.maximum(hits + wrong, 1)
    recall = hits / np.maximum(hits + missed, 1)
    return np.stack([precision, recall, 2 * hits / np.maximum(2 * hits + wrong + missed, 1)])


def summary(tallies: list[Tally]) -> str:
    """A set's columns of the table: rates with their intervals, and counts."""
    counts = np.array([[one.hits, one.wrong, one.missed] for one in tallies])
    drawn = np.random.default_rng(0).integers(len(tallies), size=(RESAMPLES, len(tallies)))
    low, high = np.percentile(rates(*counts[drawn].sum(1).T), (2.5, 97.5), axis=1)
    total = counts.sum(0)
    cells = [f"{rate:.2f} [{a:.2f}, {b:.2f}]" for rate, a, b in zip(rates(*total), low, high, strict=True)]
    return " | ".join([*cells, *map(str, total)])


def drawn(labels: NDArray[np.int32]) -> list[shapely.MultiPolygon]:
    """The outlines of a label image's objects, in its pixels."""
    size = SlideSize(labels.shape[1], labels.shape[0])
    shapes = []
    for item in objects(labels):
        x0, y0, _, _ = item.box
        inside = np.pad(crop(labels, item), 1)
        side = max(inside.shape)
        logits = np.full((side, side), -1, np.float32)
        logits[: inside.shape[0], : inside.shape[1]][inside] = 1
        shapes.append(outline(logits, Window(x0 - 1, y0 - 1, 1, side), size, tolerance_px=0.0).geometry)
    return shapes


def square(width: int, height: int, side: float) -> shapely.Polygon:
    """The middle of an image."""
    x0, y0 = max((width - side) / 2, 0), max((height - side) / 2, 0)
    return shapely.box(x0, y0, min(x0 + side, width), min(y0 + side, height))


def count(
    proposals: list[shapely.MultiPolygon],
    truth: list[shapely.MultiPolygon],
    region: shapely.Polygon,
    proposal_filter: ProposalFilter,
) -> Tally:
    """Matches proposals and drawn objects, the best ones first."""
    tally = Tally()
    tree = shapely.STRtree(truth)
    pairs = []
    for number, proposal in enumerate(proposals):
        for other in tree.query(proposal, predicate="intersects").tolist():
            common = proposal.intersection(truth[other]).area
            pairs.append((common / (proposal.area + truth[other].area - common), number, other))
    found, hit = set(), set()
    for iou, number, other in sorted(pairs, reverse=True):
        if iou >= HIT and number not in hit and other not in found:
            hit.add(number)
            found.add(other)
    tally.wrong = len(proposals) - len(hit)
    for number, shape in enumerate(truth):
        size = 2 * (shape.area / np.pi) ** 0.5
        if region.contains(shape) and proposal_filter.min_size <= size <= proposal_filter.max_size:
            tally.hits += number in found
            tally.missed += number not in found
    return tally


async def proposed(
    segmenter: Segmenter, path: Path, region: shapely.Polygon, proposal_filter: ProposalFilter
) -> list[shapely.MultiPolygon]:
    slide_id, _, _ = segmenter.open_slide(str(path), None)
    request = SurveyRequest(slide_id, shapely.MultiPolygon([region]), (), proposal_filter)
    survey = Survey.planned(segmenter, request, 10_000)
    return [one.outcome.outline.geometry async for step in survey.steps() for one in step.proposals]


def picture(
    row: Row, region: shapely.Polygon, truth: list[shapely.MultiPolygon], found: list[shapely.MultiPolygon], path: Path
) -> None:
    """Drawn objects green, proposals magenta, the searched square black."""
    with Image.open(row.image) as image:
        zoom = max(1, round(1000 / max(image.size)))
        shown = image.convert("RGB").resize((image.width * zoom, image.height * zoom))
    pen = ImageDraw.Draw(shown)
    for shapes, color in (([region], "black"), (truth, "#00ff00"), (found, "#ff00ff")):
        for shape in shapes:
            for part in shapely.get_parts(shape).tolist():
                pen.line([(x * zoom, y * zoom) for x, y in part.exterior.coords], fill=color, width=2)
    shown.save(path)


async def measure(folder: Path, names: list[str], images: int, pictures: Path | None) -> None:
    rows = {name: read_manifest(folder / f"{name}.csv", split="val") for name in names}
    roots = {row.image.resolve().parent for some in rows.values() for row in some}
    segmenter = build_segmenter(Settings(slides=tuple(roots)))
    await segmenter.start(lambda: WsiSam.from_name("wsisam-lite"))
    print("set | sizes, px | images | precision | recall | F1 | hits | wrong | missed", flush=True)
    for name, some in rows.items():
        proposal_filter, tallies = ProposalFilter(*SIZES[name]), []
        chosen = some[:: max(len(some) // images, 1)][:images]
        for number, row in enumerate(chosen):
            labels = np.array(Image.open(row.mask)).astype(np.int32)
            region = square(labels.shape[1], labels.shape[0], ACROSS * proposal_filter.max_size)
            found, truth = await proposed(segmenter, row.image.absolute(), region, proposal_filter), drawn(labels)
            tallies.append(count(found, truth, region, proposal_filter))
            if pictures is not None:
                picture(row, region, truth, found, pictures / f"{name}-{number}.png")
        print(
            f"{name} | {proposal_filter.min_size:g}-{proposal_filter.max_size:g} | {len(chosen)} | {summary(tallies)}",
            flush=True,
        )
    await segmenter.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("manifests", type=Path)
    parser.add_argument("--set", action="append", choices=list(SIZES), dest="sets")
    parser.add_argument("--images", type=int, default=4)
    parser.add_argument("--pictures", type=Path)
    given = parser.parse_args()
    asyncio.run(measure(given.manifests, given.sets or list(SIZES), given.images, given.pictures))
