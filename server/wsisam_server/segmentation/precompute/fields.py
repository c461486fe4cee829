"""Which fields prompts will fall into."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from wsisam_server.core.errors import WsiSamServerError
from wsisam_server.core.prompt import SlidePrompt
from wsisam_server.segmentation.fields import plan
from wsisam_server.segmentation.fields.checking import checked

if TYPE_CHECKING:
    from collections.abc import Iterable

    from wsisam_server.core.geometry import Box, FieldPair
    from wsisam_server.segmentation.fields import Lattice
    from wsisam_server.slides import SlideInfo
    from wsisam_server.slides.tissue import Tissue


def for_boxes(boxes: Iterable[Box], info: SlideInfo, image_size: int) -> tuple[list[FieldPair], int]:
    """The fields in which a server answers boxes.

    Returns:
        Each field once, and how many boxes were left out because they lie outside the slide.
    """
    found: dict[FieldPair, None] = {}
    outside = 0
    for box in boxes:
        try:
            prompt = checked(SlidePrompt(box=box), info.size, max_points=0)
        except WsiSamServerError:
            outside += 1
            continue
        found[plan(prompt, info.size, image_size, mpp=info.mpp)] = None
    return list(found), outside


def over(lattice: Lattice, tissue: Tissue | None = None) -> list[FieldPair]:
    """The fields that take first clicks on tissue, or anywhere on the slide; each once, row by row."""
    # A place takes the clicks that are nearer to it than to its neighbours.
    columns, rows = (
        (np.arange(count + 1, dtype=np.float64) - 0.5) * lattice.step for count in (lattice.columns, lattice.rows)
    )
    wanted = np.ones((lattice.rows, lattice.columns), bool) if tissue is None else tissue.touches(columns, rows)
    places = ((int(column), int(row)) for row, column in np.argwhere(wanted))
    return list(dict.fromkeys(lattice.field(*place) for place in places))
