"""What looks wrong with a data set before anything is trained or measured on it.

Each of these has spoilt a run: inverted masks, images whose background is grey, masks of another size. A finding is a
hint, not a verdict: fat and glands with a wide lumen are bright, too.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import numpy as np

from wsisam_server.learning.datasets.errors import DatasetError
from wsisam_server.learning.datasets.objects import objects
from wsisam_server.learning.datasets.sample import load

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from wsisam_server.learning.datasets.manifest import Row
    from wsisam_server.learning.datasets.sample import Sample

BRIGHTER: Final = 3.0
"""A mask that is brighter than what is around it by this many grey levels and touches all borders is suspected."""

DARK_WHITE: Final = 225.0
"""Where no image of a set has a brighter white, its background is grey: on slides it is at 236 to 252."""

FULL: Final = 0.95
"""An object that covers so much of its image has no outline to learn."""

_WHITE_PERCENTILE = 99.5
_SOME = 0.9  # of a set's whites, the one that counts: most images of tissue show no background
_THOSE = 0.75  # the whites from here on are taken for background


@dataclass(frozen=True, slots=True)
class Finding:
    """What looks wrong.

    Attributes:
        row: with which image; None with the whole set.
        problem: what it is and what to do.
    """

    row: Row | None
    problem: str

    def __str__(self) -> str:
        """One line."""
        return self.problem if self.row is None else f"line {self.row.line}, {self.row.image.name}: {self.problem}"


@dataclass(slots=True)
class Checks:
    """Looks at the images of a set one by one, and at what they have in common.

    Attributes:
        findings: so far.
    """

    findings: list[Finding] = field(default_factory=list)
    _whites: list[NDArray[np.float64]] = field(default_factory=list)

    def look(self, row: Row, *, connected_parts: bool) -> Sample | None:
        """Loads an image and checks it.

        Returns:
            The sample, or None where it cannot be loaded, which is a finding.
        """
        try:
            sample = load(row, connected_parts=connected_parts)
        except DatasetError as error:
            self.findings.append(Finding(row, error.problem))
            return None
        self._whites.append(white_level(sample.image))
        self.findings += [Finding(row, problem) for problem in problems(sample)]
        return sample

    def finish(self) -> Sequence[Finding]:
        """All findings, those about the whole set last."""
        if not self._whites:
            return self.findings
        whites = np.array(self._whites)
        levels = whites.mean(axis=1)
        if np.quantile(levels, _SOME) < DARK_WHITE:
            red, green, blue = np.median(whites[levels >= np.quantile(levels, _THOSE)], axis=0)
            self.findings.append(
                Finding(
                    None,
                    f"no image here has a white as bright as on a slide: about {red:.0f} {green:.0f} {blue:.0f}. "
                    "If that is background, write the three numbers into a column 'white' of the manifest, and the "
                    "images are scaled",
                )
            )
        return self.findings


def white_level(image: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Red, green and blue of an image's brightest pixels, which is its background where it shows any."""
    return np.asarray(np.percentile(image[::3, ::3].reshape(-1, 3), _WHITE_PERCENTILE, axis=0))


def problems(sample: Sample) -> list[str]:
    """What looks wrong with one image and its mask."""
    drawn = sample.labels > 0
    items = objects(sample.labels)
    if not items:
        return ["no object of 16 pixels or more is drawn on it"]
    found = []
    grey = sample.image.mean(axis=2)
    if not drawn.all() and _touches_all_borders(drawn):
        difference = grey[drawn].mean() - grey[~drawn].mean()
        if difference > BRIGHTER:
            found.append(
                f"the objects are brighter than the rest by {difference:.0f} grey levels and touch all four borders: "
                "is the mask the wrong way round, or are they bright, like fat?"
            )
    full = max(item.area for item in items) / drawn.size
    if full > FULL:
        found.append(f"one object covers {full:.0%} of the image; an outline cannot be learnt from it")
    return found


def _touches_all_borders(drawn: NDArray[np.bool_]) -> bool:
    return bool(drawn[0].any() and drawn[-1].any() and drawn[:, 0].any() and drawn[:, -1].any())
