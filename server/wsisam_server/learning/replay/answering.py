"""The prompts of a replay, and their answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

from wsisam_server.core.answers import CELLS
from wsisam_server.core.requests import MAX_CANDIDATES, MAX_DOWNSAMPLE, MIN_DOWNSAMPLE, USUAL_WINDOWS, Refinement
from wsisam_server.core.settings import Limits

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shapely.geometry.base import BaseGeometry

    from wsisam_server.annotations.store import Level, Provenance, SlideRecord
    from wsisam_server.core.geometry import Window
    from wsisam_server.core.prompt import SlidePrompt

_ROOM: Final = 2
"""Times the windows that a border took: another model's may be longer, and one too many would halve its fineness."""

_USUAL_LIMIT: Final = Limits().refinement_windows

_MOST_WINDOWS: Final = 2**31 - 1
"""That a message can ask for. An annotation may say that its border took more, which no server reads."""


class RefusedError(Exception):
    """A prompt was not answered; the text says why."""


@dataclass(frozen=True, slots=True)
class ReplayedOutline:
    """The outline of a replayed prompt.

    Attributes:
        shape: polygons in level-0 pixels; empty when the model found nothing.
        made: how it came about.
        truncated: its border is refined less finely than it was before, because of the bound on windows.
    """

    shape: BaseGeometry
    made: Provenance
    truncated: bool = False


class Answerer(Protocol):
    """Answers prompts with one model."""

    @property
    def model(self) -> str:
        """The model's name."""
        ...

    @property
    def weights_hash(self) -> str:
        """SHA-256 over its tensors, hexadecimal."""
        ...

    def answer(
        self, slide: SlideRecord, prompt: SlidePrompt, window: Window | None, levels: tuple[Level, ...]
    ) -> ReplayedOutline:
        """Answers a prompt as it was made, see `steps` and, for the last of them, `refinement`.

        Args:
            slide: which.
            prompt: all that the annotator said.
            window: the HR window of the first time; the model reads the same region at its own size. None to plan.
            levels: the scales of the first time, where the border was refined.

        Raises:
            RefusedError: it cannot.
        """
        ...


def steps(prompt: SlidePrompt) -> list[SlidePrompt]:
    """A prompt as it grew: box and shape, then click by click, for models that are fed their answers.

    Clicks before the first positive one come with it, since a model is not asked for what is not there.
    """
    begun = [prompt.before(0)] if prompt.has_area else []
    first = next((n for n, mark in enumerate(prompt.points, 1) if mark.positive or begun), len(prompt.points) + 1)
    grown = [prompt.before(count) for count in range(first, len(prompt.points) + 1)]
    # Which candidate is meant is said of the answer to it all.
    return [*(begun + grown)[:-1], prompt] if begun or grown else []


def max_candidates(asked: Sequence[SlidePrompt]) -> list[int]:
    """How many candidates each step wants: those before one that goes on from a candidate have them ready then.

    All others want one. So what they go on from does not depend on how a model ranks.
    """
    follows = [bool(after.points) and after.points[-1].candidate is not None for after in asked[1:]]
    return [MAX_CANDIDATES if named else 1 for named in [*follows, False]] if asked else []


def refinement(levels: tuple[Level, ...], window: Window | None) -> Refinement | None:
    """How far a border is refined again: as finely as it was, with room for more windows as far as servers usually go.

    Args:
        levels: of the first time, the field's first.
        window: the HR window of the first time, whose size tells how many pixels of a level make a cell of the mask;
            None for one.

    Returns:
        None where it was not refined.
    """
    if len(levels) < 2:  # noqa: PLR2004 - the field's, and a finer one
        return None
    finest = min(level.downsample for level in levels) * (1 if window is None else window.size / CELLS)
    used = windows_used(levels)
    return Refinement(
        downsample=min(max(finest, MIN_DOWNSAMPLE), MAX_DOWNSAMPLE),
        max_windows=max(USUAL_WINDOWS, used, min(_ROOM * used, _USUAL_LIMIT)),
    )


def windows_used(levels: tuple[Level, ...]) -> int:
    """How many windows a border took, beside the field."""
    return min(sum(level.windows for level in levels[1:]), _MOST_WINDOWS)
