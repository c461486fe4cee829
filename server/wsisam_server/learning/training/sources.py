"""The data sets of a run: manifests with their weights, split by image, and how many windows each image gives."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from wsisam_server.learning.datasets import read_manifest
from wsisam_server.learning.training.errors import TrainingError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from wsisam_server.learning.datasets import Row

_HELD_OUT = 5  # without a split column every fifth image or so validates


@dataclass(frozen=True, slots=True)
class Source:
    """One data set.

    Attributes:
        manifest: its CSV file.
        weight: its part of the training windows, relative to the other sets.
    """

    manifest: Path
    weight: float = 1.0

    @property
    def name(self) -> str:
        """What reports call it."""
        return self.manifest.stem


def split_rows(source: Source) -> tuple[list[Row], list[Row]]:
    """The rows to train on and those to validate on.

    The manifest's column says "train" or "val"; rows of another split are left out. Without the column the image's
    file name decides, so that the choice stays when rows are added, and masks of one image stay together.

    Raises:
        DatasetError: the manifest cannot be used.
        TrainingError: an image is in both splits.
    """
    rows = read_manifest(source.manifest)
    if all(row.split is None for row in rows):
        held_out = _held_out({row.image.name for row in rows})
        rows = [replace(row, split="val" if row.image.name in held_out else "train") for row in rows]
    train = [row for row in rows if row.split == "train"]
    val = [row for row in rows if row.split == "val"]
    both = {row.image.resolve() for row in train} & {row.image.resolve() for row in val}
    if both:
        raise TrainingError(f"{source.manifest}: {min(both)} is in both splits; validation needs images of its own")
    return train, val


def allot(count: int, rows: Sequence[Row]) -> list[tuple[Row, int]]:
    """Deals a number of windows out to images, as evenly as it goes.

    Args:
        count: of windows.
        rows: the images; where there are more than windows, evenly spaced ones are taken.

    Returns:
        Images with at least one window each, and how many.
    """
    if not rows:
        return []
    if count < len(rows):
        return [(rows[index * len(rows) // count], 1) for index in range(count)]
    each, rest = divmod(count, len(rows))
    return [(row, each + (index < rest)) for index, row in enumerate(rows)]


def shares(sources: Sequence[Source], count: int) -> list[int]:
    """How many of `count` windows each data set gives, in proportion to the weights."""
    total = sum(source.weight for source in sources)
    return [round(count * source.weight / total) for source in sources]


def _held_out(names: set[str]) -> set[str]:
    """About every fifth name, at least one of two or more."""
    digests = {name: hashlib.sha256(name.encode()).digest() for name in names}
    chosen = {name for name, digest in digests.items() if digest[0] % _HELD_OUT == 0}
    if len(names) > 1 and (not chosen or chosen == names):
        return {min(names, key=lambda name: digests[name])}
    return chosen if len(names) > 1 else set()
