"""What is asked of segmentation, as values: one prompt, or all objects of a region."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import Enum
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    import shapely

    from wsisam_server.core.answers import Outcome
    from wsisam_server.core.geometry import FieldPair, Viewport, Window
    from wsisam_server.core.prompt import SlidePrompt

MIN_DOWNSAMPLE = 1 / 64
MAX_DOWNSAMPLE = 2.0**18
"""At 256 px a window of 67 million pixels: the widest slide whose outlines the contract can carry."""

USUAL_WINDOWS: Final = 64
"""Bound on the windows of one border where nobody says another: on a CPU, a minute."""

MAX_CANDIDATES: Final = 4
"""The model's own answer, and the masks of SAM's three further tokens."""

SHAPE_VERTICES: Final = 10_000
"""Most vertices of a prompt's shape. It is read at 256 x 256 cells, where more cannot be told apart."""

MAX_SIZE_RATIO = 16
"""Largest max_size / min_size: in a window that holds the largest objects, the smallest are then a few mask cells."""


MAX_OVERLAP: Final = 0.3
"""Share of the smaller one's area that two proposals may have in common, unless the caller says otherwise."""


@dataclass(frozen=True, slots=True)
class AtDownsample:
    """The caller chose the working downsample of the HR window; the planner places it."""

    downsample: float


@dataclass(frozen=True, slots=True)
class ExactWindow:
    """The caller chose the HR window itself, usually the one that an earlier answer named."""

    window: Window


FieldChoice = AtDownsample | ExactWindow | None


class PartsPolicy(Enum):
    """Which parts of a mask make its outline.

    PROMPTED: those with a positive click in them. Where none has one, as after a box alone, all but small stray ones.
    """

    ALL = "all"
    PROMPTED = "prompted"


@dataclass(frozen=True, slots=True)
class OutlineOptions:
    """How an outline is made from a mask. Lengths are microns, or level-0 pixels where nobody knows the pixel size.

    Attributes:
        tolerance: greatest distance by which simplification may move the border; None for a quarter of a mask cell.
        min_area: parts and holes with a smaller area are left out; None for four mask cells.
        parts: which parts are kept.
        fill_holes_below: holes with a smaller area are filled; None for `min_area`.
        smoothing: length over which the border is smoothed before it is drawn.
        honour_points: move the border where it contradicts a click.
        max_candidates: how many outlines are wanted, 1 to `MAX_CANDIDATES`.
    """

    tolerance: float | None = None
    min_area: float | None = None
    parts: PartsPolicy = PartsPolicy.PROMPTED
    fill_holes_below: float | None = None
    smoothing: float = 0.0
    honour_points: bool = True
    max_candidates: int = 1


@dataclass(frozen=True, slots=True)
class Refinement:
    """How far a border shall be refined.

    Attributes:
        downsample: level-0 pixels per cell of the finest mask; None for the viewport's, or 1 without a viewport.
        max_windows: most windows that are read for it, of all scales together, at least 1; None for `USUAL_WINDOWS`,
            or what the server allows if that is less.
    """

    downsample: float | None = None
    max_windows: int | None = None

    def resolve(self, viewport: Viewport | None, most: int) -> ResolvedRefinement:
        """Fills in what the caller left open.

        Args:
            viewport: what the annotator sees, if known.
            most: windows that the server allows.

        Raises:
            ValueError: it wants none, or more than that.
        """
        windows = min(USUAL_WINDOWS, most) if self.max_windows is None else self.max_windows
        if not 1 <= windows <= most:
            raise ValueError(f"it must lie between 1 and {most}")
        downsample = self.downsample or (1.0 if viewport is None else viewport.downsample)
        return ResolvedRefinement(min(max(downsample, MIN_DOWNSAMPLE), MAX_DOWNSAMPLE), windows)


