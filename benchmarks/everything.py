"""How many of the drawn objects are proposed, and how many proposals are objects, with and without exemplars.

    python benchmarks/everything.py FOLDER [--exemplars 0,1,3,5] [--from same|other] [--images N] [--seed S]
        [--sizes [SET=]LOW-HIGH] [--feedback N] [--json OUT] [--pictures FOLDER] [--cache FOLDER]

Each CSV in FOLDER is a set; see benchmarks/manifests.py. Where it has a column `split`, its rows "val" count, otherwise
all. Of these, every so many-th image is searched as a whole, with what a user would get. Exemplars are drawn by chance
among the objects that the image holds whole (`same`), or those of the set's other images (`other`). Images count that
hold at least three whole objects beside the most exemplars asked for; one, where these are of other images. Sizes
follow from the exemplars. Without any, `--sizes` says them.

A proposal and an object that meet with an IoU of 0.5 are a hit, each once. Exemplars, and objects that the image's edge
cuts, count neither way; nor do proposals that lie on them. `ceiling` is the F1 of the same way of asking at the middle
of each object. Rates are over all images of a set, with 95 % bootstrap intervals: images are drawn. PQ means little
where a mask joins objects that touch (nuinsseg) or labels tissue and not objects (rings).

With `--feedback N` the arm with the most exemplars is searched again after N decisions: proposals from the surest to
the least sure are accepted where they hit, and rejected where not. These then are exemplars, too.
"""

from __future__ import annotations

import argparse
import asyncio
import csv
import json
import tempfile
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import shapely
from PIL import Image, ImageDraw

from wsisam_model import WsiSam
from wsisam_server.cli.app import build_segmenter
from wsisam_server.core.geometry import FieldPair, Point, SlideSize, Window
from wsisam_server.core.prompt import PromptPoint, SlidePrompt
from wsisam_server.core.requests import Exemplar, LikeRequest, ProposalFilter, Request, SurveyRequest
from wsisam_server.core.settings import Settings
from wsisam_server.learning.datasets import crop, load, objects, read_manifest
from wsisam_server.learning.evaluation.scores import RESAMPLES
from wsisam_server.segmentation.outlines import outline
from wsisam_server.segmentation.segmenter import LikeSurvey, Survey

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from wsisam_server.core.answers import Likeness, Proposal
    from wsisam_server.learning.datasets import Row
    from wsisam_server.segmentation.segmenter import Segmenter

SIZES = {"dsb": (12, 40), "nuinsseg": (20, 60), "rings": (60, 180), "testis_tubules": (150, 360)}
"""What a user would look for without exemplars, in pixels, where `--sizes` does not say it."""

HIT = 0.5
ON = 0.5
"""Share of a proposal in an object that counts neither way, from which on it counts neither way itself."""

BESIDE = {"same": 3, "other": 1}
WINDOWS = 10_000


@dataclass
class Tally:
    """What came of one image.

    Attributes:
        hits: objects that were found.
        wrong: proposals that are none.
        missed: objects that were not.
        overlap: the sum of the hits' IoU.
        found: of each proposal the number of its object; -1 for none, -2 where it counts neither way.
    """

    hits: int = 0
    wrong: int = 0
    missed: int = 0
    overlap: float = 0.0
    found: list[int] = field(default_factory=list)

    @property
    def counts(self) -> tuple[float, ...]:
        """As a row of numbers."""
        return self.hits, self.wrong, self.missed, self.overlap


@dataclass
class Picture:
    """An image of a set.

    Attributes:
        slide_id: as the segmenter has it.
        path: of what was opened.
        size: of it.
        shapes: its objects.
        whole: numbers of those that no edge cuts.
    """

    slide_id: str
    path: Path
    size: SlideSize
    shapes: list[shapely.MultiPolygon]
    whole: list[int]

    @property
    def region(self) -> shapely.MultiPolygon:
        """All of it."""
        return shapely.MultiPolygon([shapely.box(0, 0, self.size.width, self.size.height)])


def rates(counts: NDArray[np.float64]) -> NDArray[np.float64]:
    """Precision, recall, F1 and PQ of counts [4, ...]: [4, ...]; 0 where there is nothing to count."""
    hits, wrong, missed, overlap = counts
    half = hits + (wrong + missed) / 2
    return np.stack(
        [
            hits / np.maximum(hits + wrong, 1),
            hits / np.maximum(hits + missed, 1),
            hits / np.maximum(half, 0.5),
            overlap / np.maximum(half, 0.5),
        ]
    )


