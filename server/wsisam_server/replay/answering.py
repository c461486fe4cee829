"""What is asked of a model again, and what it answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from wsisam_server.fields import SlidePrompt

if TYPE_CHECKING:
    from shapely.geometry.base import BaseGeometry

    from wsisam_server.geometry import Window
    from wsisam_server.store import Provenance, SlideRecord


class RefusedError(Exception):
    """A prompt was not answered; the text says why."""


@dataclass(frozen=True, slots=True)
class Redrawn:
    """An outline that was made anew.

    Attributes:
        shape: polygons in level-0 pixels; empty when the model found nothing.
        made: how it came about.
    """

    shape: BaseGeometry
    made: Provenance


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

    def answer(self, slide: SlideRecord, prompt: SlidePrompt, window: Window | None) -> Redrawn:
        """Answers a prompt as it was made, see `steps`.

        Args:
            slide: which.
            prompt: all that the annotator said.
            window: the HR window of the first time; the model reads the same region at its own size. None to plan.

        Raises:
            RefusedError: it cannot.
        """
        ...


def steps(prompt: SlidePrompt) -> list[SlidePrompt]:
    """A prompt as it grew: the box, then click by click, for models that are fed their answers.

    Clicks before the first positive one come with it, since a model is not asked for what is not there.
    """
    boxed = [SlidePrompt(box=prompt.box)] if prompt.box is not None else []
    first = next((n for n, mark in enumerate(prompt.points, 1) if mark.positive or boxed), len(prompt.points) + 1)
    grown = [SlidePrompt(prompt.points[:count], prompt.box) for count in range(first, len(prompt.points) + 1)]
    return boxed + grown
