"""Check, segment, keep: a prompt's outline, as an annotation in the store where that is asked for."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, NamedTuple

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
    from collections.abc import Callable

    from wsisam_server.annotations.store import AsyncStore
    from wsisam_server.core.answers import Outcome
    from wsisam_server.core.requests import Request
    from wsisam_server.segmentation.planning import PlannedPrompt
    from wsisam_server.segmentation.segmenter import ProgressListener, Segmenter
    from wsisam_server.slides import SlideInfo


class PromptResult(NamedTuple):
    """An outline, and what became of it in the store; None where it was not to be kept, or is empty."""

    outcome: Outcome
    saved: Saved | None = None


class CommitService:
    """Has prompts answered, and stores the outlines that are to be kept. Every prompt of a call or stream passes here.

    Args:
        segmenter: answers prompts.
        store: None when the server has none.
    """

    def __init__(self, segmenter: Segmenter, store: AsyncStore | None) -> None:
        self._segmenter = segmenter
        self._store = store

    @property
    def store(self) -> AsyncStore | None:
        """The argument."""
        return self._store

    async def answer(
        self,
        request: Request,
        commit: Commit | None,
        listener: ProgressListener | None = None,
        *,
        provisional: PlannedPrompt | None = None,
        outlined: Callable[[Outcome], None] = lambda _: None,
    ) -> PromptResult:
        """Checks that an outline can be kept, makes it, and keeps it: where a commit asks for that.

        Args:
            request: the prompt.
            commit: how its outline is kept; None to keep nothing.
            listener: see `Segmenter.segment`.
            provisional: see `Segmenter.segment`.
            outlined: called when the outline is there. From then on, nothing takes it back out of the store.

        Raises:
            WsiSamServerError: STORE_OFF, INVALID_FIELD; what `Segmenter.segment` and `Store.save` raise.
        """
        if commit is None:
            outcome = await self._segmenter.segment(request, listener, provisional=provisional)
            outlined(outcome)
            return PromptResult(outcome)
        slide = self._segmenter.slide_info(request.slide_id)
        self._check(commit, slide)
        outcome = await self._segmenter.segment(request, listener, provisional=provisional)
        outlined(outcome)
        return PromptResult(outcome, await self._keep(request, outcome, slide, commit))

    def _check(self, commit: Commit, slide: SlideInfo) -> None:
        visible_store(self._store)
        if slide.is_pushed and not commit.uri:
            raise WsiSamServerError(
                Reason.INVALID_FIELD,
                field="commit.uri",
                problem="it is empty; a slide in pixel mode has a random id, under which nothing would be found again",
            )

    async def _keep(self, request: Request, outcome: Outcome, slide: SlideInfo, commit: Commit) -> Saved | None:
        """Stores an outline; returns once it is on the disk. None when it is empty: there is nothing to keep."""
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
