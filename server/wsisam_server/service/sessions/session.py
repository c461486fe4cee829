"""One stream's state: objects and their revisions, of which the latest wins."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from wsisam_server.core.errors import Reason, WsiSamServerError
from wsisam_server.core.requests import OutlineOptions, Request
from wsisam_server.segmentation.fields import keeps
from wsisam_server.service.identity import current_user
from wsisam_server.service.sessions.ahead import Ahead
from wsisam_server.service.sessions.asked import AskedPixels
from wsisam_server.service.sessions.events import (
    Event,
    Failed,
    OutlineReady,
    PixelsWanted,
    Refining,
    Revision,
    WaitingForEncoder,
    WaitingForModel,
    WaitingForPixels,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from wsisam_server.annotations.store import Saved
    from wsisam_server.core.answers import Outcome
    from wsisam_server.core.geometry import FieldPair, Viewport
    from wsisam_server.core.pixels import Encoding, PixelWindow
    from wsisam_server.core.prompt import SlidePrompt
    from wsisam_server.core.settings import Limits
    from wsisam_server.segmentation.segmenter import Segmenter
    from wsisam_server.service.sessions.allowance import Allowance
    from wsisam_server.service.sessions.keeper import Keeper


@dataclass(slots=True)
class _Turn:
    """One revision on its way.

    `ended` once it was answered for from outside: the task then says nothing. `keeping` once its outline is on its way
    into the store, from which nothing takes it back: its own answer comes.
    """

    new: Revision
    task: asyncio.Task[None] | None = None
    ended: bool = False
    keeping: bool = False


@dataclass(slots=True)
class _Object:
    revision: int = 0
    turn: _Turn | None = None
    field: FieldPair | None = None


REMEMBERED_ANSWERS = 32
"""Objects of a session whose last answer is kept to be fed back to the model; each takes a quarter of a megabyte."""


class Session:
    """One stream's state. Used from one event loop.

    Args:
        segmenter: answers the prompts.
        slide_id: the open image.
        model: a model's name; empty for the default.
        options: for all outlines.
        limits: bounds on what one stream may hold.
        keeper: stores the outlines that are to be kept.
        allowance: what the user may have waiting, in all streams together.
        emit: takes each event, in order; must not block.
        mpp: see `Request`; for all prompts.

    Raises:
        WsiSamServerError: UNKNOWN_SLIDE_ID, UNKNOWN_MODEL or MODEL_UNAVAILABLE.
    """

    def __init__(
        self,
        segmenter: Segmenter,
        slide_id: str,
        model: str,
        options: OutlineOptions,
        limits: Limits,
        keeper: Keeper,
        allowance: Allowance,
        emit: Callable[[Event], None],
        *,
        mpp: float | None = None,
    ) -> None:
        self.model = segmenter.model(model)
        self.slide = segmenter.slide_info(slide_id)
        self.pixel_size = self.slide.pixel_size(mpp)
        self._mpp = mpp
        self._segmenter = segmenter
        self._slide_id = slide_id
        self._options = options
        self._limits = limits
        self._keeper = keeper
        self._allowance = allowance
        self._owner = current_user().principal
        self._emit = emit
        self._objects: dict[str, _Object] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._viewport: Viewport | None = None
        self._pixels = AskedPixels()
        self._ahead = Ahead(lambda field: segmenter.prefetching.encode(slide_id, self.model, field, self._owner))
        self._answers: OrderedDict[str, tuple[SlidePrompt, Outcome]] = OrderedDict()

    def view(self, viewport: Viewport) -> None:
        """Takes note of what the annotator sees."""
        self._viewport = viewport
        self._ahead.look(self._segmenter.prefetching.fields(self._slide_id, self.model, viewport, self._mpp))

    def prompt(self, new: Revision) -> None:
        """Queues a revision; a waiting older one of the same object is superseded.

        Raises:
            WsiSamServerError: STALE_REVISION, QUEUE_FULL, TOO_MANY_PROMPTS or TOO_MANY_OBJECTS; the prompt is then not
                queued.
        """
        known = self._objects.get(new.object_id)
        if known is not None and new.revision <= known.revision:
            raise WsiSamServerError(
                Reason.STALE_REVISION, object_id=new.object_id, current=known.revision, given=new.revision
            )
        if known is None and len(self._objects) >= self._limits.objects_per_session:
            raise WsiSamServerError(Reason.TOO_MANY_OBJECTS, limit=self._limits.objects_per_session)
        # An older revision of the same object leaves the queue, so it does not count against the new one.
        leaving = int(known is not None and _waits(known.turn))
        if len(self._tasks) - leaving >= self._limits.queued_prompts_per_stream:
            raise WsiSamServerError(Reason.QUEUE_FULL, limit=self._limits.queued_prompts_per_stream)
        self._allowance.take(self._owner, leaving=leaving)
        state = known or self._objects.setdefault(new.object_id, _Object())
        self._end(state, Reason.SUPERSEDED)
        self._ahead.prompted()
        state.revision = new.revision
        state.turn = turn = _Turn(new)
        turn.task = asyncio.ensure_future(self._answer(state, turn))
        self._tasks.add(turn.task)
        turn.task.add_done_callback(self._done)

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
        await self._segmenter.push(self._slide_id, window, encoding, data)
        await self._pixels.arrived(window)

    async def close(self) -> None:
        """Drops all waiting work without answering it: there is nobody to answer."""
        await self._ahead.close()
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
        self._allowance.give_back(self._owner)

    def _end(self, state: _Object, reason: Reason) -> None:
        # Answered here and not by the task: a task that is cancelled before its first step never runs.
        turn = state.turn
        if turn is None or turn.task is None or not _waits(turn):
            return
        turn.ended = True
        turn.task.cancel()
        ended = WsiSamServerError(reason, object_id=turn.new.object_id)
        self._emit(Failed(turn.new.object_id, turn.new.revision, ended))

    async def _answer(self, state: _Object, turn: _Turn) -> None:
        event: Event
        try:
            outcome, saved = await self._segment(state, turn)
            event = OutlineReady(turn.new.object_id, turn.new.revision, outcome, saved)
        except Exception as error:  # noqa: BLE001 - the catalogue decides what the client sees of it
            event = Failed(turn.new.object_id, turn.new.revision, error)
        if not turn.ended:
            self._emit(event)

    async def _segment(self, state: _Object, turn: _Turn) -> tuple[Outcome, Saved | None]:
        new = turn.new
        if new.commit is not None:
            self._keeper.check(new.commit, self.slide)
        request = Request(
            slide_id=self._slide_id,
            prompt=new.prompt,
            model=self.model.name,
            viewport=new.viewport or self._viewport,
            choice=new.choice,
            options=self._options,
            owner=self._owner,
            earlier=self._earlier(new),
            refinement=new.refinement,
            mpp=self._mpp,
        )
        kept = state.field
        if new.choice is not None or kept is None or not keeps(kept, self._segmenter.checked(request), self.slide.size):
            kept = await self._field_for(request, first=state.field is None)
        # Known before the answer, so that a revision that replaces this one can stay in the same field.
        state.field = kept
        outcome = await self._segmenter.segment(request, _ObjectWatcher(new, self._pixels, self._emit), kept)
        self._answers[new.object_id] = (new.prompt, outcome)
        self._answers.move_to_end(new.object_id)
        while len(self._answers) > REMEMBERED_ANSWERS:
            self._answers.popitem(last=False)
        if new.commit is None:
            return outcome, None
        turn.keeping = True
        return outcome, await self._keeper.keep(request, outcome, self.slide, new.commit)

    async def _field_for(self, request: Request, *, first: bool) -> FieldPair:
        if not first:
            return self._segmenter.field_for(request)[0]
        field = await self._segmenter.first_field(request, self._ahead.begun)
        if request.choice is None and field in self._ahead.begun:
            self._segmenter.prefetching.used += 1
        return field

    def _earlier(self, new: Revision) -> Outcome | None:
        """The object's last answer, if the new prompt only adds to what it answered."""
        prompt, outcome = self._answers.get(new.object_id, (None, None))
        return outcome if prompt is not None and new.prompt.extends(prompt) else None


@dataclass(frozen=True, slots=True)
class _ObjectWatcher:
    new: Revision
    pixels: AskedPixels
    emit: Callable[[Event], None]

    def loading(self) -> None:
        self.emit(WaitingForModel(self.new.object_id, self.new.revision))

    def encoding(self) -> None:
        self.emit(WaitingForEncoder(self.new.object_id, self.new.revision))

    def refining(self, done: int, total: int) -> None:
        self.emit(Refining(self.new.object_id, self.new.revision, done, total))

    async def pixels_needed(self, windows: Sequence[PixelWindow]) -> None:
        fresh = self.pixels.add(windows)
        self.emit(WaitingForPixels(self.new.object_id, self.new.revision))
        if fresh:
            self.emit(PixelsWanted(fresh))
        await self.pixels.wait(windows)


def _waits(turn: _Turn | None) -> bool:
    return turn is not None and turn.task is not None and not turn.task.done() and not turn.keeping
