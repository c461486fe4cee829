"""Every object of some size in a region: a grid of clicks, window by window, and what of their outlines is proposed."""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

import numpy as np
import shapely

from wsisam_server.core.answers import ClickStatus, Counts, Outcome, Proposal, SurveyStep
from wsisam_server.core.errors import Reason, WsiSamServerError
from wsisam_server.core.geometry import FieldPair
from wsisam_server.core.pixels import PixelsNeededError
from wsisam_server.core.prompt import PromptPoint, SlidePrompt
from wsisam_server.core.requests import Request, SurveyRequest
from wsisam_server.core.shapes import GeometryRepairer, encode, oriented
from wsisam_server.segmentation.outlines import reaches_edge
from wsisam_server.segmentation.proposals import (
    Candidate,
    Found,
    NonMaximumSuppression,
    Tile,
    Tiling,
    comparable,
    judge,
    repaired_region,
    stability,
    tiling,
)
from wsisam_server.segmentation.segmenter.background import ClickFilter, WindowContent
from wsisam_server.slides import DamagedRegionError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Iterable, Iterator, Sequence
    from typing import TypeAlias

    from wsisam_server.core.geometry import Point, Window
    from wsisam_server.core.pixels import PixelWindow
    from wsisam_server.segmentation.segmenter.segmenter import Segmenter
    from wsisam_server.slides import SlideInfo

    Answered: TypeAlias = tuple[Found, Outcome]

IN_FLIGHT: Final = 4
"""Clicks that are on their way at once: enough that the model draws one outline while others are traced, and that the
next window is read while the last clicks of one are answered."""

_NO_LOGITS: Final = np.empty((0, 0), np.float32)


@dataclass(frozen=True, slots=True)
class _Asked:
    """A click that is on its way.

    Attributes:
        number: of its window.
        content: of that window.
    """

    number: int
    content: asyncio.Future[WindowContent]
    answer: asyncio.Future[Answered | DamagedRegionError | None]


