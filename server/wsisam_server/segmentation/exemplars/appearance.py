"""What exemplars look like: a linear discriminant on an encoder's features about a place.

A place is described by 3 x 3 samples of the features, from the middle of an object of the usual size to its edges. What
lies in the middle alone does not tell a nucleus from its neighbour's border (measured, see benchmarks/results.md).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
from scipy import ndimage

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

GRID: Final = 3
"""Samples along a side."""

DIMENSIONS: Final = 24
"""Principal components that are kept of the features."""

SHRINKAGE: Final = 4.0
"""How far the covariance is drawn to a sphere, in mean variances: the exemplars are few, and hundreds of numbers
describe each."""

RING: Final = (0.6, 0.9)
"""Distances from an exemplar's middle, in sizes, at which its surroundings are sampled."""

RING_SAMPLES: Final = 12

NEGATIVES: Final = 0.1
"""Weight of the negative exemplars in what the positive ones are compared with; the rest is the surroundings. A
rejected place mostly shows half of an object, or two of them: with half the weight, ten decisions made the next round
worse than the first one was (measured, see benchmarks/results.md)."""

OTHER_CLASSES: Final = 0.5
"""Weight of other classes' exemplars in the same."""

ALONE: Final = 0.6
"""What an exemplar's similarity to others is taken for, as a share of that to itself, where there are no others."""

_SMALL: Final = 1e-6


@dataclass(frozen=True, slots=True)
class Basis:
    """A rotation of features to their principal components.

    Attributes:
        mean: [C].
        axes: [C, D], each channel's scale included.
    """

    mean: NDArray[np.float32]
    axes: NDArray[np.float32]

    @classmethod
    def fitted(cls, samples: NDArray[np.float32], groups: Sequence[int]) -> Basis:
        """Of standardised channels; each group of channels counts alike, however many it has.

        Args:
            samples: [N, C] features of positions.
            groups: numbers of channels of the encoder's stages, in order.
        """
        mean, spread = samples.mean(0), samples.std(0) + _SMALL
        weights = np.concatenate([np.full(count, count**-0.5, np.float32) for count in groups]) / spread
        scaled = (samples - mean) * weights
        _, vectors = np.linalg.eigh(scaled.T @ scaled)
        return cls(mean, weights[:, None] * vectors[:, ::-1][:, :DIMENSIONS])

    def rotated(self, features: NDArray[np.floating]) -> NDArray[np.float32]:
        """[..., C] to [..., D]."""
        return np.asarray((features.astype(np.float32) - self.mean) @ self.axes, np.float32)


def described(features: NDArray[np.float32], cells: float) -> NDArray[np.float32]:
    """What describes each position of a window.

    Args:
        features: [h, w, D], rotated.
        cells: size of an object in positions.

    Returns:
        [h, w, GRID * GRID, D].
    """
    height, width, _ = features.shape
    side = max(1, round(cells / GRID))
    smooth = ndimage.uniform_filter(features, (side, side, 1), mode="nearest")
    offsets = np.rint(np.linspace(-0.5, 0.5, GRID) * cells).astype(int)
    rows = np.clip(np.arange(height)[:, None] + offsets, 0, height - 1)
    columns = np.clip(np.arange(width)[:, None] + offsets, 0, width - 1)
    stacked = [smooth[rows[:, row]][:, columns[:, column]] for row in range(GRID) for column in range(GRID)]
    return np.stack(stacked, axis=2)


@dataclass(frozen=True, slots=True)
class Shown:
    """What is known of one exemplar.

    Attributes:
        middle: [GRID * GRID, D], of the position in its middle.
        ring: [N, GRID * GRID, D], of its surroundings.
        positive: see `ShownObject`.
        path_class: see `ShownObject`.
    """

    middle: NDArray[np.float32]
    ring: NDArray[np.float32]
    positive: bool
    path_class: str

    @classmethod
    def at(
        cls, described: NDArray[np.float32], row: float, column: float, cells: float, *, positive: bool, path_class: str
    ) -> Shown:
        """Reads an exemplar off its window.

        Args:
            described: of the window.
            row: where its middle lies, in positions.
            column: the same.
            cells: size of an object in positions.
            positive: see `ShownObject`.
            path_class: see `ShownObject`.
        """
        turns = np.arange(RING_SAMPLES) / RING_SAMPLES * 2 * np.pi
        around = [(row + np.sin(turns) * far * cells, column + np.cos(turns) * far * cells) for far in RING]
        rows, columns = np.concatenate(around, axis=1)
        return cls(_read(described, row, column), _read(described, rows, columns), positive, path_class)


