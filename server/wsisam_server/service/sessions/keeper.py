"""Outlines that are kept: an answer, as an annotation in the store."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

from wsisam_server.annotations.store import (
    Commit,
    Content,
    Draft,
    Saved,
    SlideRecord,
    provenance,
)
from wsisam_server.core.errors import Reason, WsiSamServerError
from wsisam_server.service.visible_store import visible_store

if TYPE_CHECKING:
    from wsisam_server.annotations.store import AsyncStore
    from wsisam_server.core.answers import Outcome
    from wsisam_server.core.requests import Request
    from wsisam_server.slides import SlideInfo


class Keeper:
    """Stores outlines.

    Args:
        store: None when the server has none.
    """

    def __init__(self, store: AsyncStore | None) -> None:
        self._store = store

    def check(self, commit: Commit, slide: SlideInfo) -> None:
        """Passes a commit that can be made, before its outline is computed.

        Raises:
            WsiSamServerError: STORE_OFF, or INVALID_FIELD: a slide of pushed pixels needs a URI.
        """
        visible_store(self._store)
        if slide.is_pushed and not commit.uri:
            raise WsiSamServerError(
                Reason.INVALID_FIELD,
                field="commit.uri",
                problem="it is empty; a slide in pixel mode has a random id, under which nothing would be found again",
            )

    async def keep(self, request: Request, outcome: Outcome, slide: SlideInfo, commit: Commit) -> Saved | None:
        """Stores an outline; returns once it is on the disk.

        Returns:
            None when the outline is empty: there is nothing to keep.

        Raises:
            WsiSamServerError: see `Store.save`.
        """
        if outcome.outline.geometry.is_empty:
            return None
        slide_id = commit.uri if slide.is_pushed else slide.fingerprint
        content = Content(
            slide_id=slide_id,
            shape=outcome.outline.geometry,
            path_class=commit.path_class,
            name=commit.name,
            project=commit.project,
            metadata=commit.metadata,
            provenance=provenance(request.prompt, outcome),
        )
        (saved,) = await visible_store(self._store).save(
            [Draft(commit.annotation_id, content, commit.expected)],
            author=commit.author,
            # A prompt that is sent again brings its annotation's id: the same outline then changes nothing.
            request_id=uuid.uuid4().hex,
            slides=[SlideRecord(slide_id, (commit.uri,) if commit.uri else (), slide.size)],
        )
        return saved