def drawn(labels: NDArray[np.int32]) -> tuple[list[shapely.MultiPolygon], list[int]]:
    """The outlines of a label image's objects, in its pixels, and the numbers of those that no edge cuts."""
    size = SlideSize(labels.shape[1], labels.shape[0])
    shapes, whole = [], []
    for item in objects(labels):
        x0, y0, x1, y1 = item.box
        inside = np.pad(crop(labels, item), 1)
        side = max(inside.shape)
        logits = np.full((side, side), -1, np.float32)
        logits[: inside.shape[0], : inside.shape[1]][inside] = 1
        if x0 > 0 and y0 > 0 and x1 < size.width and y1 < size.height:
            whole.append(len(shapes))
        shapes.append(outline(logits, Window(x0 - 1, y0 - 1, 1, side), size, tolerance_px=0.0).geometry)
    return shapes, whole


def count(proposals: Sequence[shapely.MultiPolygon], picture: Picture, ignored: set[int]) -> Tally:
    """Matches proposals and drawn objects, the best ones first."""
    tally = Tally(found=[-1] * len(proposals))
    tree = shapely.STRtree(picture.shapes)
    pairs = []
    for number, proposal in enumerate(proposals):
        for other in tree.query(proposal, predicate="intersects").tolist():
            common = proposal.intersection(picture.shapes[other]).area
            pairs.append((common / (proposal.area + picture.shapes[other].area - common), number, other))
            if other in ignored and common >= ON * proposal.area:
                tally.found[number] = -2
    hit: set[int] = set()
    for iou, number, other in sorted(pairs, reverse=True):
        if iou >= HIT and tally.found[number] == -1 and other not in hit:
            hit.add(other)
            tally.found[number] = other
            if other not in ignored:
                tally.hits += 1
                tally.overlap += iou
    tally.wrong = tally.found.count(-1)
    tally.missed = sum(number not in hit and number not in ignored for number in range(len(picture.shapes)))
    return tally


class Bench:
    """Searches images of one set.

    Args:
        segmenter: with the model.
        name: of the set.
        pictures: its images.
        sizes: without exemplars; None for not known.
    """

    def __init__(
        self, segmenter: Segmenter, name: str, pictures: list[Picture], sizes: tuple[float, float] | None
    ) -> None:
        self._segmenter = segmenter
        self.name = name
        self.pictures = pictures
        self.sizes = sizes

    async def plain(self, picture: Picture) -> tuple[list[Proposal], Tally]:
        """Today's search without exemplars, and its ceiling: a click in the middle of each object."""
        assert self.sizes is not None
        wanted = SurveyRequest(picture.slide_id, picture.region, (), ProposalFilter(*self.sizes))
        survey = Survey.planned(self._segmenter, wanted, WINDOWS)
        proposals = [one async for step in survey.steps() for one in step.proposals]
        shapes = []
        for number in picture.whole:
            middle = middle_of(picture.shapes[number])
            request = Request(picture.slide_id, SlidePrompt((PromptPoint(middle, positive=True),)), interactive=False)
            window = Window.about(middle, survey.plan.downsample, 256)
            outcome = await self._segmenter.segment(request, field=FieldPair(window))
            shapes.append(outcome.outline.geometry)
        return proposals, count(shapes, picture, edge(picture))

    async def like(self, picture: Picture, exemplars: list[Exemplar]) -> tuple[list[Proposal], LikeSurvey, Likeness]:
        """The search with exemplars."""
        wanted = LikeRequest(picture.slide_id, picture.region, (), exemplars)
        survey = LikeSurvey.planned(self._segmenter, wanted, WINDOWS)
        proposals = [one async for step in survey.steps() for one in step.proposals]
        return proposals, survey, survey.likeness

    async def ceiling(self, survey: LikeSurvey, picture: Picture, ignored: set[int]) -> Tally:
        """What the same prompts give in the middle of each object."""
        asked = [middle_of(shape) for number, shape in enumerate(picture.shapes) if number not in ignored]
        parts = await survey.outlined_at(asked)
        return count([shapely.MultiPolygon([one]) for one in parts if one is not None], picture, ignored)

    def exemplars(self, picture: Picture, number: int, origin: str, seed: int) -> tuple[list[Exemplar], set[int]]:
        """As many exemplars as asked for, the first ones the same for any number; and which objects of the image."""
        random = np.random.default_rng([seed, self.pictures.index(picture)])
        pool = [(picture, one) for one in picture.whole]
        if origin == "other":
            pool = [(other, one) for other in self.pictures if other is not picture for one in other.whole]
        chosen = [pool[place] for place in random.permutation(len(pool))[:number].tolist()]
        shown = [Exemplar(where.slide_id, where.shapes[one]) for where, one in chosen]
        return shown, {one for where, one in chosen if where is picture}