class Appearance:
    """Tells what looks like the exemplars from everything else.

    A similarity is 0 for the mean of all positions, and 1 for an exemplar as the others see it: each is left out in
    turn.

    Args:
        shown: the exemplars, at least one positive one.
        positions: [N, GRID * GRID * D], a sample of all positions of the region.

    Attributes:
        classes: names of the positive exemplars' classes.
    """

    def __init__(self, shown: Sequence[Shown], positions: NDArray[np.float32]) -> None:
        flat = positions.reshape(len(positions), -1)
        self._mean = flat.mean(0)
        centered = flat - self._mean
        covariance = centered.T @ centered / len(flat)
        spread = SHRINKAGE * np.trace(covariance) / len(covariance) + _SMALL
        covariance += spread * np.eye(len(covariance), dtype=np.float32)
        ring = _mirrored(np.concatenate([one.ring for one in shown if one.positive])).mean(0)
        self.classes = sorted({one.path_class for one in shown if one.positive})
        middles = np.array([_mirrored(one.middle[None]).mean(0) for one in shown])
        # All weights are sums of these: leaving one out costs nothing.
        solved = np.linalg.solve(covariance, np.concatenate([middles, ring[None]]).T).T
        to_middles, to_ring = solved[:-1], solved[-1]
        raw = np.array([one.middle.ravel() for one in shown]) - self._mean
        positive = np.array([one.positive for one in shown])
        negative = ~positive

        def weights(likes: NDArray[np.bool_], known: NDArray[np.bool_]) -> NDArray[np.float32]:
            base = to_ring
            for group, share in ((positive & ~likes & known, OTHER_CLASSES), (negative & known, NEGATIVES)):
                if group.any():
                    base = (1 - share) * base + share * to_middles[group].mean(0)
            return np.asarray(to_middles[likes & known].mean(0) - base, np.float32)

        def without(number: int, likes: NDArray[np.bool_], whole: NDArray[np.float32]) -> float:
            """An exemplar's similarity by weights that do not know it."""
            but = np.arange(len(shown)) != number
            if not (likes & but).any():
                # Nobody is left to compare it with: it looks like itself, and others will less so.
                return ALONE * float(raw[number] @ whole)
            return float(raw[number] @ weights(likes, but))

        of_class = {name: positive & np.array([one.path_class == name for one in shown]) for name in self.classes}
        everybody = np.ones(len(shown), bool)
        scales, every = [], []
        for likes in of_class.values():
            whole = weights(likes, everybody)
            own = np.array([without(number, likes, whole) for number in map(int, np.flatnonzero(likes))])
            # Of two or three that differ, the median is a matter of luck: not less than this.
            reference = max(float(np.median(own)), ALONE * float(np.median((raw @ whole)[likes])), _SMALL)
            scales.append(reference)
            every.append(whole / reference)
        self._weights = np.array(every)

    def similarities(self, described: NDArray[np.float32]) -> NDArray[np.float32]:
        """[h, w, GRID * GRID, D] to [classes, h, w]."""
        height, width = described.shape[:2]
        flat = described.reshape(height * width, -1) - self._mean
        return np.asarray((flat @ self._weights.T).T.reshape(-1, height, width), np.float32)


def _read(
    described: NDArray[np.float32], rows: float | NDArray[np.float64], columns: float | NDArray[np.float64]
) -> NDArray[np.float32]:
    height, width = described.shape[:2]
    at = np.clip(np.rint(rows).astype(int), 0, height - 1), np.clip(np.rint(columns).astype(int), 0, width - 1)
    return np.asarray(described[at], np.float32)


def _mirrored(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """[N, GRID * GRID, D] in all eight symmetries of the square, flat: [8 N, GRID * GRID * D].

    Tissue has no up and down.
    """
    grids = samples.reshape(len(samples), GRID, GRID, -1)
    turned = [np.rot90(grids, quarter, (1, 2)) for quarter in range(4)]
    return np.concatenate([*turned, *(one[:, :, ::-1] for one in turned)]).reshape(8 * len(samples), -1)
