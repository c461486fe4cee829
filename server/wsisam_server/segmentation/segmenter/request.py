"""What is asked of the segmenter, and what it answers."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from wsisam_server.slides import PixelSize

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from wsisam_server.core.geometry import FieldPair, Viewport
    from wsisam_server.inference.scheduler import ModelInfo, StageTimes
    from wsisam_server.segmentation.fields import FieldChoice, SlidePrompt
    from wsisam_server.segmentation.outlines import Outline
    from wsisam_server.segmentation.refinement import Refinement
    from wsisam_server.segmentation.segmenter.refining import Level

_UNKNOWN: Final = PixelSize()


@dataclass(frozen=True, slots=True)
class OutlineOptions:
    """How an outline is made from a mask. Lengths are microns, or level-0 pixels where nobody knows the pixel size.

    Attributes:
        tolerance: greatest distance by which simplification may move the border; None for a quarter of a mask cell.
        min_area: parts and holes with a smaller area are left out; None for four mask cells, which is dust.
    """

    tolerance: float | None = None
    min_area: float | None = None


@dataclass(frozen=True, slots=True)
class Request:
    """One prompt.

    Attributes:
        slide_id: an open slide.
        prompt: in slide coordinates, not yet checked.
        model: a model's name; empty for the default.
        viewport: what the annotator sees, if known.
        choice: the caller's own scale or window, if any.
        options: how the outline is wanted.
        interactive: whether a person waits for it.
        owner: whose turns it uses; see `Job`.
        earlier: an answer to this prompt's beginnings; a model that wants it gets its mask fed back, if the field is
            still the same.
        refinement: whether, and how far, the answer's border is refined in finer windows.
        mpp: microns per level-0 pixel as the client knows it; counts where the slide's file does not say.
    """

    slide_id: str
    prompt: SlidePrompt
    model: str = ""
    viewport: Viewport | None = None
    choice: FieldChoice = None
    options: OutlineOptions = field(default_factory=OutlineOptions)
    interactive: bool = True
    owner: str = ""
    earlier: Outcome | None = None
    refinement: Refinement | None = None
    mpp: float | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """An outline and how it came about.

    Attributes:
        rings: the outline's geometry in its integer form (see `polygons.encode`).
        logits: the model's own, float32 [256, 256] over the HR window, before any refinement.
        tolerance: what was applied, in `OutlineOptions`' unit for this slide.
        in_microns: whether that unit is the micron.
        pixel_size: what it follows from.
        polygon_ms: wall time of turning the mask into the outline.
        levels: the scales that were used, the field's first; finer ones where the border was refined.
        limited: a finer one was asked for, and would have needed more windows than allowed.
    """

    outline: Outline
    rings: list[list[list[int]]]
    logits: NDArray[np.float32]
    score: float
    field: FieldPair
    model: ModelInfo
    tolerance: float
    in_microns: bool
    times: StageTimes
    polygon_ms: float
    levels: tuple[Level, ...]
    limited: bool = False
    pixel_size: PixelSize = _UNKNOWN
