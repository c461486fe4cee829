"""Which objects are evaluated: all of a manifest's, or a random sample."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from wsisam_server.learning.datasets import DatasetError, load, objects

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wsisam_server.learning.datasets import ObjectMask, Row


@dataclass(frozen=True, slots=True)
class ObjectSample:
    """The objects of a manifest's rows, and the sample of them.

    Attributes:
        drawn: the rows with something to evaluate in the manifest's order, each with its drawn objects by label.
        found: objects in all rows.
        without_objects: rows in which there is none.
    """

    drawn: tuple[tuple[Row, tuple[ObjectMask, ...]], ...]
    found: int
    without_objects: int

    @property
    def count(self) -> int:
        """Objects that were drawn."""
        return sum(len(items) for _, items in self.drawn)


def sample_objects(rows: Sequence[Row], *, max_objects: int | None, seed: int, connected_parts: bool) -> ObjectSample:
    """Reads all rows and samples objects.

    Every row is loaded once, so that a damaged one ends the evaluation before it has cost anything. Each object is as
    likely to be drawn as any other, whatever its image; with the same seed a larger draw holds the smaller one.

    Args:
        rows: of one manifest.
        max_objects: how many to draw; None for all.
        seed: of the draw.
        connected_parts: see `load`.

    Raises:
        DatasetError: a row cannot be loaded, or there is no object in any of them.
    """
    found = [objects(load(row, connected_parts=connected_parts).labels) for row in rows]
    places = [(number, item) for number, items in enumerate(found) for item in items]
    if not places:
        raise DatasetError(rows[0].mask, None, f"no object in any of the {len(rows)} masks, of which this is the first")
    order = np.random.default_rng(seed).permutation(len(places))[:max_objects]
    chosen: dict[int, list[ObjectMask]] = {}
    for index in sorted(order.tolist()):
        number, item = places[index]
        chosen.setdefault(number, []).append(item)
    return ObjectSample(
        drawn=tuple((rows[number], tuple(items)) for number, items in chosen.items()),
        found=len(places),
        without_objects=sum(not items for items in found),
    )
