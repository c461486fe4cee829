import asyncio
import threading
import time

import pytest

from support.waiting import turns
from wsisam_server.core.errors import Reason, WsiSamServerError
from wsisam_server.inference.scheduler import Priority, QueueEntry, WorkItem
from wsisam_server.inference.scheduler.worker import Worker


@pytest.fixture
async def worker():
    worker = Worker("test")
    yield worker
    await worker.close()


def work_item(priority=Priority.BATCH, principal=""):
    return WorkItem([QueueEntry(priority, principal)])


async def occupied(worker):
    """Occupies the device; returns what frees it, and the task that holds it."""
    gate, begun = threading.Event(), threading.Event()

    def hold():
        begun.set()
        gate.wait(10)

    task = asyncio.ensure_future(worker.run(work_item(), hold))
    await asyncio.to_thread(begun.wait, 10)
    return gate, task


async def test_the_most_urgent_runs_first_and_equals_in_order(worker):
    gate, holder = await occupied(worker)
    order = []
    jobs = [
        worker.run(work_item(priority), lambda n=n: order.append(n))
        for n, priority in enumerate(
            [
                Priority.BATCH,
                Priority.PREFETCH,
                Priority.INTERACTIVE_ENCODE,
                Priority.INTERACTIVE_DECODE,
                Priority.BATCH,
            ]
        )
    ]
    tasks = [asyncio.ensure_future(job) for job in jobs]
    await turns()
    gate.set()
    await asyncio.gather(holder, *tasks)
    assert order == [3, 2, 1, 0, 4]


async def test_what_is_cancelled_while_it_waits_never_runs(worker):
    gate, holder = await occupied(worker)
    ran = []
    task = asyncio.ensure_future(worker.run(work_item(Priority.INTERACTIVE_DECODE), lambda: ran.append(1)))
    await turns()
    task.cancel()
    gate.set()
    await holder
    await worker.run(work_item(), lambda: None)
    assert ran == []


async def test_what_is_cancelled_is_let_go_of_at_once(worker):
    gate, holder = await occupied(worker)
    task = asyncio.ensure_future(worker.run(work_item(), lambda: None))
    await turns()
    assert worker.waiting()[Priority.BATCH] == 1
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert worker.waiting()[Priority.BATCH] == 0
    gate.set()
    await holder


async def test_a_late_click_waits_for_one_step_of_anothers_batch(worker):
    """The batch is as long as one may be; every step of it is counted until the click is answered."""
    steps, click = [], []
    batch = [
        asyncio.ensure_future(worker.run(work_item(principal="batch"), lambda: steps.append(1))) for _ in range(10_000)
    ]

    async def clicks():
        await turns()
        for priority in (Priority.INTERACTIVE_ENCODE, Priority.INTERACTIVE_DECODE, Priority.BATCH):
            before = len(steps)
            await worker.run(work_item(priority, "click"), lambda before=before: click.append(len(steps) - before))

    await clicks()
    assert len(steps) < 1000
    for task in batch:
        task.cancel()
    await asyncio.gather(*batch, return_exceptions=True)
    assert len(click) == 3
    assert max(click) <= 1


async def test_several_threads_run_as_many_calls_and_no_more():
    worker, gate, begun = Worker("test", threads=3), threading.Event(), threading.Semaphore(0)

    def hold():
        begun.release()
        gate.wait(10)

    tasks = [asyncio.ensure_future(worker.run(work_item(), hold)) for _ in range(5)]
    for _ in range(3):
        await asyncio.to_thread(begun.acquire)
    assert worker.waiting()[Priority.BATCH] == 2
    gate.set()
    await asyncio.gather(*tasks)
    await worker.close()


async def test_calls_never_overlap(worker):
    running, overlaps = [], []

    def step():
        overlaps.append(len(running))
        running.append(1)
        time.sleep(0.002)
        running.pop()

    await asyncio.gather(*(worker.run(work_item(), step) for _ in range(20)))
    assert overlaps == [0] * 20


async def test_an_error_reaches_its_caller_and_the_worker_goes_on(worker):
    def fail():
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        await worker.run(work_item(), fail)
    assert await worker.run(work_item(), lambda: 7) == 7


async def test_closing_fails_those_that_wait_and_refuses_new_ones():
    worker = Worker("test")
    gate, holder = await occupied(worker)
    waiting = asyncio.ensure_future(worker.run(work_item(), lambda: 1))
    await turns()
    threading.Timer(0.05, gate.set).start()
    await worker.close()
    for task in (holder, waiting):
        with pytest.raises(WsiSamServerError) as caught:
            await task
        assert caught.value.reason is Reason.SHUTTING_DOWN
    with pytest.raises(WsiSamServerError):
        await worker.run(work_item(), lambda: 1)
