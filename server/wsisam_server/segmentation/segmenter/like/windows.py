"""What the windows of a search show: background, and an encoder's features."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

import numpy as np

from wsisam_server.core.errors import Reason, WsiSamServerError
from wsisam_server.segmentation.exemplars import Basis
from wsisam_server.segmentation.proposals import Tile
from wsisam_server.segmentation.segmenter.like.plan import POSITIONS
from wsisam_server.slides import DamagedRegionError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from wsisam_server.core.geometry import Point, Window
    from wsisam_server.core.requests import Request
    from wsisam_server.inference.scheduler import Features
    from wsisam_server.segmentation.segmenter.background import ClickFilter, WindowContent
    from wsisam_server.segmentation.segmenter.like.plan import LikePlan
    from wsisam_server.segmentation.segmenter.segmenter import Segmenter

BASIS_WINDOWS: Final = 16
"""Windows whose features say what varies; more cost time and change nothing."""

BASIS_POSITIONS: Final = 16_384


@dataclass(slots=True)
class Seen:
    """What is known of the region's windows.

    Attributes:
        rotated: float16 features of each window that shows tissue, in the basis; small enough to hold all.
        background: positions of each window that show none.
        bare: numbers of the windows that show background alone.
        damaged: numbers of the windows that cannot be read.
    """

    rotated: dict[int, NDArray[np.float16]] = field(default_factory=dict)
    background: dict[int, frozenset[Point]] = field(default_factory=dict)
    bare: set[int] = field(default_factory=set)
    damaged: list[int] = field(default_factory=list)


class Viewer:
    """Looks at windows.

    Args:
        segmenter: has slides and model.
        plan: of the search.
        base: with which model, and whose share.
        clicks: tells background.

    Attributes:
        seen: of the region's windows.
        at_exemplars: features of the exemplars' windows.
    """

    def __init__(self, segmenter: Segmenter, plan: LikePlan, base: Request, clicks: ClickFilter) -> None:
        self._segmenter, self._plan, self._base, self._clicks = segmenter, plan, base, clicks
        self.seen = Seen()
        self.at_exemplars: list[Features] = []

    async def begin(self) -> Basis:
        """Looks at the exemplars, and at some windows; returns the basis of all features.

        Raises:
            WsiSamServerError: INVALID_FIELD: an exemplar lies on background.
        """
        await self._clicks.begin()
        await self._check_background()
        self.at_exemplars = [
            await self._features(one.slide_id, window)
            for one, window in zip(self._plan.shown, self._plan.exemplar_windows, strict=True)
        ]
        return await self._basis()

    async def look_at(self, number: int, basis: Basis) -> DamagedRegionError | None:
        """Learns what a window shows; returns why it cannot be read."""
        damage = await self._find_background(number)
        if damage is None and number in self.seen.background:
            features = await self._features(self._plan.request.slide_id, self._plan.tiling.tiles[number].window)
            rotated = await asyncio.get_running_loop().run_in_executor(None, basis.rotated, features.values)
            self.seen.rotated[number] = rotated.astype(np.float16)
        return damage

    async def _check_background(self) -> None:
        """Refuses exemplars on bare glass: everything would look like them.

        Those on other slides are not checked.
        """
        for one, window in self._plan.shown_here:
            if one.positive:
                content = await self._clicks.content(Tile(window, (one.center,)))
                if content.on_background:
                    problem = "it lies on background, where there is no tissue"
                    raise WsiSamServerError(Reason.INVALID_FIELD, field=f"exemplars[{one.number}]", problem=problem)

    async def _find_background(self, number: int) -> DamagedRegionError | None:
        """Learns where a window shows background. Without an entry there, it shows nothing else."""
        seen = self.seen
        if number in seen.background or number in seen.bare:
            return None
        tile = self._plan.tiling.tiles[number]
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

    async def _basis(self) -> Basis:
        tiles = self._plan.tiling.tiles
        numbers = np.unique(np.linspace(0, len(tiles) - 1, BASIS_WINDOWS).astype(int)).tolist()
        of_region = [
            await self._features(self._plan.request.slide_id, tiles[number].window)
            for number in numbers
            if await self._find_background(number) is None and number in self.seen.background
        ]
        samples = [*self.at_exemplars[:BASIS_WINDOWS], *of_region]
        return await asyncio.get_running_loop().run_in_executor(None, _fitted, samples)


def _fitted(samples: Sequence[Features]) -> Basis:
    every = max(1, len(samples) * POSITIONS**2 // BASIS_POSITIONS)
    values = [one.values.reshape(-1, one.values.shape[-1])[::every].astype(np.float32) for one in samples]
    return Basis.fitted(np.concatenate(values), samples[0].groups)
