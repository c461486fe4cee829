"""An answer in a coarse field, and the finer windows along its border that are then asked."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from wsisam_server.core.answers import Level, StageTimes
from wsisam_server.segmentation.refinement import fuse, question, rings
from wsisam_server.slides import DamagedPlaceError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine

    from wsisam_server.core.geometry import FieldPair, SlideSize
    from wsisam_server.core.requests import Goal
    from wsisam_server.inference.scheduler import Answer, Job
    from wsisam_server.segmentation.refinement import Fused

WINDOWS_IN_FLIGHT = 3
"""Enough that one is read while another is encoded and a third decoded."""


@dataclass(frozen=True, slots=True)
class Refined:
    """What became of an answer's border.

    Attributes:
        fused: the mosaic; None where there was nothing to refine.
        levels: the coarsest first.
        truncated: coarser than asked for, because of the bound on windows.
        times: of the windows, added up.
    """

    fused: Fused | None
    levels: tuple[Level, ...]
    truncated: bool
    times: StageTimes


async def refined(
    answer: Answer,
    job: Job,
    goal: Goal,
    slide: SlideSize,
    predict: Callable[[Job], Awaitable[Answer]],
    blocking: Callable[[Callable[[], Fused]], Awaitable[Fused]],
    progress: Callable[[int, int], None],
) -> Refined:
    """Has the windows along an answer's border read and asked, a few at a time, and merges them.

    Nobody's click waits for them: they queue as a batch's items do, whoever waits for the whole.

    Args:
        answer: the coarse one.
        job: what it answers.
        goal: how fine, and in how many windows.
        slide: its size.
        predict: answers one job.
        blocking: runs what takes long on a thread.
        progress: hears how many of the windows are answered, and of how many: before the first, and after each.

    Raises:
        WsiSamServerError: whatever `predict` raises; the other windows are then given up.
    """
    high = job.field.high
    planned = await asyncio.to_thread(rings, answer.logits, high, slide, goal)
    coarse = Level(high.downsample, 1)
    if not planned.scales:
        return Refined(None, (coarse,), planned.truncated, StageTimes())
    fields = [field for ring in planned.scales for field in ring]
    turns = asyncio.Semaphore(WINDOWS_IN_FLIGHT)
    done = 0
    damaged: set[FieldPair] = set()
    progress(done, len(fields))

    async def ask(field: FieldPair) -> Answer | None:
        nonlocal done
        async with turns:
            prompt = await asyncio.to_thread(question, answer.logits, high, field.high)
            one = (
                None if prompt is None else replace(job, field=field, prompt=prompt, interactive=False, on_encode=None)
            )
            try:
                found = None if one is None else await predict(one)
            except DamagedPlaceError:
                # Without a vote there, the coarse answer stays.
                damaged.add(field)
                found = None
        done += 1
        progress(done, len(fields))
        return found

    answers = await _all([ask(field) for field in fields])
    found = {field: one for field, one in zip(fields, answers, strict=True) if one is not None}
    fine = [[(field.high, found[field].logits) for field in ring if field in found] for ring in planned.scales]
    fused = await blocking(lambda: fuse(answer.logits, high, fine))
    finer = (
        Level(ring[0].high.downsample, len(asked), rejected, sum(field in damaged for field in ring))
        for ring, asked, rejected in zip(planned.scales, fine, fused.rejected, strict=True)
    )
    times = sum((one.times for one in found.values()), StageTimes())
    return Refined(fused, (coarse, *finer), planned.truncated, times)


async def _all(calls: list[Coroutine[Any, Any, Answer | None]]) -> list[Answer | None]:
    """Results of calls that run together. When one fails, or the caller is cancelled, the others do not go on."""
    tasks = [asyncio.ensure_future(call) for call in calls]
    try:
        return await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
