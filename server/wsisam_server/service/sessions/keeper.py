"""Outlines that are kept: an answer, as an annotation in the store."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from wsisam_server.annotations.store import (
    Content,
    Draft,
    PathClass,
    Provenance,
    Saved,
    Scale,
    Scope,
    SlideRecord,
    scales_kept,
)
from wsisam_server.core.errors import Reason, WsiSamServerError
from wsisam_server.service.identity import current_user

if TYPE_CHECKING:
    from collections.abc import Mapping

    from wsisam_server.annotations.store import AsyncStore
    from wsisam_server.segmentation.fields import SlidePrompt
    from wsisam_server.segmentation.segmenter import Outcome, Request
    from wsisam_server.slides import SlideInfo


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
    """How an answer to a prompt came about. The one level of an answer that was not refined is its field's."""
    return Provenance(
        model=outcome.model.name,
        weights_hash=outcome.model.weights_hash,
        prompt=prompt,
        field=outcome.field,
        score=outcome.score,
        levels=scales_kept(Scale(level.downsample, level.windows) for level in outcome.levels),
    )


class Keeper:
    """Stores outlines.

    Args:
        store: None when the server has none.
    """

    def __init__(self, store: AsyncStore | None) -> None:
        self._store = store

    @property
    def store(self) -> AsyncStore:
        """Where annotations are kept, as the user of the running call sees it.

        Raises:
            WsiSamServerError: STORE_OFF.
        """
        if self._store is None:
            raise WsiSamServerError(Reason.STORE_OFF)
        user = current_user()
        return self._store if user.sees_all else self._store.within(Scope(user.authors, user.projects))

    def check(self, commit: Commit, slide: SlideInfo) -> None:
        """Passes a commit that can be made, before its outline is computed.

        Raises:
            WsiSamServerError: STORE_OFF, or INVALID_FIELD: a slide of pushed pixels needs a URI.
        """
        assert self.store is not None
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
        (saved,) = await self.store.save(
            [Draft(commit.annotation_id, content, commit.expected)],
            author=commit.author,
            # A prompt that is sent again brings its annotation's id: the same outline then changes nothing.
            request_id=uuid.uuid4().hex,
            slides=[SlideRecord(slide_id, (commit.uri,) if commit.uri else (), slide.size)],
        )
        return saved
