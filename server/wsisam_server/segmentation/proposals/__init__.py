"""Proposals room: every object of some size in a region, from what a model outlines at a grid of clicks.

In: a region, objects that are there already, sizes; then what was outlined at each click. Out:
the windows and clicks to ask; then, as soon as they are final, the outlines worth proposing. Pure geometry in level-0
pixels. It must never know what a model, a message or a pixel is.
"""

from wsisam_server.segmentation.proposals.finding import Candidate, Found, agreement, judge, size_of, stability
from wsisam_server.segmentation.proposals.region import comparable, repaired_region
from wsisam_server.segmentation.proposals.suppression import NonMaximumSuppression
from wsisam_server.segmentation.proposals.tiling import Tile, Tiling, tiling

__all__ = [
    "Candidate",
    "Found",
    "NonMaximumSuppression",
    "Tile",
    "Tiling",
    "agreement",
    "comparable",
    "judge",
    "repaired_region",
    "size_of",
    "stability",
    "tiling",
]
