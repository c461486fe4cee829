"""One region's search for what looks like exemplars, step by step."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import numpy as np

from wsisam_server.core.answers import ClickStatus, Counts, Likeness, SurveyStep
from wsisam_server.core.errors import Reason, WsiSamServerError
from wsisam_server.core.pixels import PixelsNeededError
from wsisam_server.core.prompt import SlidePrompt
from wsisam_server.core.requests import Request
from wsisam_server.segmentation.exemplars import Place, window_over
from wsisam_server.segmentation.proposals import NonMaximumSuppression, judge
from wsisam_server.segmentation.segmenter.like.finding import found_places
from wsisam_server.segmentation.segmenter.like.outlining import Outliner
from wsisam_server.segmentation.segmenter.like.plan import LikePlan
from wsisam_server.segmentation.segmenter.like.windows import Viewer
from wsisam_server.segmentation.segmenter.survey import proposal_of

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence

    import shapely

    from wsisam_server.core.answers import Proposal
    from wsisam_server.core.geometry import Point, Window
    from wsisam_server.core.pixels import PixelWindow
    from wsisam_server.core.requests import LikeRequest
    from wsisam_server.segmentation.proposals import Candidate
    from wsisam_server.segmentation.segmenter.like.finding import Places
    from wsisam_server.segmentation.segmenter.like.outlining import Outlined
    from wsisam_server.segmentation.segmenter.segmenter import Segmenter

_NO_LOGITS: Final = np.empty((0, 0), np.float32)


class LikeSurvey:
    """One region's search for what looks like exemplars; used like a `Survey`.

    Each window is done twice: its features are looked at; then, when all were, its objects are outlined.

    Attributes:
        plan: its windows.
        total: how many windows are to be done, each counted twice.
        begun: what was done before; nothing, unless `go_on` was called.
    """

    def __init__(self, segmenter: Segmenter, like: LikePlan) -> None:
        request = like.request
        self._like, self._request = like, request
        self.plan, self.pixel_size = like.tiling, like.pixel_size
        self.in_microns = self.pixel_size.mpp is not None
        self.likeness = Likeness(like.proposal_filter.min_size, like.proposal_filter.max_size)
        self._counts = Counts()
        self._reader = segmenter.batch_reader(request.slide_id, request.principal)
        self._existing = like.existing()
        base = Request(
            slide_id=request.slide_id,
            prompt=SlidePrompt(),
            model=request.model,
            options=replace(request.options, honour_points=False, max_candidates=1),
            interactive=False,
            principal=request.principal,
            mpp=request.mpp,
        )
        self._viewer = Viewer(segmenter, like, base)
        self._outliner = Outliner(segmenter, like, base)
        self.begun = SurveyStep(likeness=self.likeness)

    @classmethod
    def planned(cls, segmenter: Segmenter, request: LikeRequest, max_windows: int) -> LikeSurvey:
        """Plans a search. Blocks; reads no pixels.

        Raises:
            WsiSamServerError: as `Survey.planned`; INVALID_FIELD: what is wrong with which exemplar.
        """
        return cls(segmenter, LikePlan.made(segmenter, request, max_windows))

    @property
    def total(self) -> int:
        """See the class."""
        return 2 * len(self.plan.tiles)

    @property
    def basis(self) -> str:
        """See `Survey.basis`."""
        info = self._like.info
        slide = str(info.size) if info.is_pushed else info.fingerprint
        return f"like {self._like.model.weights_hash} {slide} {self.pixel_size.mpp} {self.plan.downsample}"

    def go_on(self, after: SurveyStep) -> None:
        """Goes on after a step of another search with the same request and `basis`: what it answered is not repeated.

        The windows are looked at again; what is kept of them takes no encoder run.

        Raises:
            WsiSamServerError: INVALID_FIELD: no search of this region can have come to that.
        """
        if after.done > self.total or after.undecided or after.lost > len(self.plan.tiles):
            raise WsiSamServerError(Reason.INVALID_FIELD, field="resume_token", problem="it is not of this search")
        self.begun = replace(after, likeness=self.likeness)

    def all_pixel_windows(self) -> set[PixelWindow]:
        """See `Survey.all_pixel_windows`; of exemplars on this slide, their windows too."""
        return self._reader.pixel_windows(self._read_windows())

    def check_pixels(self) -> None:
        """See `Survey.check_pixels`."""
        if missing := self._reader.missing(self._read_windows()):
            raise PixelsNeededError(missing)

    async def steps(self) -> AsyncGenerator[SurveyStep, None]:
        """Searches: yields after each window. Close it to end the work.

        Raises:
            WsiSamServerError: of the catalogue, INVALID_FIELD for an exemplar on background among them.
            DamagedRegionError: no window could be read.
        """
        async with aclosing(self._steps()) as steps:
            async for step in steps:
                # What an earlier call answered is not said again.
                if step.done > self.begun.done:
                    yield step

    async def outlined_at(self, centers: Sequence[Point], kind: int = 0) -> list[shapely.Polygon | None]:
        """What is outlined where an object of a class is known to be: the ceiling of what a search can find.

        Args:
            centers: on the slide.
            kind: number of the class.
        """
        parts: list[shapely.Polygon | None] = []
        for center in centers:
            window = window_over(center, self._like.info.size, self.plan.downsample, self._like.model.image_size)
            (best,) = await self._outliner.outlined(window, [Place(0, center.x, center.y, 1.0, kind)])
            parts.append(best.found.part)
        return parts

    def _read_windows(self) -> list[Window]:
        return [*(tile.window for tile in self.plan.tiles), *(window for _, window in self._like.shown_here)]

    async def _steps(self) -> AsyncGenerator[SurveyStep, None]:
        tiles, loop, seen = self.plan.tiles, asyncio.get_running_loop(), self._viewer.seen
        basis = await self._viewer.begin()
        for number, tile in enumerate(tiles):
            damage = await self._viewer.look_at(number, basis)
            if damage is not None and len(seen.damaged) == len(tiles):
                raise damage
            yield self._step((), number + 1, () if damage is None else (tile.window,))
        found = await loop.run_in_executor(None, found_places, self._like, seen, self.likeness)
        await self._outliner.learn()
        expected = (found.likeness.expected_precision or 0.0) * self._outliner.success
        self.likeness = replace(found.likeness, expected_precision=expected)
        suppression: NonMaximumSuppression[Outlined] = NonMaximumSuppression(tiles, self._request.max_overlap)
        for number, tile in enumerate(tiles):
            places = found.places.get(number, [])
            answers = await self._outliner.outlined(tile.window, places)
            final = await loop.run_in_executor(None, self._decide, suppression, number, places, answers)
            self._counts[ClickStatus.REPEATED] = suppression.repeated
            self._counts[ClickStatus.PROPOSED] += len(final)
            yield self._step(tuple(_proposal(*one, found) for one in final), len(tiles) + number + 1, ())

    def _step(self, proposals: tuple[Proposal, ...], done: int, lost: tuple[Window, ...]) -> SurveyStep:
        damaged = len(self._viewer.seen.damaged)
        return SurveyStep(proposals, done, self._counts.copy(), lost, damaged, likeness=self.likeness)

    def _decide(
        self,
        suppression: NonMaximumSuppression[Outlined],
        number: int,
        places: Sequence[Place],
        answers: Sequence[Outlined],
    ) -> list[tuple[Candidate, Outlined]]:
        wanted = replace(self._like.proposal_filter, min_score=self._outliner.least_score)
        candidates, counts = judge(
            [one.found for one in answers],
            wanted,
            self._like.region,
            self._existing,
            [one.agreement for one in answers],
        )
        self._counts += counts
        ranked = [replace(one, rank=places[one.number].similarity * one.rank) for one in candidates]
        about = [replace(one, outcome=replace(one.outcome, logits=_NO_LOGITS)) for one in answers]
        return suppression.add(number, [(one, about[one.number]) for one in ranked])


def _proposal(candidate: Candidate, about: Outlined, found: Places) -> Proposal:
    probability, kind = found.sure[about.found.click]
    return replace(
        proposal_of(candidate, about.found, about.outcome), similarity=probability, path_class=found.classes[kind]
    )
