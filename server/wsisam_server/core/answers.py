"""What segmentation answers, as values: an outline and how it came about, or what was found in a region."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Final, Protocol

from wsisam_server.core.pixel_size import PixelSize
from wsisam_server.core.prompt import SlidePrompt

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    import shapely
    from numpy.typing import NDArray

    from wsisam_server.core.geometry import FieldPair, Point, Window

CELLS: Final = 256
"""Along a mask's side, whatever the size of the images that a model takes."""

_UNKNOWN: Final = PixelSize()
_NOTHING: Final = SlidePrompt()


class AnsweringModel(Protocol):
    """What an answer says of the model that made it."""

    @property
    def name(self) -> str:
        """Under which it is asked."""
        ...

    @property
    def weights_hash(self) -> str:
        """SHA-256 over its weights, hexadecimal."""
        ...


@dataclass(frozen=True, slots=True)
class Outline:
    """An object's outline in slide coordinates.

    Attributes:
        geometry: level-0 pixels; OGC-valid, every vertex on the 1/32 px grid and inside the slide. Exteriors run
            counter-clockwise in (x, y), holes clockwise (RFC 7946). May be empty.
        touches_window_edge: the geometry reaches an edge of the window beyond which the slide goes on, so that the
            object may be cut by the field.
        tolerance_px: how far simplification was allowed to move the outline, in level-0 pixels.
        dropped_parts: parts left out because they are smaller than the minimum area.
        dropped_holes: holes filled, in the parts that are left, because they are smaller than the minimum area.
    """

    geometry: shapely.MultiPolygon
    touches_window_edge: bool
    tolerance_px: float
    dropped_parts: int
    dropped_holes: int


@dataclass(frozen=True, slots=True)
class RefinementLevel:
    """One of the scales at which an object was segmented.

    Attributes:
        downsample: level-0 pixels per pixel of its windows.
        windows: how many of them were asked.
        rejected: answers that contradict the coarse one, and are not used; see `refinement.build_mosaic`.
        unreadable: further windows that were not asked, because the slide is damaged there.
    """

    downsample: float
    windows: int
    rejected: int = 0
    unreadable: int = 0


@dataclass(slots=True)
class StageTimes:
    """Wall time of one job's stages in milliseconds, and the encoder runs that it waited for.

    What was encoded before and comes from a disk counts as read, with what is prepared of it, and as no run.
    """

    queue: float = 0.0
    read: float = 0.0
    encode: float = 0.0
    decode: float = 0.0
    encoder_runs: int = 0

    def __add__(self, other: StageTimes) -> StageTimes:
        """The times of two jobs, one after the other."""
        return StageTimes(
            self.queue + other.queue,
            self.read + other.read,
            self.encode + other.encode,
            self.decode + other.decode,
            self.encoder_runs + other.encoder_runs,
        )


@dataclass(frozen=True, slots=True)
class Candidate:
    """One of the objects that a prompt may mean.

    Attributes:
        number: names it, whatever the others are: 0 for the model's own answer, 1 to 3 for its further ones.
        outline: the candidate's.
        encoded: as in `Outcome`.
        score: its IoU as the model expects it, calibrated if its weights are.
        unhonoured: as in `Outcome`.
    """

    number: int
    outline: Outline
    encoded: list[list[list[int]]]
    score: float
    unhonoured: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Outcome:
    """An outline and how it came about.

    Attributes:
        encoded: the outline's geometry in its integer form (see `shapes.encode`).
        logits: float32 [256, 256] over the HR window, finished as the outline is, before any refinement. They go
            back to a model that wants them with the next click.
        tolerance: what was applied, in `OutlineOptions`' unit for this slide.
        in_microns: whether that unit is the micron.
        pixel_size: what it follows from.
        polygon_ms: wall time of turning the mask into the outline.
        levels: the scales that were used, the field's first; finer ones where the border was refined.
        truncated: a finer scale was asked for, and would have needed more windows than allowed.
        unhonoured: indices of the prompt's clicks that the outline contradicts.
        prompt: what was answered.
        candidates: in ascending area, if more than one was wanted; else empty.
        chosen: index of the candidate that the outline is.
        masks: as `logits`, of all candidates by their numbers, also of those that are left out because they nearly
            equal another one; None where there are no candidates.
    """

    outline: Outline
    encoded: list[list[list[int]]]
    logits: NDArray[np.float32]
    score: float
    field: FieldPair
    model: AnsweringModel
    tolerance: float
    in_microns: bool
    times: StageTimes
    polygon_ms: float
    levels: tuple[RefinementLevel, ...]
    truncated: bool = False
    pixel_size: PixelSize = _UNKNOWN
    unhonoured: tuple[int, ...] = ()
    prompt: SlidePrompt = _NOTHING
    candidates: tuple[Candidate, ...] = ()
    chosen: int = 0
    masks: Mapping[int, NDArray[np.float32]] | None = None

    def score_of(self, number: int) -> float:
        """The score of a candidate; of one that is left out since it nearly equals another, that of the outline."""
        return next((one.score for one in self.candidates if one.number == number), self.score)


class ClickStatus(Enum):
    """Whether a click's outline is proposed, and why not."""

    PROPOSED = "proposed"
    NOTHING = "nothing"
    TOO_SMALL = "too_small"
    TOO_LARGE = "too_large"
    CUT = "cut"
    WEAK = "weak"
    OUTSIDE = "outside"
    EXISTING = "existing"
    REPEATED = "repeated"
    UNREADABLE = "unreadable"


Counts = Counter[ClickStatus]


@dataclass(frozen=True, slots=True)
class Proposal:
    """An object that was found.

    Attributes:
        outcome: its outline, clipped to the region; without logits.
        click: where it was found.
        stability: see `proposals.stability`.
        agreement: see `proposals.judge`.
        similarity: the probability that it is one of the exemplars' kind; None where none were shown.
        path_class: the name of the exemplars' class that it resembles most; empty without one.
    """

    outcome: Outcome
    click: Point
    stability: float
    agreement: float
    similarity: float | None = None
    path_class: str = ""


@dataclass(frozen=True, slots=True)
class Likeness:
    """What followed from the exemplars of a search.

    Attributes:
        min_size: of the objects that are looked for, in level-0 pixels.
        max_size: of these.
        expected_precision: share of the proposals that are expected to be right; None until all windows were looked at.
        unsure: whether the exemplars do not tell their kind from the rest, so that only the likeliest are proposed.
    """

    min_size: float
    max_size: float
    expected_precision: float | None = None
    unsure: bool = False


@dataclass(frozen=True, slots=True)
class SurveyStep:
    """What became final with one more window of a survey.

    Attributes:
        done: windows that are done.
        counts: statuses of all clicks so far, less those that are not final yet.
        unreadable: windows of this step in which the slide is damaged. None of their clicks was asked.
        lost: how many windows were unreadable so far.
        undecided: clicks of windows that are done whose outlines may yet be proposed: for each such window its number,
            and a bit for each of its clicks. With them, a search can be gone on with after this step.
        likeness: what followed from the exemplars, where there are some.
    """

    proposals: tuple[Proposal, ...] = ()
    done: int = 0
    counts: Counts = field(default_factory=Counts)
    unreadable: tuple[Window, ...] = ()
    lost: int = 0
    undecided: tuple[tuple[int, int], ...] = ()
    likeness: Likeness | None = None
