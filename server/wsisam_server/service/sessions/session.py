"""One stream's state: objects and their revisions, of which the latest wins."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from wsisam_server.core.errors import Reason, WsiSamServerError
from wsisam_server.service.sessions.events import (
    Event,
    Failed,
    OutlineReady,
    PixelsWanted,
    Refining,
    WaitingForEncoder,
    WaitingForModel,
    WaitingForPixels,
)
from wsisam_server.service.sessions.prefetcher import Prefetcher
from wsisam_server.service.sessions.requested_pixels import RequestedPixels

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from wsisam_server.annotations.store import Commit
    from wsisam_server.core.answers import Outcome
    from wsisam_server.core.geometry import FieldPair, Viewport
    from wsisam_server.core.pixels import Encoding, PixelWindow
    from wsisam_server.core.prompt import SlidePrompt
    from wsisam_server.core.requests import Request
    from wsisam_server.core.settings import Limits
    from wsisam_server.segmentation.segmenter import Segmenter
    from wsisam_server.service.sessions.admission import Admission
    from wsisam_server.service.sessions.commit_service import CommitService


@dataclass(slots=True)
class _PendingPrompt:
    """One revision that waits for its answer.

    `ended` is set when it was answered from outside, so that the task emits nothing. `keeping` is set when its outline
    goes to the store: from then on it cannot be cancelled.
    """

    object_id: str
    revision: int
    request: Request
    commit: Commit | None
    task: asyncio.Task[None] | None = None
    ended: bool = False
    keeping: bool = False

    @property
    def waits(self) -> bool:
        """Whether its answer can still be replaced by an error."""
        return self.task is not None and not self.task.done() and not self.keeping


@dataclass(slots=True)
class _Object:
    revision: int = 0
    pending: _PendingPrompt | None = None
    field: FieldPair | None = None


REMEMBERED_MASKS = 32
"""Masks of a session's last answers that are kept to be fed back to the model; each takes a quarter of a megabyte. An
answer has one, or four where candidates were asked for."""


class Session:
    """One stream's state. Used from one event loop.

    Args:
        segmenter: knows slide and model, and takes pixels.
        common: what all prompts share: slide, model, options, principal; see `Request`.
        limits: bounds on what one stream may hold.
        commits: answers the prompts.
        admission: the user's rate limit and quota, in all streams together.
        emit: takes each event, in order; must not block.

    Raises:
        WsiSamServerError: UNKNOWN_SLIDE_ID, UNKNOWN_MODEL or MODEL_UNAVAILABLE.
    """

    def __init__(
        self,
        segmenter: Segmenter,
        common: Request,
        limits: Limits,
        commits: CommitService,
        admission: Admission,
        emit: Callable[[Event], None],
    ) -> None:
        self.model = segmenter.model(common.model)
        self.pixel_size = segmenter.slide_info(common.slide_id).pixel_size(common.mpp)
        # The name of the model that answers, even if the default changes.
        self.common = replace(common, model=self.model.name)
        self._segmenter = segmenter
        self._limits = limits
        self._commits = commits
        self._admission = admission
        self._emit = emit
        self._closed_by: Reason | None = None
        self._objects: dict[str, _Object] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._viewport: Viewport | None = None
        self._pixels = RequestedPixels()
        self._prefetcher = Prefetcher(
            lambda field: segmenter.prefetch(common.slide_id, self.model, field, common.principal)
        )
        self._answers: OrderedDict[str, tuple[SlidePrompt, Outcome]] = OrderedDict()

    def admit(self) -> None:
        """Passes when one more prompt may come now. Call it before the message is converted.

        Raises:
            WsiSamServerError: TOO_MANY_MESSAGES; the reason that was given to `refuse`.
        """
        if self._closed_by is not None:
            raise WsiSamServerError(self._closed_by)
        self._admission.rate_limiter.take(self.common.principal)

    def admits_viewport(self) -> bool:
        """Whether a viewport is used now. Of those that come too fast only the newest is, with the next prompt."""
        return self._admission.rate_limiter.allows(self.common.principal)

    async def wait_for_rate(self) -> None:
        """Returns when a cancel or a tile may be read. These are delayed, not dropped: others wait for them."""
        await self._admission.rate_limiter.wait(self.common.principal)

    def refuse(self, reason: Reason) -> None:
        """Takes no more prompts."""
        self._closed_by = reason

    def view(self, viewport: Viewport) -> None:
        """Sets what the annotator sees, and prefetches for it."""
        self._viewport = viewport
        common = self.common
        self._prefetcher.look(self._segmenter.likely_fields(common.slide_id, self.model, viewport, common.mpp))

    def prompt(self, object_id: str, revision: int, request: Request, commit: Commit | None) -> None:
        """Queues a revision; a waiting older one of the same object is superseded.

        Args:
            object_id: which object it is about.
            revision: greater than all before of this object.
            request: the prompt, made of `common`.
            commit: how its outline is kept; None to keep nothing.

        Raises:
            WsiSamServerError: STALE_REVISION, QUEUE_FULL, TOO_MANY_PROMPTS or TOO_MANY_OBJECTS; the prompt is then not
                queued.
        """
        known = self._objects.get(object_id)
        if known is not None and revision <= known.revision:
            raise WsiSamServerError(Reason.STALE_REVISION, object_id=object_id, current=known.revision, given=revision)
        if known is None and len(self._objects) >= self._limits.objects_per_session:
            raise WsiSamServerError(Reason.TOO_MANY_OBJECTS, limit=self._limits.objects_per_session)
        # An older revision of the same object leaves the queue, so it does not count against the new one.
        leaving = int(known is not None and known.pending is not None and known.pending.waits)
        if len(self._tasks) - leaving >= self._limits.queued_prompts_per_stream:
            raise WsiSamServerError(Reason.QUEUE_FULL, limit=self._limits.queued_prompts_per_stream)
        self._admission.quota.take(self.common.principal, leaving=leaving)
        state = known or self._objects.setdefault(object_id, _Object())
        self._end(state, Reason.SUPERSEDED)
        self._prefetcher.prompted()
        state.revision = revision
        state.pending = pending = _PendingPrompt(object_id, revision, request, commit)
        pending.task = asyncio.ensure_future(self._answer(state, pending))
        self._tasks.add(pending.task)
        pending.task.add_done_callback(self._done)

    def cancel(self, object_id: str) -> None:
        """Forgets an object; its waiting prompt, if any, is answered by PROMPT_CANCELLED."""
        self._answers.pop(object_id, None)
        state = self._objects.pop(object_id, None)
        if state is not None:
            self._end(state, Reason.PROMPT_CANCELLED)

    async def tile(self, window: PixelWindow, encoding: Encoding, data: bytes) -> None:
        """Takes the pixels of a window that was asked for.

        Raises:
            WsiSamServerError: TILE_NOT_REQUESTED, TILE_WRONG_SIZE, TILE_UNREADABLE or TOO_MANY_PIXELS. After one of
                the last three the window still counts as asked for, so that a corrected tile is taken.
        """
        if window not in self._pixels:
            raise WsiSamServerError(Reason.TILE_NOT_REQUESTED)
        await self._segmenter.push(self.common.slide_id, window, encoding, data)
        await self._pixels.arrived(window)

    async def close(self) -> None:
        """Cancels all waiting work without answering it: the client has left."""
        await self._prefetcher.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def drain(self) -> None:
        """Waits until every prompt that was taken is answered; those that still want pixels, by PIXELS_NEEDED."""
        await self._pixels.end()
        await self.idle()

    async def idle(self) -> None:
        """Waits until no prompt waits for its answer."""
        while self._tasks:
            await asyncio.gather(*self._tasks, return_exceptions=True)

    def hand_back(self, reason: Reason) -> None:
        """Answers every prompt that waits with an error; an outline that is being stored still gets its own answer."""
        for state in self._objects.values():
            self._end(state, reason)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._admission.quota.give_back(self.common.principal)

    def _end(self, state: _Object, reason: Reason) -> None:
        # Answered here and not by the task: a task that is cancelled before its first step never runs.
        pending = state.pending
        if pending is None or pending.task is None or not pending.waits:
            return
        pending.ended = True
        pending.task.cancel()
        ended = WsiSamServerError(reason, object_id=pending.object_id)
        self._emit(Failed(pending.object_id, pending.revision, ended))

    async def _answer(self, state: _Object, pending: _PendingPrompt) -> None:
        object_id = pending.object_id
        request = replace(
            pending.request,
            viewport=pending.request.viewport or self._viewport,
            earlier=self._earlier(object_id, pending.request.prompt),
            previous_field=state.field,
            prefetched=self._prefetcher.begun,
        )

        def outlined(outcome: Outcome) -> None:
            self._remember(object_id, request.prompt, outcome)
            pending.keeping = pending.commit is not None

        event: Event
        try:
            listener = _ObjectWatcher(state, pending, self._pixels, self._emit)
            answered = await self._commits.answer(request, pending.commit, listener, outlined=outlined)
            event = OutlineReady(object_id, pending.revision, answered.outcome, answered.saved)
        except Exception as error:  # noqa: BLE001 - the catalogue decides what the client sees of it
            event = Failed(object_id, pending.revision, error)
        if not pending.ended:
            self._emit(event)

    def _remember(self, object_id: str, prompt: SlidePrompt, outcome: Outcome) -> None:
        self._answers[object_id] = (prompt, outcome)
        self._answers.move_to_end(object_id)
        while sum(len(kept.masks or [0]) for _, kept in self._answers.values()) > REMEMBERED_MASKS:
            self._answers.popitem(last=False)

    def _earlier(self, object_id: str, new: SlidePrompt) -> Outcome | None:
        """The object's last answer, if the new prompt only adds to what it answered."""
        prompt, outcome = self._answers.get(object_id, (None, None))
        return outcome if prompt is not None and new.extends(prompt) else None


@dataclass(frozen=True, slots=True)
class _ObjectWatcher:
    about: _Object
    prompt: _PendingPrompt
    pixels: RequestedPixels
    emit: Callable[[Event], None]

    @property
    def can_ask(self) -> bool:
        return True

    def planned(self, field: FieldPair) -> None:
        # Known before the answer, so that a revision that replaces this one can stay in the same field.
        self.about.field = field

    def loading(self) -> None:
        self.emit(WaitingForModel(self.prompt.object_id, self.prompt.revision))

    def encoding(self) -> None:
        self.emit(WaitingForEncoder(self.prompt.object_id, self.prompt.revision))

    def refining(self, done: int, total: int) -> None:
        self.emit(Refining(self.prompt.object_id, self.prompt.revision, done, total))

    async def pixels_needed(self, windows: Sequence[PixelWindow]) -> None:
        fresh = self.pixels.add(windows)
        self.emit(WaitingForPixels(self.prompt.object_id, self.prompt.revision))
        if fresh:
            self.emit(PixelsWanted(fresh))
        await self.pixels.wait(windows)
