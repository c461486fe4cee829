"""What keeps one user's reads from holding up another's."""

import asyncio
import threading
import time

import pytest

from wsisam_server.core.cancellation import WorkCancelledError, checkpoint
from wsisam_server.inference.scheduler import Priority, QueueEntry, WorkItem
from wsisam_server.inference.scheduler import worker as readers_module
from wsisam_server.inference.scheduler import worker as worker_module
from wsisam_server.inference.scheduler.worker import PER_PRINCIPAL, READERS, SPARE, Readers


@pytest.fixture
async def readers():
    readers = Readers()
    yield readers
    await readers.close()


@pytest.fixture
def gate():
    gate = threading.Event()
    yield gate
    gate.set()


def begin(readers, call, principal, priority=Priority.INTERACTIVE_ENCODE):
    return asyncio.ensure_future(readers.run(WorkItem([QueueEntry(priority, principal)]), call))


async def test_one_reader_is_left_for_another_user(readers, gate):
    begun = threading.Semaphore(0)

    def hold():
        begun.release()
        gate.wait(20)

    held = [begin(readers, hold, "anna") for _ in range(READERS + 2)]
    for _ in range(PER_PRINCIPAL):
        assert await asyncio.to_thread(begun.acquire, timeout=10)
    assert await asyncio.wait_for(begin(readers, lambda: "answer", "ben", Priority.BATCH), 10) == "answer"
    assert not begun.acquire(blocking=False)
    gate.set()
    await asyncio.gather(*held)


async def test_of_a_user_whose_reads_take_long_fewer_run_at_once(monkeypatch):
    monkeypatch.setattr(worker_module, "LONG_SECONDS", 0.02)
    monkeypatch.setattr(readers_module, "LONG_PER_PRINCIPAL", 1)
    readers, running, most = Readers(), [], []

    def hold():
        running.append(1)
        most.append(len(running))
        time.sleep(0.1)
        running.pop()

    await begin(readers, hold, "anna")
    await asyncio.gather(*(begin(readers, hold, "anna") for _ in range(3)), begin(readers, hold, "ben"))
    assert max(most) == 2  # one of each
    # A quick one, and all is as before.
    await begin(readers, lambda: None, "anna")
    most.clear()
    await asyncio.gather(*(begin(readers, hold, "anna") for _ in range(PER_PRINCIPAL)))
    assert max(most) == PER_PRINCIPAL
    await readers.close()


@pytest.mark.parametrize("principal", ["", "ben"])
async def test_reads_that_hang_do_not_use_up_the_readers(readers, gate, monkeypatch, principal):
    """Without tokens nobody has a name, and all are one owner."""
    monkeypatch.setattr(worker_module, "SLOW_SECONDS", 0.05)
    held = [begin(readers, lambda: gate.wait(20), "") for _ in range(READERS)]
    assert await asyncio.wait_for(begin(readers, lambda: "answer", principal), 10) == "answer"
    gate.set()
    await asyncio.gather(*held)


async def test_threads_are_bounded(readers, gate, monkeypatch):
    monkeypatch.setattr(worker_module, "SLOW_SECONDS", 0.01)
    running = threading.Semaphore(0)

    def hold():
        running.release()
        gate.wait(20)

    held = [begin(readers, hold, "") for _ in range(READERS + SPARE + 5)]
    for _ in range(READERS + SPARE):
        assert await asyncio.to_thread(running.acquire, timeout=10)
    await asyncio.sleep(0.1)
    assert not running.acquire(blocking=False)
    gate.set()
    await asyncio.gather(*held)


async def test_a_read_that_was_given_up_ends_at_its_next_checkpoint(readers):
    begun, ended = threading.Event(), threading.Event()

    def long():
        begun.set()
        try:
            while True:
                checkpoint()
        except WorkCancelledError:
            ended.set()
            raise

    task = begin(readers, long, "anna")
    assert await asyncio.to_thread(begun.wait, 10)
    task.cancel()
    assert await asyncio.to_thread(ended.wait, 10)
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await begin(readers, lambda: checkpoint() or "next", "anna") == "next"


async def test_closing_leaves_a_read_alone_that_does_not_end(gate, caplog):
    readers, begun = Readers(), threading.Event()

    def hold():
        begun.set()
        gate.wait(20)

    task = begin(readers, hold, "anna")
    assert await asyncio.to_thread(begun.wait, 10)
    await asyncio.wait_for(readers.close(), 5)
    assert "abandoned" in caplog.text
    assert await asyncio.gather(task, return_exceptions=True)
