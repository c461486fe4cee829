"""Which annotations may be drawn anew. Pure.

What a person changed after a model drew it is theirs. That is told from the history: the outline is no longer the one
of the first revision that names this model, these weights, this prompt and this field. An outline that the store first
saw in a file or a QuPath project may have been changed before: there is no telling, so it is left alone unless it is
asked for. The server's own outlines are known by their vertices, which lie on its grid; QuPath's are rounded otherwise.
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


class LeftAlone(Enum):
    """Why an annotation is not drawn anew."""

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
    """How an annotation was drawn, as the store or, for one that came from QuPath, its metadata say."""
    if content.provenance is None:
        return provenance.split(content.metadata)[0]
    return provenance.with_levels(content).provenance


def at_sight(annotation: Annotation, weights_hash: str) -> LeftAlone | None:
    """Why an annotation is left alone, as far as it says so itself."""
    made = origin(annotation.content)
    if made is None:
        return LeftAlone.BY_HAND
    if made.prompt is None or not steps(made.prompt):
        return LeftAlone.NO_PROMPT
    if made.weights_hash == weights_hash:
        return LeftAlone.SAME
    return LeftAlone.LOCKED if annotation.content.locked else None


def by_history(history: Sequence[Annotation], *, imported: bool) -> LeftAlone | None:
    """Why an annotation is left alone, as its history says.

    Args:
        history: all its revisions, the oldest first; the last one is as it is now, and has an origin.
        imported: take what came from QuPath or a file, too.
    """
    now = history[-1].content
    drawn = next(one.content for one in history if _of_one_drawing(one.content, now))
    if not same_shape(drawn.shape, now.shape):
        return LeftAlone.CHANGED
    if imported or (drawn.provenance is not None and _on_grid(drawn)):
        return None
    return LeftAlone.IMPORTED


def _of_one_drawing(then: Content, now: Content) -> bool:
    """Whether both say the same origin, in whatever words: scales of a border may have come with metadata later."""
    return origin(then) == origin(now) or (then.provenance is not None and then.provenance == now.provenance)


def _on_grid(content: Content) -> bool:
    try:
        encode(shapely.MultiPolygon(shapely.get_parts(content.shape).tolist()))
    except (ValueError, TypeError, shapely.errors.ShapelyError):
        return False
    return True
