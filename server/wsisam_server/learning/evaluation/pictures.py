"""Pictures of single answers, and the collection of the worst."""

from __future__ import annotations

import heapq
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import numpy as np
from PIL import Image, ImageDraw
from scipy import ndimage

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from wsisam_server.learning.datasets import ObjectMask, Row, Sample
    from wsisam_server.learning.evaluation.protocol import Case

SIDE: Final = 640
"""Longest side of a picture in pixels."""

TRUTH: Final = (0, 200, 90)
ANSWER: Final = (255, 40, 200)
POSITIVE: Final = "#00ff66"
NEGATIVE: Final = "#ff2020"
_DOT = 5

_NAME: Final = re.compile(r"[a-z+]+_(box|\d+)_\d{2,}_dice\d\.\d{3}_line\d+_label\d+\.png")
"""As `WorstCases.write` names its pictures."""


def picture(sample: Sample, case: Case) -> Image.Image:
    """The region of an answer: the object's edge green, the answer's pink, the box yellow, clicks as dots.

    Args:
        sample: the image that the case belongs to.
        case: the answer.
    """
    region = case.region
    cut = Image.fromarray(sample.image[region.y0 : region.y1, region.x0 : region.x1])
    scale = SIDE / max(cut.size)
    size = (max(round(cut.width * scale), 1), max(round(cut.height * scale), 1))
    pixels = np.array(cut.resize(size, Image.Resampling.BICUBIC))
    for mask, color in ((case.truth, TRUTH), (case.answer, ANSWER)):
        pixels[_edge(mask, size)] = color
    drawn = Image.fromarray(pixels)
    pen = ImageDraw.Draw(drawn)
    box = case.prompt.box
    if box is not None:
        corners = [((x - region.x0) * scale, (y - region.y0) * scale) for x, y in ((box.x0, box.y0), (box.x1, box.y1))]
        pen.rectangle(corners, outline="#ffd400", width=2)
    if case.prompt.shape is not None:
        for part in case.prompt.shape.geoms:
            ring = [((x - region.x0) * scale, (y - region.y0) * scale) for x, y in part.exterior.coords]
            pen.line(ring, fill="#ffd400", width=2)
    for point in case.prompt.points:
        x, y = (point.position.x - region.x0) * scale, (point.position.y - region.y0) * scale
        dot = POSITIVE if point.positive else NEGATIVE
        pen.ellipse((x - _DOT, y - _DOT, x + _DOT, y + _DOT), fill=dot, outline="white")
    return drawn


@dataclass(order=True, slots=True)
class _Kept:
    """Ordered so that a heap's first is the best of the kept; `number` keeps equal ones in their order."""

    badness: float
    number: int
    name: str = field(compare=False)
    image: Image.Image = field(compare=False)


class WorstCases:
    """An observer for `evaluate` that keeps pictures of the answers with the lowest Dice.

    Args:
        count: how many to keep of each variant and kind of prompt.
    """

    def __init__(self, count: int = 6) -> None:
        self._count = count
        self._heaps: dict[tuple[str, str], list[_Kept]] = {}
        self._seen = 0

    def __call__(self, row: Row, sample: Sample, item: ObjectMask, case: Case) -> None:
        """Looks at one answer."""
        self._seen += 1
        heap = self._heaps.setdefault((case.variant, case.name), [])
        badness = -case.dice
        full = len(heap) >= self._count
        if full and badness <= heap[0].badness:
            return
        name = f"dice{case.dice:.3f}_line{row.line}_label{item.label}"
        kept = _Kept(badness, -self._seen, name, picture(sample, case))
        if full:
            heapq.heapreplace(heap, kept)
        else:
            heapq.heappush(heap, kept)

    def write(self, folder: Path) -> list[Path]:
        """Writes the pictures as PNG, the name saying variant, prompt, rank, Dice, line of the manifest and label.

        Those of an earlier run go.

        Args:
            folder: made if it is not there.

        Returns:
            The files, the worst of each kind first.

        Raises:
            OSError: a file cannot be written.
        """
        folder.mkdir(parents=True, exist_ok=True)
        for path in folder.iterdir():
            if _NAME.fullmatch(path.name):  # an earlier run's, which would be taken for this one's
                path.unlink()
        paths = []
        for (variant, prompt), heap in self._heaps.items():
            for rank, kept in enumerate(sorted(heap, reverse=True), start=1):
                path = folder / f"{variant}_{prompt}_{rank:02d}_{kept.name}.png"
                kept.image.save(path)
                paths.append(path)
        return paths


def _edge(mask: NDArray[np.bool_], size: tuple[int, int]) -> NDArray[np.bool_]:
    """The mask's inner edge, two pixels wide, at the picture's size: bool [height, width]."""
    large = np.asarray(Image.fromarray(mask).resize(size, Image.Resampling.NEAREST))
    return np.asarray(large & ~ndimage.binary_erosion(large, iterations=2))
