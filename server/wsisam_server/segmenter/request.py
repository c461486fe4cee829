"""What is asked of the segmenter, and what it answers."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from wsisam_server.fields import FieldChoice, SlidePrompt
    from wsisam_server.geometry import FieldPair, Viewport
    from wsisam_server.polygons import Outline
    from wsisam_server.scheduler import ModelInfo, StageTimes


@dataclass(frozen=True, slots=True)
class OutlineOptions:
    """How an outline is made from a mask. Lengths are microns, or level-0 pixels for a slide without a pixel size.

    Attributes:
        tolerance: greatest distance by which simplification may move the border; None for a quarter of a mask cell.
        min_area: parts and holes with a smaller area are left out.
    """

    tolerance: float | None = None
    min_area: float = 0.0


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
    """

    slide_id: str
    prompt: SlidePrompt
    model: str = ""
    viewport: Viewport | None = None
    choice: FieldChoice = None
    options: OutlineOptions = field(default_factory=OutlineOptions)
    interactive: bool = True


@dataclass(frozen=True, slots=True)
class Outcome:
    """An outline and how it came about.

    Attributes:
        rings: the outline's geometry in its integer form (see `polygons.encode`).
        tolerance: what was applied, in `OutlineOptions`' unit for this slide.
        in_microns: whether that unit is the micron.
        polygon_ms: wall time of turning the mask into the outline.
    """

    outline: Outline
    rings: list[list[list[int]]]
    score: float
    field: FieldPair
    model: ModelInfo
    tolerance: float
    in_microns: bool
    times: StageTimes
    polygon_ms: float