def middle_of(shape: shapely.MultiPolygon) -> Point:
    """The middle of an object's bounding box."""
    x0, y0, x1, y1 = shape.bounds
    return Point((x0 + x1) / 2, (y0 + y1) / 2)


def edge(picture: Picture) -> set[int]:
    """Numbers of the objects that an edge cuts."""
    return set(range(len(picture.shapes))) - set(picture.whole)


def row(name: str, origin: str, exemplars: int | str, tallies: list[Tally], ceilings: list[Tally]) -> dict[str, Any]:
    """One result, printed with its intervals."""
    counts = np.array([one.counts for one in tallies])
    resampled = np.random.default_rng(0).integers(len(tallies), size=(RESAMPLES, len(tallies)))
    low, high = np.percentile(rates(np.moveaxis(counts[resampled].sum(1), -1, 0)), (2.5, 97.5), axis=1)
    precision, recall, f1, pq = rates(counts.sum(0)).tolist()
    best = rates(np.array([one.counts for one in ceilings]).sum(0))[2]
    shown = [
        f"{value:.2f} [{a:.2f}, {b:.2f}]" for value, a, b in zip((precision, recall, f1, pq), low, high, strict=True)
    ]
    n = sum(one.hits + one.missed for one in tallies)
    cells = [
        name,
        origin,
        exemplars,
        len(tallies),
        n,
        *shown[:3],
        f"{best:.2f}",
        f"{f1 / max(best, 1e-9):.2f}",
        shown[3],
    ]
    print(" | ".join(map(str, cells)), flush=True)
    return {
        "set": name,
        "from": origin,
        "exemplars": exemplars,
        "images": len(tallies),
        "n": n,
        "precision": precision,
        "recall": recall,
        "f1": f1,
        "ceiling": float(best),
        "pq": pq,
    }


def draw(picture: Picture, found: list[Proposal], tally: Tally, shown: list[Exemplar], path: Path) -> None:
    """Objects green, hits blue, wrong proposals magenta, exemplars yellow."""
    with Image.open(picture.path) as image:
        zoom = max(1, round(1000 / max(image.size)))
        canvas = image.convert("RGB").resize((image.width * zoom, image.height * zoom))
    pen = ImageDraw.Draw(canvas)
    parts = [(shape, "#00ff00") for shape in picture.shapes]
    parts += [
        (one.outcome.outline.geometry, "#ff00ff" if at == -1 else "#0060ff")
        for one, at in zip(found, tally.found, strict=True)
    ]
    parts += [(one.shape, "#ffff00") for one in shown if one.slide_id == picture.slide_id]
    for shape, color in parts:
        for part in shapely.get_parts(shape).tolist():
            pen.line([(x * zoom, y * zoom) for x, y in part.exterior.coords], fill=color, width=2)
    path.parent.mkdir(parents=True, exist_ok=True)
    canvas.save(path)


async def opened(segmenter: Segmenter, item: Row, folder: Path, number: str) -> Picture:
    """An image as a slide; scaled to white in a copy where its manifest names its white."""
    sample = load(item)
    path = item.image.absolute()
    if item.white is not None:
        path = folder / f"{number}.png"
        Image.fromarray(sample.image).save(path)
    slide_id, info, _ = await segmenter.opened(str(path), None)
    return Picture(slide_id, path, info.size, *drawn(sample.labels))