class Survey:
    """One region's search. It computes only while `steps` is iterated, and at most a few clicks in advance.

    Use `planned`, which blocks.

    Attributes:
        plan: its windows and clicks.
        begun: what was done before; nothing, unless `go_on` was called.
    """

    def __init__(
        self,
        segmenter: Segmenter,
        request: SurveyRequest,
        region: shapely.MultiPolygon,
        existing: Sequence[shapely.MultiPolygon],
        plan: Tiling,
        info: SlideInfo,
    ) -> None:
        self._segmenter = segmenter
        self._request = request
        self._region = region
        self.pixel_size = info.pixel_size(request.mpp)
        self._proposal_filter = request.proposal_filter.in_pixels(self.pixel_size.mpp)
        self._existing = shapely.STRtree(existing)
        self._counts = Counts()
        self._model = segmenter.model(request.model)
        self._info = info
        self._reader = segmenter.batch_reader(request.slide_id, request.principal)
        self._filter = ClickFilter(self._reader, self._proposal_filter)
        self.plan = plan
        self.in_microns = self.pixel_size.mpp is not None
        self.begun = SurveyStep()

    @classmethod
    def planned(cls, segmenter: Segmenter, request: SurveyRequest, max_windows: int) -> Survey:
        """Plans a search. Blocks, for seconds where the region has thousands of windows; reads no pixels.

        Raises:
            WsiSamServerError: UNKNOWN_SLIDE_ID, UNKNOWN_MODEL, MODEL_UNAVAILABLE, INVALID_REGION, REGION_OUTSIDE_SLIDE,
                REGION_TOO_LARGE.
        """
        model, info = segmenter.model(request.model), segmenter.slide_info(request.slide_id)
        # One for all: the region and each of its objects may be as bad as one shape may.
        repairer = GeometryRepairer()
        region = repaired_region(request.region, info.size, repairer)
        proposal_filter = request.proposal_filter.in_pixels(info.pixel_size(request.mpp).mpp)
        plan = tiling(region, info.size, proposal_filter, model.image_size, max_windows=max_windows)
        existing = comparable(request.existing, proposal_filter, repairer)
        return cls(segmenter, request, region, existing, plan, info)

    @property
    def total(self) -> int:
        """How many windows are to be done."""
        return len(self.plan.tiles)

    @property
    def basis(self) -> str:
        """What outlines depend on beside the request: a search can be gone on with only where it is the same.

        A slide in pixel mode has another id each time that it is opened; of what the client sends, its size is known.
        """
        slide = str(self._info.size) if self._info.is_pushed else self._info.fingerprint
        return f"{self._model.weights_hash} {slide} {self.pixel_size.mpp}"

    def go_on(self, after: SurveyStep) -> None:
        """Goes on after a step of another search with the same request and `basis`. Before `steps`.

        Args:
            after: its progress, as a client says: the step's `done`, `counts`, `lost` and `undecided`.

        Raises:
            WsiSamServerError: INVALID_FIELD: no search of this region can have come to that.
        """
        clicks = [len(tile.clicks) for tile in self.plan.tiles[: after.done]]
        numbers = [number for number, _ in after.undecided]
        fits = (
            after.done <= len(self.plan.tiles)
            and after.lost <= after.done
            and all(number < after.done and 0 < bits < 1 << clicks[number] for number, bits in after.undecided)
            and numbers == sorted(set(numbers))
            # Each click was counted in one place, or waits.
            and sum(after.counts.values()) + sum(bits.bit_count() for _, bits in after.undecided) == sum(clicks)
        )
        if not fits:
            raise WsiSamServerError(Reason.INVALID_FIELD, field="resume_token", problem="it is not of this search")
        self.begun = after
        self._counts = after.counts.copy()

    def all_pixel_windows(self) -> set[PixelWindow]:
        """The pixel windows of the whole region on a slide in pixel mode, pushed or not; none on another slide."""
        return self._reader.pixel_windows(self._windows(range(len(self.plan.tiles))))

    def pixel_windows(self) -> list[PixelWindow]:
        """The pixel windows that it is about to read and that were not pushed; none on a slide by reference."""
        return self._reader.missing(self._windows(self._numbers()))

    def _windows(self, numbers: Iterable[int]) -> Iterator[Window]:
        for number in numbers:
            yield from self._model.windows(FieldPair(self.plan.tiles[number].window))

    def _numbers(self) -> list[int]:
        """The windows to ask, in order: of those that are done, those in which something is not decided."""
        again = [number for number, _ in self.begun.undecided]
        return [*again, *range(self.begun.done, len(self.plan.tiles))]

    def check_pixels(self) -> None:
        """Passes when no pixels have to be asked for.

        Raises:
            PixelsNeededError: with all windows that were not pushed.
        """
        if missing := self.pixel_windows():
            raise PixelsNeededError(missing)

    async def steps(self) -> AsyncGenerator[SurveyStep, None]:
        """Searches: yields after each window, also after one of background alone. Close it to end the work.

        A window in which the slide is damaged is left out and named.

        Raises:
            WsiSamServerError: of the catalogue; what was yielded before stays final.
            DamagedRegionError: at the end, if no window could be read.
        """
        suppression: NonMaximumSuppression[Answered] = NonMaximumSuppression(
            self.plan.tiles, self._proposal_filter.max_overlap
        )
        suppression.repeated = self._counts[ClickStatus.REPEATED]
        loop = asyncio.get_running_loop()
        unreadable, before = self.begun.lost, _Undecided(dict(self.begun.undecided))
        await self._filter.begin()
        async with aclosing(_in_order(self, self._numbers(), IN_FLIGHT)) as windows:
            async for number, answers in windows:
                if number < self.begun.done:
                    before.found += await loop.run_in_executor(None, self._found_again, before, number, answers)
                    continue
                if number == self.begun.done:
                    await loop.run_in_executor(None, suppression.restore, number, before.found)
                damaged = next((answer for answer in answers if isinstance(answer, DamagedRegionError)), None)
                unreadable += damaged is not None
                if damaged is not None and unreadable == len(self.plan.tiles):
                    raise damaged
                final = await loop.run_in_executor(None, self._decide, suppression, number, answers)
                self._counts[ClickStatus.REPEATED] = suppression.repeated
                self._counts[ClickStatus.PROPOSED] += len(final)
                places = () if damaged is None else (self.plan.tiles[number].window,)
                undecided = _bits(self.plan.tiles, suppression.undecided)
                yield SurveyStep(tuple(final), number + 1, self._counts.copy(), places, unreadable, undecided)

    def content(self, tile: Tile) -> Awaitable[WindowContent]:
        """What a window shows, before its clicks are asked; see `ClickFilter.content`."""
        return self._filter.content(tile)

    async def ask(
        self, tile: Tile, click: Point, content: Awaitable[WindowContent]
    ) -> Answered | DamagedRegionError | None:
        """Has one click outlined; None where it lies on background, the error where its window cannot be read.

        Args:
            tile: its window.
            click: which.
            content: of the window, shared by its clicks.
        """
        try:
            shown = await content
        except DamagedRegionError as error:
            return error
        if click in shown.on_background:
            return None
        asked = self._request
        request = Request(
            slide_id=asked.slide_id,
            prompt=SlidePrompt((PromptPoint(click, positive=True),)),
            model=asked.model,
            # A click of the grid on nothing must find nothing.
            options=replace(asked.options, honour_points=False, max_candidates=1),
            interactive=False,
            principal=asked.principal,
            mpp=asked.mpp,
        )
        try:
            outcome = await self._segmenter.segment(request, field=FieldPair(tile.window), preloaded=shown.pixels)
        except DamagedRegionError as error:
            return error
        found = _found(outcome, click, tile, self._segmenter.slide_info(asked.slide_id))
        return found, replace(outcome, logits=_NO_LOGITS)

    def _found_again(
        self, before: _Undecided, number: int, all_answers: Sequence[Answered | DamagedRegionError | None]
    ) -> list[tuple[int, Candidate, Answered]]:
        """Of a window that was done before, the candidates that were not decided then. All others were counted."""
        answers = [
            answer for answer in all_answers if answer is not None and not isinstance(answer, DamagedRegionError)
        ]
        candidates, _ = judge([found for found, _ in answers], self._proposal_filter, self._region, self._existing)
        clicks, bits = self.plan.tiles[number].clicks, before.bits[number]
        again = [(one, answers[one.number]) for one in candidates]
        return [(number, one, about) for one, about in again if bits >> clicks.index(about[0].click) & 1]

    def _decide(
        self,
        suppression: NonMaximumSuppression[Answered],
        number: int,
        all_answers: Sequence[Answered | DamagedRegionError | None],
    ) -> list[Proposal]:
        readable = [answer for answer in all_answers if not isinstance(answer, DamagedRegionError)]
        answers = [answer for answer in readable if answer is not None]
        self._counts[ClickStatus.UNREADABLE] += len(all_answers) - len(readable)
        self._counts[ClickStatus.NOTHING] += len(readable) - len(answers)
        candidates, counts = judge([found for found, _ in answers], self._proposal_filter, self._region, self._existing)
        self._counts += counts
        chosen = suppression.add(number, [(candidate, answers[candidate.number]) for candidate in candidates])
        return [proposal_of(candidate, *about) for candidate, about in chosen]


