"""Outlines that are to be kept: what a client says of one, and how it came about."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from wsisam_server.annotations.store.model import Level, Provenance, kept_levels

if TYPE_CHECKING:
    import uuid
    from collections.abc import Mapping

    from wsisam_server.annotations.store.model import PathClass
    from wsisam_server.core.answers import Outcome
    from wsisam_server.core.prompt import SlidePrompt


@dataclass(frozen=True, slots=True)
class Commit:
    """How an outline is to be kept.

    Attributes:
        annotation_id: made by the client.
        expected: the annotation's latest revision that the client has seen; 0 for a new one.
        author: who keeps it.
        uri: the slide's, as the client sees it; may be empty for a slide that the server reads itself.
    """

    annotation_id: uuid.UUID
    expected: int
    author: str
    path_class: PathClass | None = None
    name: str = ""
    project: str = ""
    metadata: Mapping[str, str] = field(default_factory=dict)
    uri: str = ""


def provenance(prompt: SlidePrompt, outcome: Outcome) -> Provenance:
    """How an answer to a prompt came about. The one level of an answer that was not refined is its field's.

    Where the outline is another candidate than the model's own answer, the prompt that is kept says which.
    """
    number = outcome.candidates[outcome.chosen].number or None if outcome.candidates else None
    return Provenance(
        model=outcome.model.name,
        weights_hash=outcome.model.weights_hash,
        prompt=prompt if number is None else replace(prompt, candidate=number),
        field=outcome.field,
        score=outcome.score,
        levels=kept_levels(Level(level.downsample, level.windows) for level in outcome.levels),
    )
