"""What the windows of a search show: background, and an encoder's features. Each is read once."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

import numpy as np

from wsisam_server.core.errors import Reason, WsiSamServerError
from wsisam_server.segmentation.exemplars import Basis
from wsisam_server.segmentation.proposals import Tile
from wsisam_server.segmentation.segmenter.background import ClickFilter
from wsisam_server.segmentation.segmenter.like.plan import POSITIONS, tile_of
from wsisam_server.slides import DamagedRegionError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from wsisam_server.core.geometry import Point, Window
    from wsisam_server.core.requests import Request
    from wsisam_server.inference.scheduler import Features
    from wsisam_server.segmentation.exemplars import ShownObject
    from wsisam_server.segmentation.segmenter.background import WindowContent
    from wsisam_server.segmentation.segmenter.like.plan import LikePlan
    from wsisam_server.segmentation.segmenter.segmenter import Segmenter

BASIS_WINDOWS: Final = 16
"""Windows of exemplars, and of the region, whose features say what varies; more cost time and change nothing."""

BASIS_POSITIONS: Final = 16_384


@dataclass(slots=True)
class Seen:
    """What is known of the region's windows, by number, and of the exemplars'.

    Attributes:
        rotated: float16 features of each window that shows tissue, in the basis; small enough to hold all.
        background: positions of each of them that show none.
        bare: windows that show background alone.
        damaged: why windows cannot be read.
        exemplars: float32 features of the exemplars' windows, by slide and window.
    """

    rotated: dict[int, NDArray[np.float16]] = field(default_factory=dict)
    background: dict[int, frozenset[Point]] = field(default_factory=dict)
    bare: set[int] = field(default_factory=set)
    damaged: dict[int, DamagedRegionError] = field(default_factory=dict)
    exemplars: dict[tuple[str, Window], NDArray[np.float32]] = field(default_factory=dict)


class Viewer:
    """Looks at windows.

    Args:
        segmenter: has slides and model.
        plan: of the search.
        base: with which model, and whose share.

    Attributes:
        seen: so far.
    """

    def __init__(self, segmenter: Segmenter, plan: LikePlan, base: Request) -> None:
        self._segmenter, self._plan, self._base = segmenter, plan, base
        self._numbers = {tile.window: number for number, tile in enumerate(plan.tiling.tiles)}
        self._filters: dict[str, ClickFilter] = {}
        # Read and not encoded yet.
        self._pixels: dict[tuple[str, Window], Mapping[Window, NDArray[np.uint8]]] = {}
        self.seen = Seen()

    async def begin(self) -> Basis:
        """Looks at the exemplars, and at some windows; returns the basis of all features.

        Raises:
            WsiSamServerError: INVALID_FIELD: an exemplar lies on background.
        """
        keys = await self._look_at_exemplars()
        at_exemplars = {key: await self._features(*key) for key in keys[:BASIS_WINDOWS]}
        in_region: dict[int, Features] = {}
        for number in self._some_numbers():
            if (self._plan.request.slide_id, self._plan.tiling.tiles[number].window) not in at_exemplars:
                features = await self._unless_bare(number)
                in_region.update({} if features is None else {number: features})
        samples = [*at_exemplars.values(), *in_region.values()]
        basis = await asyncio.get_running_loop().run_in_executor(None, _fitted, samples)
        for key, features in at_exemplars.items():
            await self._keep_exemplar(key, features, basis)
        for number, features in in_region.items():
            await self._keep(number, features, basis)
        for key in keys[BASIS_WINDOWS:]:
            await self._keep_exemplar(key, await self._features(*key), basis)
        return basis

    async def look_at(self, number: int, basis: Basis) -> DamagedRegionError | None:
        """Learns what a window shows; returns why it cannot be read."""
        seen = self.seen
        if number not in seen.rotated and (features := await self._unless_bare(number)) is not None:
            await self._keep(number, features, basis)
        return seen.damaged.get(number)

    # Reading

    async def _look_at_exemplars(self) -> list[tuple[str, Window]]:
        """Reads the exemplars' windows, each once; which these are.

        Refuses exemplars on bare glass: everything would look like them.
        """
        plan = self._plan
        shown: dict[tuple[str, Window], list[ShownObject]] = {}
        for one, window in zip(plan.shown, plan.exemplar_windows, strict=True):
            shown.setdefault((one.slide_id, window), []).append(one)
        for key, here in shown.items():
            content = await self._content(*key, tuple(one.center for one in here))
            for one in here:
                if one.positive and one.center in content.on_background:
                    problem = "it lies on background, where there is no tissue"
                    raise WsiSamServerError(Reason.INVALID_FIELD, field=f"exemplars[{one.number}]", problem=problem)
            if key[0] == plan.request.slide_id and key[1] in self._numbers:
                self._note(self._numbers[key[1]], content)
        return list(shown)

    async def _content(self, slide_id: str, window: Window, also: tuple[Point, ...] = ()) -> WindowContent:
        """What a window shows at the positions of its grid, and at further ones."""
        clicks = self._filters.get(slide_id)
        if clicks is None:
            reader = self._segmenter.batch_reader(slide_id, self._base.principal)
            scale, wanted = self._plan.here / self._plan.microns[slide_id], self._plan.proposal_filter
            wanted = replace(wanted, min_size=wanted.min_size * scale, max_size=wanted.max_size * scale)
            clicks = self._filters[slide_id] = ClickFilter(reader, wanted)
            await clicks.begin()
        content = await clicks.content(Tile(window, (*tile_of(window).clicks, *also)))
        self._pixels[slide_id, window] = content.pixels
        return content

    def _note(self, number: int, content: WindowContent) -> None:
        clicks = self._plan.tiling.tiles[number].clicks
        background = content.on_background.intersection(clicks)
        if len(background) == len(clicks):
            self.seen.bare.add(number)
        else:
            self.seen.background[number] = background

    def _some_numbers(self) -> list[int]:
        """Windows of the region, as many as the basis takes."""
        spread = np.linspace(0, len(self._plan.tiling.tiles) - 1, BASIS_WINDOWS).tolist()
        return sorted({int(number) for number in spread})

    async def _unless_bare(self, number: int) -> Features | None:
        """The features of a window of the region; None where it shows background alone, or cannot be read."""
        seen, window, slide_id = self.seen, self._plan.tiling.tiles[number].window, self._plan.request.slide_id
        if number not in seen.background and number not in seen.bare and number not in seen.damaged:
            try:
                self._note(number, await self._content(slide_id, window))
            except DamagedRegionError as error:
                seen.damaged[number] = error
        if number not in seen.background:
            self._pixels.pop((slide_id, window), None)
            return None
        return await self._features(slide_id, window)

    async def _features(self, slide_id: str, window: Window) -> Features:
        pixels = self._pixels.pop((slide_id, window), {})
        return await self._segmenter.features(replace(self._base, slide_id=slide_id), window, pixels)

    # Keeping

    async def _keep(self, number: int, features: Features, basis: Basis) -> None:
        rotated = await asyncio.get_running_loop().run_in_executor(None, basis.rotated, features.values)
        self.seen.rotated[number] = rotated.astype(np.float16)

    async def _keep_exemplar(self, key: tuple[str, Window], features: Features, basis: Basis) -> None:
        rotated = await asyncio.get_running_loop().run_in_executor(None, basis.rotated, features.values)
        self.seen.exemplars[key] = rotated
        number = self._numbers.get(key[1]) if key[0] == self._plan.request.slide_id else None
        if number is not None and number in self.seen.background:
            self.seen.rotated[number] = rotated.astype(np.float16)


def _fitted(samples: Sequence[Features]) -> Basis:
    every = max(1, len(samples) * POSITIONS**2 // BASIS_POSITIONS)
    values = [one.values.reshape(-1, one.values.shape[-1])[::every].astype(np.float32) for one in samples]
    return Basis.fitted(np.concatenate(values), samples[0].groups)