@dataclass(slots=True)
class _Undecided:
    """What was not decided when the search stopped before.

    Attributes:
        bits: of each window the clicks, as in `SurveyStep.undecided`.
        found: their candidates, as far as they were found again.
    """

    bits: dict[int, int]
    found: list[tuple[int, Candidate, Answered]] = field(default_factory=list)


def _bits(tiles: Sequence[Tile], undecided: Iterable[tuple[int, Answered]]) -> tuple[tuple[int, int], ...]:
    """Clicks as `SurveyStep.undecided` has them."""
    bits: Counter[int] = Counter()
    for number, (found, _) in undecided:
        bits[number] |= 1 << tiles[number].clicks.index(found.click)
    return tuple(sorted(bits.items()))


async def _in_order(
    survey: Survey, numbers: Iterable[int], in_flight: int
) -> AsyncGenerator[tuple[int, list[Answered | DamagedRegionError | None]], None]:
    """Asks all clicks of some windows, and yields each window's answers; the next clicks are begun meanwhile.

    Clicks begin in their order, so that a window is read and encoded once, however little the cache holds.
    """

    def begun() -> Iterator[_Asked]:
        for number in numbers:
            tile = survey.plan.tiles[number]
            content = asyncio.ensure_future(survey.content(tile))
            for click in tile.clicks:
                yield _Asked(number, content, asyncio.ensure_future(survey.ask(tile, click, content)))

    upcoming = begun()
    running: deque[_Asked] = deque()
    answers: list[Answered | DamagedRegionError | None] = []
    try:
        while True:
            while len(running) < in_flight and (following := next(upcoming, None)) is not None:
                running.append(following)
            if not running:
                break
            number = running[0].number
            answers.append(await running[0].answer)
            running.popleft()
            if len(answers) == len(survey.plan.tiles[number].clicks):
                yield number, answers
                answers = []
    finally:
        tasks = [task for asked in running for task in (asked.content, asked.answer)]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _found(outcome: Outcome, click: Point, tile: Tile, info: SlideInfo) -> Found:
    """The part of an outline in which the click lies."""
    at = shapely.Point(click.x, click.y)
    part = next((one for one in outcome.outline.geometry.geoms if shapely.covers(one, at)), None)
    if part is None:
        return Found(click, None, cut=False, score=outcome.score, stability=0.0)
    cut = reaches_edge(part, tile.window, info.size)
    return Found(click, part, cut, outcome.score, stability(outcome.logits, tile.window, part))


def proposal_of(candidate: Candidate, found: Found, outcome: Outcome) -> Proposal:
    """What is proposed of a candidate: its shape in the region."""
    geometry = oriented(candidate.shape)
    # Whole in its window, but perhaps not in the region.
    outline = replace(outcome.outline, geometry=geometry, touches_window_edge=False)
    return Proposal(
        replace(outcome, outline=outline, encoded=encode(geometry)), found.click, found.stability, candidate.agreement
    )
