"""An answer in a coarse field, and the finer windows along its border that are then asked."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from wsisam_server.borders import fuse, questions, ring
from wsisam_server.scheduler import StageTimes

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    import numpy as np
    from numpy.typing import NDArray

    from wsisam_server.borders import Fused, Refinement
    from wsisam_server.geometry import SlideSize, Viewport, Window
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
        levels: the coarse one first.
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
    wanted: Refinement,
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
        wanted: how fine, and how much.
        slide: its size.
        viewport: what the annotator sees, if known.
        predict: answers one job.
        blocking: runs what takes long on a thread.
        progress: hears how many of the windows are answered, and of how many: before the first, and after each.

    Raises:
        WsiSamServerError: whatever `predict` raises; the other windows are then given up.
    """
    high = job.field.high
    target = wanted.downsample or (viewport.downsample if viewport is not None else 1.0)
    planned = await asyncio.to_thread(ring, answer.logits, high, slide, target, wanted.max_windows)
    coarse = Level(high.downsample, 1)
    if not planned.fields:
        return Refined(None, (coarse,), planned.limited, StageTimes())
    turns = asyncio.Semaphore(WINDOWS_IN_FLIGHT)
    done = 0
    progress(done, len(planned.fields))

    async def ask(window: Window, one: Job) -> list[Answer]:
        nonlocal done
        async with turns:
            asked = await asyncio.to_thread(questions, answer.logits, high, window)
            answers = [await predict(replace(one, prompt=each.prompt, mask=each.mask)) for each in asked]
        done += 1
        progress(done, len(planned.fields))
        return answers

    jobs = [replace(job, field=field, interactive=False, on_encode=None) for field in planned.fields]
    tasks = [asyncio.ensure_future(ask(one.field.high, one)) for one in jobs]
    try:
        answers = await asyncio.gather(*tasks)
    finally:
        # When one fails, or the caller is cancelled, the others must not go on unattended.
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    fine: list[tuple[Window, NDArray[np.float32]]] = [
        (one.field.high, each.logits) for one, several in zip(jobs, answers, strict=True) for each in several
    ]
    fused = await blocking(lambda: fuse(answer.logits, high, fine))
    times = sum((each.times for several in answers for each in several), StageTimes())
    level = Level(jobs[0].field.high.downsample, sum(map(bool, answers)), fused.distrusted)
    return Refined(fused, (coarse, level), planned.limited, times)
