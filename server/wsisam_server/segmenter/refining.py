"""An answer in a coarse field, and the finer windows along its border that are then asked."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from wsisam_server.borders import fuse, question, rings
from wsisam_server.scheduler import StageTimes

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from wsisam_server.borders import Fused
    from wsisam_server.geometry import SlideSize, Viewport
    from wsisam_server.scheduler import Answer, Job

WINDOWS_IN_FLIGHT = 3
"""Enough that one is read while another is encoded and a third decoded."""


@dataclass(frozen=True, slots=True)
class Level:
    """A scale at which an object was looked at.

    Attributes:
        downsample: level-0 pixels per pixel of its windows.
        windows: how many of them were asked.
        distrusted: answers that were left out, because they contradict the coarse one; see `borders.fuse`.
    """

    downsample: float
    windows: int
    distrusted: int = 0


@dataclass(frozen=True, slots=True)
class Refined:
    """What became of an answer's border.

    Attributes:
        fused: the mosaic; None where there was nothing to refine.
        levels: the coarsest first.
        limited: coarser than asked for, because of the bound on windows.
        times: of the windows, added up.
    """

    fused: Fused | None
    levels: tuple[Level, ...]
    limited: bool
    times: StageTimes


async def refined(
    answer: Answer,
    job: Job,
    downsample: float | None,
    max_windows: int,
    slide: SlideSize,
    viewport: Viewport | None,
    predict: Callable[[Job], Awaitable[Answer]],
    blocking: Callable[[Callable[[], Fused]], Awaitable[Fused]],
    progress: Callable[[int, int], None],
) -> Refined:
    """Has the windows along an answer's border read and asked, a few at a time, and merges them.

    Nobody's click waits for them: they queue as a batch's items do, whoever waits for the whole.

    Args:
        answer: the coarse one.
        job: what it answers.
        downsample: of the finest mask; None for the viewport's, or 1 without a viewport.
        max_windows: bound on windows.
        slide: its size.
        viewport: what the annotator sees, if known.
        predict: answers one job.
        blocking: runs what takes long on a thread.
        progress: hears how many of the windows are answered, and of how many: before the first, and after each.

    Raises:
        WsiSamServerError: whatever `predict` raises; the other windows are then given up.
    """
    high = job.field.high
    target = downsample or (viewport.downsample if viewport is not None else 1.0)
    planned = await asyncio.to_thread(rings, answer.logits, high, slide, target, max_windows)
    coarse = Level(high.downsample, 1)
    if not planned.scales:
        return Refined(None, (coarse,), planned.limited, StageTimes())
    jobs = [
        [replace(job, field=field, interactive=False, on_encode=None) for field in fields] for fields in planned.scales
    ]
    turns = asyncio.Semaphore(WINDOWS_IN_FLIGHT)
    done, total = 0, sum(map(len, jobs))
    progress(done, total)

    async def ask(one: Job) -> Answer | None:
        nonlocal done
        async with turns:
            prompt = await asyncio.to_thread(question, answer.logits, high, one.field.high)
            found = None if prompt is None else await predict(replace(one, prompt=prompt))
        done += 1
        progress(done, total)
        return found

    tasks = [[asyncio.ensure_future(ask(one)) for one in scale] for scale in jobs]
    flat = [task for scale in tasks for task in scale]
    try:
        await asyncio.gather(*flat)
    finally:
        # When one fails, or the caller is cancelled, the others must not go on unattended.
        for task in flat:
            task.cancel()
        await asyncio.gather(*flat, return_exceptions=True)
    answers = [
        [
            (one.field.high, found)
            for one, task in zip(scale, asked, strict=True)
            if (found := task.result()) is not None
        ]
        for scale, asked in zip(jobs, tasks, strict=True)
    ]
    fine = [[(window, each.logits) for window, each in scale] for scale in answers]
    fused = await blocking(lambda: fuse(answer.logits, high, fine))
    times = sum((each.times for scale in answers for _, each in scale), StageTimes())
    finer = (
        Level(scale[0].field.high.downsample, len(found), distrusted)
        for scale, found, distrusted in zip(jobs, answers, fused.distrusted, strict=True)
    )
    return Refined(fused, (coarse, *finer), planned.limited, times)
