"""An answer in a coarse field, and the finer windows along its border that are then asked."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from wsisam_server.core.answers import RefinementLevel, StageTimes
from wsisam_server.segmentation.refinement import border_windows, build_mosaic, refinement_prompt
from wsisam_server.slides import DamagedRegionError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Sequence

    from wsisam_server.core.geometry import FieldPair, SlideSize
    from wsisam_server.core.requests import ResolvedRefinement
    from wsisam_server.inference.scheduler import Answer, Job
    from wsisam_server.segmentation.refinement import Mosaic

WINDOWS_IN_FLIGHT = 3
"""Enough that one is read while another is encoded and a third decoded."""


@dataclass(frozen=True, slots=True)
class Refined:
    """What became of an answer's border.

    Attributes:
        mosaic: the mosaic; None where there was nothing to refine.
        levels: the coarsest first.
        truncated: coarser than asked for, because of the bound on windows.
        times: of the windows, added up.
    """

    mosaic: Mosaic | None
    levels: tuple[RefinementLevel, ...]
    truncated: bool
    times: StageTimes


async def refined(
    answer: Answer,
    job: Job,
    refinement: ResolvedRefinement,
    slide: SlideSize,
    predict: Callable[[Job], Awaitable[Answer]],
    blocking: Callable[[Callable[[], Mosaic]], Awaitable[Mosaic]],
    progress: Callable[[int, int], None],
) -> Refined:
    """Has the windows along an answer's border read and asked, a few at a time, and merges them.

    They queue at batch priority, so that no click waits for them.

    Args:
        answer: the coarse one.
        job: what it answers.
        refinement: how fine, and in how many windows.
        slide: its size.
        predict: answers one job.
        blocking: runs what takes long on a thread.
        progress: is called with how many of how many windows are answered, before the first and after each.

    Raises:
        WsiSamServerError: whatever `predict` raises; the other windows are then given up.
    """
    high = job.field.high
    planned = await asyncio.to_thread(border_windows, answer.logits, high, slide, refinement)
    coarse = RefinementLevel(high.downsample, 1)
    if not planned.levels:
        return Refined(None, (coarse,), planned.truncated, StageTimes())
    windows = _FinerWindows(answer, job, predict, progress)
    found = await windows.answers([field for level in planned.levels for field in level])
    fine = [[(field.high, found[field].logits) for field in level if field in found] for level in planned.levels]
    mosaic = await blocking(lambda: build_mosaic(answer.logits, high, fine))
    finer = (
        RefinementLevel(
            level[0].high.downsample, len(asked), rejected, unreadable=sum(field in windows.damaged for field in level)
        )
        for level, asked, rejected in zip(planned.levels, fine, mosaic.rejected, strict=True)
    )
    times = sum((one.times for one in found.values()), StageTimes())
    return Refined(mosaic, (coarse, *finer), planned.truncated, times)


class _FinerWindows:
    """Has finer windows read and asked, `WINDOWS_IN_FLIGHT` at once.

    Attributes:
        damaged: fields in which the slide cannot be read.
    """

    def __init__(
        self,
        answer: Answer,
        job: Job,
        predict: Callable[[Job], Awaitable[Answer]],
        progress: Callable[[int, int], None],
    ) -> None:
        self._answer = answer
        self._job = job
        self._predict = predict
        self._progress = progress
        self._slots = asyncio.Semaphore(WINDOWS_IN_FLIGHT)
        self.damaged: set[FieldPair] = set()

    async def answers(self, fields: Sequence[FieldPair]) -> dict[FieldPair, Answer]:
        """The answers by field, less those of windows that show nothing of the object or are damaged."""
        done = 0
        self._progress(done, len(fields))

        async def counted(field: FieldPair) -> Answer | None:
            nonlocal done
            async with self._slots:
                found = await self._ask(field)
            done += 1
            self._progress(done, len(fields))
            return found

        answers = await _all([counted(field) for field in fields])
        return {field: one for field, one in zip(fields, answers, strict=True) if one is not None}

    async def _ask(self, field: FieldPair) -> Answer | None:
        coarse = self._answer.logits
        prompt = await asyncio.to_thread(refinement_prompt, coarse, self._job.field.high, field.high)
        if prompt is None:
            return None
        try:
            return await self._predict(
                replace(self._job, field=field, prompt=prompt, interactive=False, on_encode=None)
            )
        except DamagedRegionError:
            # Without a vote there, the coarse answer stays.
            self.damaged.add(field)
            return None


async def _all(calls: list[Coroutine[Any, Any, Answer | None]]) -> list[Answer | None]:
    """Results of calls that run together. When one fails, or the caller is cancelled, the others do not go on."""
    tasks = [asyncio.ensure_future(call) for call in calls]
    try:
        return await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
