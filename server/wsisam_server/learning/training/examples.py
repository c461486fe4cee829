"""Training examples: a window's labels, the objects in it that can be asked for, and its features on the disk."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

import numpy as np

from wsisam_server.learning.datasets import ObjectMask, Row, Sample, load, objects
from wsisam_server.learning.training import sources, windows
from wsisam_server.learning.training.windows import read_labels, read_pixels

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from numpy.typing import NDArray

    from wsisam_server.core.geometry import Window
    from wsisam_server.learning.training.cache import FeatureCache, Features
    from wsisam_server.learning.training.encoder import Encode
    from wsisam_server.learning.training.sources import Source
    from wsisam_server.learning.training.windows import TrainingWindow

Resolution: TypeAlias = Literal["high", "low"]

MIN_SHARE, MAX_SHARE = 0.2, 0.85
"""An object beside the one that a window was chosen for can be asked for if its extent is such a part of the side."""

WIDE_MIN_SHARE = 1 / 12
"""The least where views are wide."""

MIN_INSIDE = 0.9  # of such an object's box, along x and along y
MIN_PIXELS = 40  # of an object on the mask; fewer are hidden or beyond the edge


@dataclass(frozen=True, eq=False, slots=True)
class Example:
    """One window to train on.

    Attributes:
        source: name of its data set.
        row: where it is from.
        image: identifies the image's pixels.
        window: what it shows.
        high: uint16 [256, 256] labels of the HR view.
        low: uint16 [256, 256] labels of the LR view.
        own: label of the object that the window was chosen for.
        others: labels of the other objects in it that can be asked for.
    """

    source: str
    row: Row
    image: str
    window: TrainingWindow
    high: NDArray[np.uint16]
    low: NDArray[np.uint16]
    own: int
    others: tuple[int, ...]


class Examples:
    """Makes examples from rows, and finds their features.

    Args:
        cache: where features are kept.
        encode: the frozen encoder.
        encoder_hash: identifies its weights.
        image_size: side of the model's square input in pixels.
        connected_parts: see `datasets.load`.
        encode_now: which views are encoded when an example is made, the others at their first use.
        vary_scale: see `windows.draw`.
        vary_stain: see `windows.draw`.
        wide: see `windows.draw`.
    """

    def __init__(
        self,
        cache: FeatureCache,
        encode: Encode,
        encoder_hash: str,
        image_size: int,
        *,
        connected_parts: bool = False,
        encode_now: Collection[Resolution] = ("high", "low"),
        vary_scale: bool = True,
        vary_stain: bool = True,
        wide: bool = False,
    ) -> None:
        self._cache = cache
        self._encode = encode
        self._encoder_hash = encoder_hash
        self.image_size = image_size
        self.connected_parts = connected_parts
        self._encode_now = tuple(encode_now)
        self._vary_scale, self._vary_stain, self._wide = vary_scale, vary_stain, wide
        self.skipped: list[Row] = []

    def draw(self, source: Source, rows: Sequence[Row], count: int, seed: int) -> Iterator[Example]:
        """Draws training windows from a data set and encodes those that are not in the cache.

        Rows without an object are skipped and kept in `skipped`.

        Args:
            source: the data set.
            rows: its images.
            count: of windows.
            seed: decides them.

        Raises:
            DatasetError: a file cannot be used.
        """
        for row, windows_here in sources.allot(count, rows):
            sample = load(row, connected_parts=self.connected_parts)
            items = objects(sample.labels)
            if not items:
                self.skipped.append(row)
                continue
            for index in range(windows_here):
                random = windows.generator(seed, row.image.name, index)
                window = windows.draw(
                    sample,
                    items,
                    self.image_size,
                    random,
                    vary_scale=self._vary_scale,
                    vary_stain=self._vary_stain,
                    wide=self._wide,
                )
                yield self.make(source.name, row, sample, window)

    def make(self, source: str, row: Row, sample: Sample, window: TrainingWindow) -> Example:
        """The example of a window; its features are in the cache afterwards."""
        high = read_labels(sample, window.field.high, window.augmentation)
        example = Example(
            source=source,
            row=row,
            image=_digest(sample.image),
            window=window,
            high=high,
            low=read_labels(sample, window.field.low, window.augmentation),
            own=window.label,
            others=_others(sample, window, high, WIDE_MIN_SHARE if self._wide else MIN_SHARE),
        )
        for resolution in self._encode_now:
            self._features(example, resolution, sample)
        return example

    def features(self, example: Example, resolution: Resolution) -> Features:
        """The features of the example's HR or LR view, made again if their file was damaged."""
        return self._features(example, resolution, None)

    def pixels(self, example: Example) -> NDArray[np.uint8]:
        """The example's HR view as the encoder saw it, read again: uint8 [S, S, 3], RGB."""
        sample = load(example.row, connected_parts=self.connected_parts)
        return read_pixels(sample, example.window.field.high, example.window.augmentation)

    def _features(self, example: Example, resolution: Resolution, sample: Sample | None) -> Features:
        window, augmentation = example.window.field, example.window.augmentation
        view = window.high if resolution == "high" else window.low
        key = {
            "encoder": self._encoder_hash,
            "image": example.image,
            "window": asdict(view),
            "augmentation": asdict(augmentation),
        }

        def make() -> Features:
            source = sample or load(example.row, connected_parts=self.connected_parts)
            return self._encode(read_pixels(source, view, augmentation))

        return self._cache.get(json.dumps(key, sort_keys=True), make)


def _others(sample: Sample, window: TrainingWindow, labels: NDArray[np.uint16], min_share: float) -> tuple[int, ...]:
    counts = np.bincount(labels.ravel())
    there = {int(label) for label in np.flatnonzero(counts >= MIN_PIXELS)} - {0, window.label}
    return tuple(
        item.label
        for item in objects(sample.labels)
        if item.label in there and _fits(item, window.field.high, min_share)
    )


def _fits(item: ObjectMask, window: Window, min_share: float) -> bool:
    x0, y0, x1, y1 = item.box
    if not min_share <= max(x1 - x0, y1 - y0) / window.extent <= MAX_SHARE:
        return False
    region = window.region
    inside_x = min(x1, region.x1) - max(x0, region.x0)
    inside_y = min(y1, region.y1) - max(y0, region.y0)
    return inside_x >= MIN_INSIDE * (x1 - x0) and inside_y >= MIN_INSIDE * (y1 - y0)


def _digest(image: NDArray[np.uint8]) -> str:
    return hashlib.sha256(repr(image.shape).encode() + np.ascontiguousarray(image).tobytes()).hexdigest()
