"""CallQueue: how much is under way, and who goes next."""

import asyncio

import pytest

from support.waiting import turns
from wsisam_server.core.errors import Reason, WsiSamServerError
from wsisam_server.inference.cluster.call_queue import CallQueue
from wsisam_server.inference.scheduler import Priority, QueueEntry, WorkItem


class Line:
    """Callers that hold their turn until they are told to end."""

    def __init__(self, calls):
        self.calls = calls
        self.begun = []
        self.ends = {}
        self.tasks = {}

    async def add(self, name, priority, principal=""):
        work_item = WorkItem([QueueEntry(priority, principal)])
        self.ends[name] = asyncio.Event()
        self.tasks[name] = asyncio.ensure_future(self._hold(name, work_item))
        await turns()
        return work_item

    async def end(self, name):
        self.ends[name].set()
        await self.tasks[name]
        await turns()

    async def _hold(self, name, work_item):
        async with self.calls.slot(work_item):
            self.begun.append(name)
            await self.ends[name].wait()


async def test_no_more_are_under_way_than_may_be():
    line = Line(CallQueue(2))
    for name in "abc":
        await line.add(name, Priority.INTERACTIVE_DECODE)
    assert line.begun == ["a", "b"]
    await line.end("a")
    assert line.begun == ["a", "b", "c"]


async def test_batches_leave_half_of_the_room_to_people():
    line = Line(CallQueue(4))
    for name in "abcd":
        await line.add(name, Priority.BATCH)
    assert line.begun == ["a", "b"]
    await line.add("click", Priority.INTERACTIVE_DECODE)
    assert line.begun == ["a", "b", "click"]
    await line.end("a")
    assert line.begun[3:] == ["c"]


async def test_a_click_that_joins_is_not_held_back_by_the_batch():
    calls = CallQueue(2)
    line = Line(calls)
    await line.add("a", Priority.BATCH)
    work_item = await line.add("b", Priority.BATCH)
    assert line.begun == ["a"]
    entry = QueueEntry(Priority.INTERACTIVE_ENCODE, "anna")
    work_item.entries.append(entry)
    calls.join(work_item, entry)
    await turns()
    assert line.begun == ["a", "b"]


async def test_principals_take_turns():
    line = Line(CallQueue(1))
    for name in ("a1", "a2", "a3"):
        await line.add(name, Priority.INTERACTIVE_DECODE, "anna")
    await line.add("b1", Priority.INTERACTIVE_DECODE, "ben")
    for name in ("a1", "b1", "a2", "a3"):
        assert line.begun[-1] == name
        await line.end(name)


async def test_who_is_cancelled_takes_no_slot():
    calls = CallQueue(1)
    line = Line(calls)
    for name in "abc":
        await line.add(name, Priority.INTERACTIVE_DECODE)
    line.tasks["b"].cancel()
    await asyncio.gather(line.tasks["b"], return_exceptions=True)
    line.tasks["a"].cancel()  # while it holds its turn
    await asyncio.gather(line.tasks["a"], return_exceptions=True)
    await turns()
    assert line.begun == ["a", "c"]
    await line.end("c")
    assert sum(calls.waiting().values()) == 0


async def test_more_replicas_are_more_room():
    calls = CallQueue(1)
    line = Line(calls)
    for name in "abc":
        await line.add(name, Priority.INTERACTIVE_DECODE)
    calls.set_limit(3)
    await turns()
    assert line.begun == ["a", "b", "c"]


async def test_closed_those_who_wait_fail():
    calls = CallQueue(1)
    line = Line(calls)
    await line.add("a", Priority.INTERACTIVE_DECODE)
    await line.add("b", Priority.INTERACTIVE_DECODE)
    calls.close()
    with pytest.raises(WsiSamServerError) as caught:
        await line.tasks["b"]
    assert caught.value.reason is Reason.SHUTTING_DOWN
    await line.end("a")
    with pytest.raises(WsiSamServerError):
        async with calls.slot(WorkItem([QueueEntry(Priority.INTERACTIVE_DECODE, "")])):
            pass