@dataclass(frozen=True, slots=True)
class ResolvedRefinement:
    """A refinement without defaults left to fill in.

    Attributes:
        downsample: level-0 pixels per cell of the finest mask wanted; the nearest of the scales is taken.
        max_windows: bound on the windows of all scales together.
    """

    downsample: float
    max_windows: int


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
        principal: whose share of the queues it uses; see `Job`.
        earlier: an answer to a prompt that this one extends. A model that uses it gets its mask as input, if the field
            is the same.
        previous_field: the field of the object's earlier prompts. This prompt stays in it unless it comes near an edge.
        prefetched: fields that were or will soon be encoded for this caller: as good as a planned one, and faster.
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
    principal: str = ""
    earlier: Outcome | None = None
    previous_field: FieldPair | None = None
    prefetched: Collection[FieldPair] = ()
    refinement: Refinement | None = None
    mpp: float | None = None


@dataclass(frozen=True, slots=True)
class ProposalFilter:
    """Sizes, the diameters of circles of the objects' area, and thresholds; see ProposalFilter in the contract.

    The defaults were chosen on images that the default model was not trained on: see `benchmarks/everything.py`.

    Attributes:
        min_size: in microns, or in level-0 pixels once `in_pixels` was asked.
        max_size: in the same unit.
        min_score: least IoU that the model itself expects.
        min_stability: see `stability`.
        min_agreement: see `judge`.
        max_overlap: share of the smaller one's area that two objects may have in common.
    """

    min_size: float
    max_size: float
    min_score: float = 0.5
    min_stability: float = 0.5
    min_agreement: float = 0.5
    max_overlap: float = MAX_OVERLAP

    def in_pixels(self, mpp: float | None) -> ProposalFilter:
        """The same with sizes in level-0 pixels.

        Args:
            mpp: microns per level-0 pixel; None where the sizes are pixels already.
        """
        unit = mpp or 1.0
        return replace(self, min_size=self.min_size / unit, max_size=self.max_size / unit)


@dataclass(frozen=True, slots=True)
class SurveyRequest:
    """A region to search.

    Attributes:
        slide_id: an open slide.
        region: level-0 pixels, as drawn.
        existing: existing objects, level-0 pixels, as drawn.
        proposal_filter: sizes in microns, or in level-0 pixels where nobody knows the pixel size.
        model: a model's name; empty for the default.
        options: how outlines are wanted.
        principal: whose share of the queues it uses; see `Job`.
        mpp: see `Request`.
    """

    slide_id: str
    region: shapely.MultiPolygon
    existing: Sequence[shapely.MultiPolygon]
    proposal_filter: ProposalFilter
    model: str = ""
    options: OutlineOptions = field(default_factory=OutlineOptions)
    principal: str = ""
    mpp: float | None = None


@dataclass(frozen=True, slots=True)
class Exemplar:
    """An object that shows what is looked for, or what is not.

    Attributes:
        slide_id: the open slide that it lies on.
        shape: level-0 pixels of that slide, as drawn.
        positive: whether such objects are looked for.
        path_class: the name of its class; empty for none.
    """

    slide_id: str
    shape: shapely.MultiPolygon
    positive: bool = True
    path_class: str = ""


@dataclass(frozen=True, slots=True)
class LikeRequest:
    """A region to search for what looks like exemplars.

    Attributes:
        slide_id: as in `SurveyRequest`.
        region: as in `SurveyRequest`.
        existing: as in `SurveyRequest`; the exemplars on the slide need not be among them.
        exemplars: what is looked for; sizes and thresholds follow from them.
        sizes: in place of those that follow from the exemplars, in microns, or in pixels.
        min_score: in place of the one that follows from the exemplars.
        min_stability: see `ProposalFilter`.
        min_agreement: of the boxes that are asked at a place, the share whose outlines must agree with the best.
        min_similarity: least probability that a proposal is one; None for the server's choice.
        max_overlap: see `ProposalFilter`.
        model: as in `SurveyRequest`.
        options: as in `SurveyRequest`.
        principal: as in `SurveyRequest`.
        mpp: as in `SurveyRequest`.
    """

    slide_id: str
    region: shapely.MultiPolygon
    existing: Sequence[shapely.MultiPolygon]
    exemplars: Sequence[Exemplar]
    sizes: tuple[float, float] | None = None
    min_score: float | None = None
    min_stability: float = 0.0
    min_agreement: float = 0.0
    min_similarity: float | None = None
    max_overlap: float = MAX_OVERLAP
    model: str = ""
    options: OutlineOptions = field(default_factory=OutlineOptions)
    principal: str = ""
    mpp: float | None = None