async def measured(bench: Bench, given: argparse.Namespace) -> list[dict[str, Any]]:
    """All arms on one set."""
    most, origin, results = max(given.exemplars), given.origin, []
    needed = (most if origin == "same" else 0) + BESIDE[origin]
    usable = [one for one in bench.pictures if len(one.whole) >= needed]
    chosen = usable[:: max(len(usable) // given.images, 1)][: given.images]
    if not chosen:
        print(f"{bench.name}: no image holds {needed} whole objects", flush=True)
        return []
    for number in given.exemplars:
        if number == 0 and bench.sizes is None:
            print(f"{bench.name}: without exemplars, give --sizes {bench.name}=LOW-HIGH", flush=True)
            continue
        tallies, ceilings, again, again_ceilings, started = [], [], [], [], time.perf_counter()
        for place, picture in enumerate(chosen):
            shown, own = bench.exemplars(picture, number, origin, given.seed)
            ignored = edge(picture) | own
            if number == 0:
                found, ceiling = await bench.plain(picture)
            else:
                found, survey, likeness = await bench.like(picture, shown)
                ceiling = await bench.ceiling(survey, picture, ignored)
            tally = count([one.outcome.outline.geometry for one in found], picture, ignored)
            tallies.append(tally)
            ceilings.append(ceiling)
            if given.verbose and number:
                print(
                    f"  {picture.path.name}: {tally.hits} hits, {tally.wrong} wrong, {tally.missed} missed; expected "
                    f"precision {likeness.expected_precision:.2f}, {'unsure' if likeness.unsure else 'sure'}; "
                    f"ceiling {ceiling.hits}/{ceiling.hits + ceiling.missed}",
                    flush=True,
                )
            if given.pictures is not None:
                draw(picture, found, tally, shown, given.pictures / f"{bench.name}-{origin}-{number}-{place}.png")
            if given.feedback and number == most:
                more, own = decided(picture, found, tally, given.feedback)
                later, survey, _ = await bench.like(picture, [*shown, *more])
                again.append(count([one.outcome.outline.geometry for one in later], picture, ignored | own))
                # The same objects for both: those that were accepted count neither before nor after.
                tallies[-1] = replace(count([one.outcome.outline.geometry for one in found], picture, ignored | own))
                again_ceilings.append(await bench.ceiling(survey, picture, ignored | own))
        results.append(row(bench.name, origin, number, tallies, ceilings))
        if again:
            results.append(row(bench.name, origin, f"{number}+{given.feedback}", again, again_ceilings))
        print(f"  {(time.perf_counter() - started) / len(chosen):.1f} s an image", flush=True)
    return results


def decided(picture: Picture, found: list[Proposal], tally: Tally, number: int) -> tuple[list[Exemplar], set[int]]:
    """Decisions on proposals, from the surest to the least sure; and the objects that were accepted."""
    order = sorted(range(len(found)), key=lambda one: -(found[one].similarity or 0))
    order = [one for one in order if tally.found[one] != -2]
    if not order:
        return [], set()
    some = sorted({order[round(place)] for place in np.linspace(0, len(order) - 1, min(number, len(order)))})
    shown = [
        Exemplar(picture.slide_id, found[one].outcome.outline.geometry, positive=tally.found[one] >= 0) for one in some
    ]
    return shown, {tally.found[one] for one in some if tally.found[one] >= 0}


def sizes_of(texts: list[str]) -> dict[str, tuple[float, float]]:
    """`--sizes`, by set; under "" for all others."""
    found = dict(SIZES)
    for text in texts:
        name, _, both = text.rpartition("=")
        low, _, high = both.partition("-")
        found[name] = (float(low), float(high))
    return found


def has_split(path: Path) -> bool:
    """Whether a manifest says which rows are held out."""
    with path.open(newline="", encoding="utf-8-sig") as file:
        return "split" in next(csv.reader(file))


async def main(given: argparse.Namespace) -> None:
    """All sets of a folder."""
    sizes, results = sizes_of(given.sizes), []
    manifests = [one for one in sorted(given.folder.glob("*.csv")) if not given.sets or one.stem in given.sets]
    rows = {one.stem: read_manifest(one, split="val" if has_split(one) else None) for one in manifests}
    with tempfile.TemporaryDirectory() as folder:
        roots = {item.image.resolve().parent for some in rows.values() for item in some} | {Path(folder)}
        store = {} if given.cache is None else {"embedding_store": given.cache}
        segmenter = build_segmenter(Settings(slides=tuple(roots), **store))
        await segmenter.start(lambda: WsiSam.from_name("wsisam-lite"))
        print("set | from | exemplars | images | n | precision | recall | F1 | ceiling | F1/ceiling | PQ", flush=True)
        for name, some in rows.items():
            pictures = [
                await opened(segmenter, item, Path(folder), f"{name}-{number}") for number, item in enumerate(some)
            ]
            results += await measured(Bench(segmenter, name, pictures, sizes.get(name, sizes.get(""))), given)
            if given.json is not None:
                given.json.write_text(json.dumps({"results": results}, indent=1) + "\n", encoding="utf-8")
        await segmenter.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--exemplars", type=lambda text: [int(one) for one in text.split(",")], default=[0, 1, 3, 5])
    parser.add_argument("--from", choices=sorted(BESIDE), default="same", dest="origin")
    parser.add_argument("--images", type=int, default=8)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--sizes", action="append", default=[])
    parser.add_argument("--feedback", type=int, default=0)
    parser.add_argument("--set", action="append", dest="sets")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--pictures", type=Path)
    parser.add_argument("--cache", type=Path)
    parser.add_argument("--verbose", action="store_true")
    asyncio.run(main(parser.parse_args()))
