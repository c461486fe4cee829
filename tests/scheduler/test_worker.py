import asyncio
import threading
import time

import pytest

from wsisam_server.errors import Reason, WsiSamServerError
from wsisam_server.scheduler import Priority
from wsisam_server.scheduler.worker import DeviceWorker


@pytest.fixture
async def worker():
    worker = DeviceWorker()
    yield worker
    await worker.close()


async def occupied(worker):
    """Occupies the device; returns what frees it, and the task that holds it."""
    gate, begun = threading.Event(), threading.Event()

    def hold():
        begun.set()
        gate.wait(10)

    task = asyncio.ensure_future(worker.run(Priority.BATCH, hold))
    await asyncio.to_thread(begun.wait, 10)
    return gate, task


async def test_the_most_urgent_runs_first_and_equals_in_order(worker):
    gate, holder = await occupied(worker)
    order = []
    jobs = [
        worker.run(priority, lambda n=n: order.append(n))
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
    await asyncio.sleep(0)
    gate.set()
    await asyncio.gather(holder, *tasks)
    assert order == [3, 2, 1, 0, 4]


async def test_what_is_cancelled_while_it_waits_never_runs(worker):
    gate, holder = await occupied(worker)
    ran = []
    task = asyncio.ensure_future(worker.run(Priority.INTERACTIVE_DECODE, lambda: ran.append(1)))
    await asyncio.sleep(0)
    task.cancel()
    gate.set()
    await holder
    await worker.run(Priority.BATCH, lambda: None)
    assert ran == []


async def test_calls_never_overlap(worker):
    running, overlaps = [], []

    def step():
        overlaps.append(len(running))
        running.append(1)
        time.sleep(0.002)
        running.pop()

    await asyncio.gather(*(worker.run(Priority.BATCH, step) for _ in range(20)))
    assert overlaps == [0] * 20


async def test_an_error_reaches_its_caller_and_the_worker_goes_on(worker):
    def fail():
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        await worker.run(Priority.BATCH, fail)
    assert await worker.run(Priority.BATCH, lambda: 7) == 7


async def test_closing_fails_those_that_wait_and_refuses_new_ones():
    worker = DeviceWorker()
    gate, holder = await occupied(worker)
    waiting = asyncio.ensure_future(worker.run(Priority.BATCH, lambda: 1))
    await asyncio.sleep(0)
    threading.Timer(0.05, gate.set).start()
    await worker.close()
    for task in (holder, waiting):
        with pytest.raises(WsiSamServerError) as caught:
            await task
        assert caught.value.reason is Reason.SHUTTING_DOWN
    with pytest.raises(WsiSamServerError):
        await worker.run(Priority.BATCH, lambda: 1)
