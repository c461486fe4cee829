"""A prompt that can be answered as it is."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from wsisam_server.core.geometry import FieldPair
    from wsisam_server.core.requests import Goal, Request
    from wsisam_server.inference.scheduler import Job, ModelInfo


@dataclass(frozen=True, slots=True)
class Planned:
    """A prompt that was checked, clipped to its slide, and given a field.

    Attributes:
        request: what was asked.
        model: that answers it.
        job: what the engine is asked: the prompt in its field.
        is_first: whether the field was chosen for a first prompt on an object, so that another one may be as good.
        goal: how far the border is refined; None for not at all.
    """

    request: Request
    model: ModelInfo
    job: Job
    is_first: bool = False
    goal: Goal | None = None

    @property
    def field(self) -> FieldPair:
        """The windows that the model reads."""
        return self.job.field

    def moved(self, field: FieldPair) -> Planned:
        """The same prompt in another field."""
        return replace(self, job=replace(self.job, field=field))
