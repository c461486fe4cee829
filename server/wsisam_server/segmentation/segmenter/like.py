"""Everything in a region that looks like exemplars: where it is, and its outlines."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import numpy as np
import shapely

from wsisam_server.core.answers import ClickStatus, Counts, Likeness, Outcome, SurveyStep
from wsisam_server.core.errors import Reason, WsiSamServerError
from wsisam_server.core.geometry import Box, Point
from wsisam_server.core.pixels import PixelsNeededError
from wsisam_server.core.prompt import SlidePrompt
from wsisam_server.core.requests import ProposalFilter, Request
from wsisam_server.core.shapes import GeometryRepairer
from wsisam_server.segmentation.exemplars import (
    Appearance,
    Basis,
    Confidence,
    Place,
    Shown,
    best_threshold,
    cells_inside,
    checked_exemplars,
    described,
    lattice,
    least_probability,
    places_in,
    scales,
    spread_out,
    usual_size,
    window_over,
)
from wsisam_server.segmentation.outlines import reaches_edge
from wsisam_server.segmentation.proposals import (
    Found,
    NonMaximumSuppression,
    Tile,
    Tiling,
    comparable,
    judge,
    repaired_region,
    size_of,
    stability,
)
from wsisam_server.segmentation.segmenter.background import ClickFilter, WindowContent
from wsisam_server.segmentation.segmenter.survey import proposal_of
from wsisam_server.slides import DamagedRegionError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence

    from numpy.typing import NDArray

    from wsisam_server.core.answers import Proposal
    from wsisam_server.core.geometry import Window
    from wsisam_server.core.pixels import PixelWindow
    from wsisam_server.core.requests import LikeRequest
    from wsisam_server.inference.scheduler import Features
    from wsisam_server.segmentation.exemplars import ShownObject
    from wsisam_server.segmentation.proposals import Candidate
    from wsisam_server.segmentation.segmenter.segmenter import Segmenter
    from wsisam_server.slides import SlideInfo

GRID: Final = 16
"""Positions along a window's side at which it is asked whether there is tissue."""

BASIS_WINDOWS: Final = 16
"""Windows whose features say what varies; more cost time and change nothing."""

SAMPLED_POSITIONS: Final = 4000

SIZE_RANGE: Final = 2.0
"""How far objects may be smaller than the smallest exemplar, or larger than the largest."""

MARGIN: Final = 1.5
"""An exemplar times this must fit into a window."""

BOXES: Final = (0.75, 1.0, 1.35)
"""Sizes of the boxes that are asked at a place, in usual sizes. The outline is taken that the model is surest of."""

SCORE_SHARE: Final = 0.8
"""Least score of an outline, as a share of the median of what the exemplars' own outlines score."""

LEAST_LOOKED_AT: Final = 0.05
"""Probability that a place must have to count among those of which the expected precision is told."""

POSITIONS: Final = 64
"""Along a window's side in an encoder's features."""

BASIS_POSITIONS: Final = 16_384

_NO_LOGITS: Final = np.empty((0, 0), np.float32)

MOST_SCORED: Final = 12
"""Exemplars that are outlined to learn that."""


@dataclass(slots=True)
class _Seen:
    """What is known of the region's windows.

    Attributes:
        rotated: float16 features of each window that shows tissue, in the basis; small enough to hold all.
        background: positions of each window that show none.
        bare: numbers of the windows that show background alone.
        damaged: numbers of the windows that cannot be read.
    """

    rotated: dict[int, NDArray[np.float16]]
    background: dict[int, frozenset[Point]]
    bare: set[int]
    damaged: list[int]


@dataclass(frozen=True, slots=True)
class _Places:
    """Where to ask.

    Attributes:
        places: of each window.
        sure: the probability that a place is right, and the number of its class.
        likeness: with what is expected of all of them.
        classes: names by their numbers.
    """

    places: dict[int, list[Place]]
    sure: dict[Point, tuple[float, int]]
    likeness: Likeness
    classes: list[str]


