"""Errors of the store that carry more than a text."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from wsisam_server.core.errors import Reason, WsiSamServerError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wsisam_server.annotations.store.model import Annotation, Draft, Patch, Target


class StoreError(Exception):
    """The store cannot be opened as it is; the text, for the administrator, says what to do."""


@dataclass(frozen=True, slots=True)
class Conflict:
    """A change to a revision that is not the latest.

    Attributes:
        sent: what was to be stored.
        stored: the annotation as it is, perhaps deleted.
    """

    sent: Draft | Patch | Target
    stored: Annotation


class RevisionConflictError(WsiSamServerError):
    """REVISION_CONFLICT with both versions of every annotation concerned. Nothing of the request was stored."""

    def __init__(self, conflicts: Sequence[Conflict]) -> None:
        first = conflicts[0]
        super().__init__(
            Reason.REVISION_CONFLICT,
            annotation_id=first.stored.id,
            current=first.stored.revision,
            expected=first.sent.expected,
            conflicts=len(conflicts),
        )
        self.conflicts = tuple(conflicts)
