"""A batch on its way: a few prompts at once, in the order in which they are best answered."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, Final, TypeVar

from wsisam_server.core.errors import WsiSamServerError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Coroutine, Iterator

    from wsisam_server.annotations.store import Commit
    from wsisam_server.segmentation.segmenter import Batch
    from wsisam_server.service.sessions.admission import Admission
    from wsisam_server.service.sessions.commit_service import CommitService, PromptResult

Result = TypeVar("Result")

IN_FLIGHT: Final = 8
"""Items of one batch that are on their way at once: enough that reading, the model and outlines overlap."""


async def batch_answers(
    batch: Batch, commit: Callable[[int], Commit | None], commits: CommitService, admission: Admission
) -> AsyncGenerator[tuple[int, PromptResult | Exception], None]:
    """Answers a batch's prompts, and yields each number with its outline or its error as it is ready.

    Args:
        batch: planned.
        commit: how a prompt's outline is kept; called when the prompt begins. What it raises is the prompt's error.
        commits: answers prompts.
        admission: ends the batch when the server stops.

    Raises:
        WsiSamServerError: SHUTTING_DOWN, after the answers of all prompts that had begun.
    """

    async def answer(number: int) -> tuple[int, PromptResult | Exception]:
        item = batch.take(number)
        try:
            if isinstance(item.request, WsiSamServerError):
                raise item.request  # noqa: TRY301 - paced and answered below, as any other
            return number, await commits.answer(item.request, commit(number), provisional=item.provisional)
        except Exception as error:  # noqa: BLE001 - an item's error must not end the others
            await admission.failures.item(error)
            return number, error

    async with aclosing(_as_completed(answer, _begun(batch, admission))) as answers:
        async for one in answers:
            yield one


async def _as_completed(
    call: Callable[[int], Coroutine[Any, Any, Result]], numbers: Iterator[int]
) -> AsyncGenerator[Result, None]:
    """Runs `call` for each number, `IN_FLIGHT` at once, and yields each result as it is ready.

    Raises:
        WsiSamServerError: what `numbers` raised, after the results of all calls before.
    """
    running: set[asyncio.Task[Result]] = set()
    ended: WsiSamServerError | None = None
    try:
        while True:
            try:
                while ended is None and len(running) < IN_FLIGHT and (number := next(numbers, None)) is not None:
                    running.add(asyncio.ensure_future(call(number)))
            except WsiSamServerError as error:
                ended = error
            if not running:
                break
            done, running = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                yield task.result()
    finally:
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
    if ended is not None:
        raise ended


def _begun(batch: Batch, admission: Admission) -> Iterator[int]:
    """The numbers of a batch's prompts, each when it is begun."""
    for number in batch.order:
        admission.check_open()
        yield number