class LikeSurvey:
    """One region's search for what looks like exemplars; used like a `Survey`.

    Each window is done twice: its features are looked at; then, when all were, its objects are outlined.

    Attributes:
        plan: its windows.
        total: how many windows are to be done, each counted twice.
        begun: what was done before; nothing, unless `go_on` was called.
    """

    def __init__(
        self,
        segmenter: Segmenter,
        request: LikeRequest,
        region: shapely.MultiPolygon,
        shown: Sequence[ShownObject],
        max_windows: int,
    ) -> None:
        self._segmenter, self._request, self._region = segmenter, request, region
        self._model = segmenter.model(request.model)
        self._info: SlideInfo = segmenter.slide_info(request.slide_id)
        self.pixel_size = self._info.pixel_size(request.mpp)
        self.in_microns = self.pixel_size.mpp is not None
        self._shown = shown
        self._microns = _microns(segmenter, request)
        here = self._microns[request.slide_id]
        positive = [one for one in shown if one.positive]
        self._classes = sorted({one.path_class for one in positive})
        self._sizes = [
            usual_size([one for one in positive if one.path_class == name], self._microns, here)
            for name in self._classes
        ]
        self._filter = self._proposal_filter(positive, here)
        self.likeness = Likeness(self._filter.min_size, self._filter.max_size)
        self.plan = self._planned(max_windows)
        self._exemplar_windows = [self._window_of(one) for one in shown]
        self._threshold, self._least_score = 0.0, request.min_score or 0.0
        self._counts = Counts()
        self._reader = segmenter.batch_reader(request.slide_id, request.principal)
        self._clicks = ClickFilter(self._reader, self._filter)
        self._existing = shapely.STRtree(self._existing_shapes())
        self._base = Request(
            slide_id=request.slide_id,
            prompt=SlidePrompt(),
            model=request.model,
            options=replace(request.options, honour_points=False, max_candidates=1),
            interactive=False,
            principal=request.principal,
            mpp=request.mpp,
        )
        self.begun = SurveyStep(likeness=self.likeness)

    @classmethod
    def planned(cls, segmenter: Segmenter, request: LikeRequest, max_windows: int) -> LikeSurvey:
        """Plans a search. Blocks; reads no pixels.

        Raises:
            WsiSamServerError: as `Survey.planned`; INVALID_FIELD: what is wrong with which exemplar.
        """
        slides = {one.slide_id: segmenter.slide_info(one.slide_id).size for one in request.exemplars}
        region = repaired_region(request.region, segmenter.slide_info(request.slide_id).size, GeometryRepairer())
        shown = checked_exemplars(request.exemplars, slides, _microns(segmenter, request))
        return cls(segmenter, request, region, shown, max_windows)

    @property
    def total(self) -> int:
        """See the class."""
        return 2 * len(self.plan.tiles)

    @property
    def basis(self) -> str:
        """See `Survey.basis`."""
        slide = str(self._info.size) if self._info.is_pushed else self._info.fingerprint
        return f"like {self._model.weights_hash} {slide} {self.pixel_size.mpp} {self.plan.downsample}"

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

    async def _steps(self) -> AsyncGenerator[SurveyStep, None]:
        tiles, loop = self.plan.tiles, asyncio.get_running_loop()
        await self._clicks.begin()
        await self._check_background()
        at_exemplars = [
            await self._features(one.slide_id, window)
            for one, window in zip(self._shown, self._exemplar_windows, strict=True)
        ]
        seen = _Seen({}, {}, set(), [])
        basis = await self._basis(seen, at_exemplars)
        for number, tile in enumerate(tiles):
            damage = await self._look_at(number, seen)
            if damage is None and number in seen.background:
                features = await self._features(self._request.slide_id, tile.window)
                rotated = await loop.run_in_executor(None, basis.rotated, features.values)
                seen.rotated[number] = rotated.astype(np.float16)
            elif damage is not None and len(seen.damaged) == len(tiles):
                raise damage
            lost = () if damage is None else (tile.window,)
            yield SurveyStep((), number + 1, self._counts.copy(), lost, len(seen.damaged), likeness=self.likeness)
        found = await loop.run_in_executor(None, self._found, seen, at_exemplars, basis)
        del at_exemplars
        self.likeness = found.likeness
        await self._learn_outlines()
        suppression: NonMaximumSuppression[tuple[Found, Outcome]] = NonMaximumSuppression(
            tiles, self._request.max_overlap
        )
        for number, tile in enumerate(tiles):
            places = found.places.get(number, [])
            answers = await self._outlined(tile.window, places)
            final = await loop.run_in_executor(None, self._decide, suppression, number, places, answers)
            proposals = tuple(self._proposal(*one, found) for one in final)
            self._counts[ClickStatus.REPEATED] = suppression.repeated
            self._counts[ClickStatus.PROPOSED] += len(final)
            done = len(tiles) + number + 1
            yield SurveyStep(proposals, done, self._counts.copy(), (), len(seen.damaged), likeness=self.likeness)

    async def outlined_at(self, centers: Sequence[Point], kind: int = 0) -> list[shapely.Polygon | None]:
        """What is outlined where an object of a class is known to be: the ceiling of what a search can find.

        Args:
            centers: on the slide.
            kind: number of the class.
        """
        parts: list[shapely.Polygon | None] = []
        for center in centers:
            window = window_over(center, self._info.size, self.plan.downsample, self._model.image_size)
            ((found, _),) = await self._outlined(window, [Place(0, center.x, center.y, 1.0, kind)])
            parts.append(found.part)
        return parts

    def _existing_shapes(self) -> list[shapely.MultiPolygon]:
        """What is not to be proposed: existing objects, and what was accepted and rejected on this slide."""
        shown = [one.shape for one in self._shown if one.slide_id == self._request.slide_id]
        return [*comparable(self._request.existing, self._filter, GeometryRepairer()), *shown]

    # Windows

    def _planned(self, max_windows: int) -> Tiling:
        """The windows, at the best scale; or at one about as good whose windows were looked at before."""
        slide, image_size = self._info.size, self._model.image_size
        best: list[Window] = []
        for downsample in scales(float(np.median(self._sizes)), slide, image_size):
            try:
                windows = lattice(self._region, slide, downsample, image_size, max_windows=max_windows)
            except WsiSamServerError:
                if not best:
                    raise
                continue
            best = best or windows
            kept = sum(self._segmenter.is_kept(self._request.slide_id, self._model, one) for one in windows)
            if 2 * kept > len(windows):
                best = windows
                break
        if not best:
            raise WsiSamServerError(Reason.INVALID_FIELD, field="exemplars", problem="no model can show their size")
        step = best[0].extent / GRID
        offsets = (np.arange(GRID) + 0.5) * step
        tiles = [
            Tile(window, tuple(Point(window.x + x, window.y + y) for y in offsets.tolist() for x in offsets.tolist()))
            for window in best
        ]
        return Tiling(tuple(tiles), best[0].downsample, step)

    def _window_of(self, one: ShownObject) -> Window:
        """The window of the lattice of its own slide in which an exemplar is looked at, at the scale of the search."""
        slide = self._segmenter.slide_info(one.slide_id).size
        downsample = self.plan.downsample * self._microns[self._request.slide_id] / self._microns[one.slide_id]
        if one.positive and one.size * MARGIN > downsample * self._model.image_size:
            problem = "it is larger than a window at this scale; search for such objects on a slide that shows more"
            raise WsiSamServerError(Reason.INVALID_FIELD, field=f"exemplars[{one.number}]", problem=problem)
        return window_over(one.center, slide, downsample, self._model.image_size)

    def _read_windows(self) -> list[Window]:
        here = [
            window
            for one, window in zip(self._shown, self._exemplar_windows, strict=True)
            if one.slide_id == self._request.slide_id
        ]
        return [*(tile.window for tile in self.plan.tiles), *here]

    def _cells(self, window: Window, size: float | None = None) -> float:
        """The usual size in positions of a window's features."""
        return (min(self._sizes) if size is None else size) / (window.extent / POSITIONS)

    # What the windows show

    async def _check_background(self) -> None:
        """Refuses exemplars on bare glass: everything would look like them.

        Those on other slides are not checked.
        """
        for one, window in zip(self._shown, self._exemplar_windows, strict=True):
            if one.slide_id == self._request.slide_id and one.positive:
                content = await self._clicks.content(Tile(window, (one.center,)))
                if content.on_background:
                    problem = "it lies on background, where there is no tissue"
                    raise WsiSamServerError(Reason.INVALID_FIELD, field=f"exemplars[{one.number}]", problem=problem)

    async def _look_at(self, number: int, seen: _Seen) -> DamagedRegionError | None:
        """Learns where a window shows background. Without an entry there, it shows nothing else."""
        if number in seen.background or number in seen.bare:
            return None
        tile = self.plan.tiles[number]
        try:
            content: WindowContent = await self._clicks.content(tile)
        except DamagedRegionError as error:
            if number not in seen.damaged:
                seen.damaged.append(number)
            return error
        if len(content.on_background) == len(tile.clicks):
            seen.bare.add(number)
        else:
            seen.background[number] = content.on_background
        return None

    async def _features(self, slide_id: str, window: Window) -> Features:
        return await self._segmenter.features(replace(self._base, slide_id=slide_id), window)

    async def _basis(self, seen: _Seen, at_exemplars: Sequence[Features]) -> Basis:
        numbers = np.unique(np.linspace(0, len(self.plan.tiles) - 1, BASIS_WINDOWS).astype(int)).tolist()
        of_region = [
            await self._features(self._request.slide_id, self.plan.tiles[number].window)
            for number in numbers
            if await self._look_at(number, seen) is None and number in seen.background
        ]
        samples = [*at_exemplars[:BASIS_WINDOWS], *of_region]

        def fitted() -> Basis:
            every = max(1, len(samples) * POSITIONS**2 // BASIS_POSITIONS)
            values = [one.values.reshape(-1, one.values.shape[-1])[::every].astype(np.float32) for one in samples]
            return Basis.fitted(np.concatenate(values), samples[0].groups)

        return await asyncio.get_running_loop().run_in_executor(None, fitted)

    def _shown_at(self, one: ShownObject, window: Window, around: NDArray[np.float32]) -> Shown:
        cell = window.extent / POSITIONS
        return Shown.at(
            around,
            (one.center.y - window.y) / cell - 0.5,
            (one.center.x - window.x) / cell - 0.5,
            self._cells(window, self._size_there(one)),
            positive=one.positive,
            path_class=one.path_class,
        )

    def _size_there(self, one: ShownObject) -> float:
        return min(self._sizes) * self._microns[self._request.slide_id] / self._microns[one.slide_id]

    # Places

    def _found(self, seen: _Seen, at_exemplars: Sequence[Features], basis: Basis) -> _Places:
        """Where objects are, and how sure that is. Blocks, for milliseconds a window."""
        if not seen.rotated:
            return _Places({}, {}, replace(self.likeness, expected_precision=0.0, unsure=True), [])
        shown, about = [], []
        for exemplar, window, features in zip(self._shown, self._exemplar_windows, at_exemplars, strict=True):
            cells = self._cells(window, self._size_there(exemplar))
            around = described(basis.rotated(features.values), cells)
            shown.append(self._shown_at(exemplar, window, around))
            about.append(_sample(around, SAMPLED_POSITIONS // len(at_exemplars)))
        for number, rotated in seen.rotated.items():
            around = described(rotated.astype(np.float32), self._cells(self.plan.tiles[number].window))
            about.append(_sample(around, SAMPLED_POSITIONS // len(seen.rotated)))
        positions = np.concatenate(about)
        appearance = Appearance(shown, positions)
        confidence = Confidence.learnt(appearance.left_out, appearance.negatives)
        every = self._peaks(seen, appearance, min(confidence.similarity(LEAST_LOOKED_AT), 0.0))
        similarities = np.array([one.similarity for one in every])
        confidence = confidence.told_apart(similarities, appearance.left_out)
        every = [one for one in every if one.similarity >= confidence.similarity(LEAST_LOOKED_AT)]
        probabilities = confidence.of([one.similarity for one in every])
        least, precision, unsure = least_probability(probabilities, self._request.min_similarity)
        places: dict[int, list[Place]] = {}
        sure: dict[Point, tuple[float, int]] = {}
        for one, probability in zip(every, probabilities.tolist(), strict=True):
            if probability >= least:
                places.setdefault(one.window, []).append(one)
                sure[Point(one.x, one.y)] = probability, one.kind
        likeness = replace(self.likeness, expected_precision=precision, unsure=unsure)
        return _Places(places, sure, likeness, appearance.classes)

    def _peaks(self, seen: _Seen, appearance: Appearance, least: float) -> list[Place]:
        found: list[Place] = []
        for number, rotated in seen.rotated.items():
            tile = self.plan.tiles[number]
            similarities = appearance.similarities(described(rotated.astype(np.float32), self._cells(tile.window)))
            some = places_in(number, tile.window, similarities, self._sizes, self._info.size, least)
            found += [one for one in some if not self._on_background(one, tile, seen.background[number])]
        shapely.prepare(self._region)
        at = np.array([(one.x, one.y) for one in found]).reshape(-1, 2)
        inside = shapely.contains_xy(self._region, at[:, 0], at[:, 1])
        return spread_out([one for one, is_in in zip(found, inside.tolist(), strict=True) if is_in], self._sizes)

    def _on_background(self, place: Place, tile: Tile, background: frozenset[Point]) -> bool:
        step, last = tile.window.extent / GRID, GRID - 1
        column = min(max(int((place.x - tile.window.x) / step), 0), last)
        row = min(max(int((place.y - tile.window.y) / step), 0), last)
        return tile.clicks[row * GRID + column] in background

    # Outlines

    async def _outlined(self, window: Window, places: Sequence[Place]) -> list[tuple[Found, Outcome]]:
        """Asks for boxes of about the usual size at each place; of their outlines, the best one."""
        boxes = [self._boxed(self._box(place, share)) for place in places for share in BOXES]
        outcomes = await self._segmenter.segment_many(boxes, window, self._threshold)
        found = []
        for number, place in enumerate(places):
            some = outcomes[number * len(BOXES) : (number + 1) * len(BOXES)]
            answers = [_found(one, Point(place.x, place.y), window, self._info) for one in some]
            best = max(range(len(BOXES)), key=lambda at: answers[at].score * answers[at].stability)
            found.append((answers[best], some[best]))
        return found

    def _box(self, place: Place, share: float) -> Box:
        half = share * self._sizes[place.kind] / 2
        return Box(place.x - half, place.y - half, place.x + half, place.y + half)

    def _boxed(self, box: Box) -> Request:
        return replace(self._base, prompt=SlidePrompt(box=box))

    async def _learn_outlines(self) -> None:
        """Learns from the exemplars' own outlines what the model scores, and how tightly it is to be read.

        Exemplars on other slides are not asked; without any here, all is as the model says.
        """
        scores: list[float] = []
        thresholds: list[float] = []
        for one, window in zip(self._shown, self._exemplar_windows, strict=True):
            if one.positive and one.slide_id == self._request.slide_id and len(scores) < MOST_SCORED:
                place = Place(0, one.center.x, one.center.y, 1.0, self._classes.index(one.path_class))
                ((found, outcome),) = await self._outlined(window, [place])
                scores.append(found.score)
                drawn = cells_inside(one.shape, window, outcome.logits.shape)
                thresholds.append(best_threshold(outcome.logits, drawn))
        if scores:
            self._threshold = float(np.median(thresholds))
            self._least_score = SCORE_SHARE * float(np.median(scores))
        if self._request.min_score is not None:
            self._least_score = self._request.min_score

    def _decide(
        self,
        suppression: NonMaximumSuppression[tuple[Found, Outcome]],
        number: int,
        places: Sequence[Place],
        answers: Sequence[tuple[Found, Outcome]],
    ) -> list[tuple[Candidate, tuple[Found, Outcome]]]:
        wanted = replace(self._filter, min_score=self._least_score)
        candidates, counts = judge([found for found, _ in answers], wanted, self._region, self._existing)
        self._counts += counts
        ranked = [replace(one, rank=places[one.number].similarity * one.rank) for one in candidates]
        about = [(found, replace(outcome, logits=_NO_LOGITS)) for found, outcome in answers]
        return suppression.add(number, [(one, about[one.number]) for one in ranked])

    def _proposal(self, candidate: Candidate, about: tuple[Found, Outcome], found: _Places) -> Proposal:
        probability, kind = found.sure[about[0].click]
        return replace(proposal_of(candidate, *about), similarity=probability, path_class=found.classes[kind])

    def _proposal_filter(self, positive: Sequence[ShownObject], here: float) -> ProposalFilter:
        """Sizes in level-0 pixels, as diameters of circles of the objects' area."""
        request = self._request
        if request.sizes is None:
            diameters = [size_of(one.shape.area) * self._microns[one.slide_id] / here for one in positive]
            low, high = min(diameters) / SIZE_RANGE, max(diameters) * SIZE_RANGE
        else:
            unit = self.pixel_size.mpp or 1.0
            low, high = request.sizes[0] / unit, request.sizes[1] / unit
        return ProposalFilter(low, high, 0.0, request.min_stability, 0.0, request.max_overlap)


def _sample(around: NDArray[np.float32], number: int) -> NDArray[np.float32]:
    """Some positions of a window."""
    whole = around.reshape(POSITIONS**2, -1)
    return whole[np.random.default_rng(0).choice(len(whole), min(max(number, 1), len(whole)), replace=False)]


def _microns(segmenter: Segmenter, request: LikeRequest) -> dict[str, float]:
    """Microns per pixel of each slide; 1 for all where one of them is not known."""
    ids = {request.slide_id, *(one.slide_id for one in request.exemplars)}
    sizes = {one: segmenter.slide_info(one).pixel_size(request.mpp).mpp for one in ids}
    return {one: mpp or 1.0 for one, mpp in sizes.items()} if all(sizes.values()) else dict.fromkeys(ids, 1.0)


def _largest(outcome: Outcome) -> shapely.Polygon | None:
    """The largest part: a box means the whole object, also one with a lumen in its middle."""
    return max(outcome.outline.geometry.geoms, key=lambda part: part.area, default=None)


def _found(outcome: Outcome, place: Point, window: Window, info: SlideInfo) -> Found:
    part = _largest(outcome)
    if part is None:
        return Found(place, None, cut=False, score=outcome.score, stability=0.0)
    cut = reaches_edge(part, window, info.size)
    return Found(place, part, cut, outcome.score, stability(outcome.logits, window, part))
