"""Selects the annotations that may be replayed. Pure.

An outline that a person changed after a model drew it is skipped. The history shows that: the outline differs from the
first revision that names this model, these weights, this prompt and this field. An outline that the store first got
from a file or a QuPath project may have been changed before, so it is skipped unless `imported` is set. The server's
own outlines are recognised by their vertices, which lie on its grid. QuPath rounds otherwise.
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING

import shapely

from wsisam_server.annotations.formats import provenance
from wsisam_server.annotations.sync.likeness import same_shape
from wsisam_server.core.shapes import encode
from wsisam_server.learning.replay.answering import steps

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wsisam_server.annotations.store import Annotation, Content, Provenance


class SkipReason(Enum):
    """Why an annotation is not replayed."""

    BY_HAND = "drawn by a person"
    NO_PROMPT = "drawn by a model whose prompt was not kept"
    SAME = "drawn by this very model"
    LOCKED = "locked"
    CHANGED = "changed by a person after a model drew them"
    IMPORTED = "from QuPath or a file, where a person may have changed them; --imported takes them, too"
    MEANWHILE = "changed while this ran"
    REFUSED = "not answered"
    NOTHING = "of which the model finds nothing"


def origin(content: Content) -> Provenance | None:
    """The provenance of an annotation, from the store, or from its metadata if it came from QuPath."""
    if content.provenance is None:
        return provenance.split(content.metadata)[0]
    return provenance.with_levels(content).provenance


def at_sight(annotation: Annotation, weights_hash: str) -> SkipReason | None:
    """Why an annotation is skipped, as far as its content shows."""
    made = origin(annotation.content)
    if made is None:
        return SkipReason.BY_HAND
    if made.prompt is None or not steps(made.prompt):
        return SkipReason.NO_PROMPT
    if made.weights_hash == weights_hash:
        return SkipReason.SAME
    return SkipReason.LOCKED if annotation.content.locked else None


def by_history(history: Sequence[Annotation], *, imported: bool) -> SkipReason | None:
    """Why an annotation is left alone, as its history says.

    Args:
        history: all its revisions, the oldest first; the last one is as it is now, and has an origin.
        imported: take what came from QuPath or a file, too.
    """
    now = history[-1].content
    drawn = next(one.content for one in history if _of_one_drawing(one.content, now))
    if not same_shape(drawn.shape, now.shape):
        return SkipReason.CHANGED
    if imported or (drawn.provenance is not None and _on_grid(drawn)):
        return None
    return SkipReason.IMPORTED


def _of_one_drawing(then: Content, now: Content) -> bool:
    """Whether both say the same origin, in whatever words: scales of a border may have come with metadata later."""
    return origin(then) == origin(now) or (then.provenance is not None and then.provenance == now.provenance)


def _on_grid(content: Content) -> bool:
    try:
        encode(shapely.MultiPolygon(shapely.get_parts(content.shape).tolist()))
    except (ValueError, TypeError, shapely.errors.ShapelyError):
        return False
    return True
