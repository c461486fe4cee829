"""The store for a server: it does not block, it does not forget, and it says when there is something new."""

import asyncio
import gc
import threading
import time

import pytest

from annotations.store.examples import draft, request
from wsisam_server.annotations.store import AsyncStore, Wanted, open_store
from wsisam_server.annotations.store.waiting import POLL_SECONDS
from wsisam_server.core.errors import Reason, WsiSamServerError


@pytest.fixture
def where(sqlite_path):
    return str(sqlite_path)


@pytest.fixture
async def waiting(store):
    waiting = AsyncStore(store, waiting_writes=4)
    yield waiting
    await waiting.close()


class Held:
    """Keeps the store's writer busy until it is let go."""

    def __init__(self, waiting, monkeypatch):
        self.begun, self.go = threading.Event(), threading.Event()
        save = waiting._store.save

        def slow(*arguments, **more):
            self.begun.set()
            assert self.go.wait(20)
            return save(*arguments, **more)

        monkeypatch.setattr(waiting._store, "save", slow)


async def save(waiting, new=None):
    return await waiting.save([new or draft()], author="a", request_id=request())


async def test_all_calls_pass_through(waiting):
    new = draft()
    (saved,) = await save(waiting, new)
    assert saved.revision == 1
    assert (await waiting.get(new.id)).id == new.id
    assert len((await waiting.listing(Wanted(), after=0, limit=5)).annotations) == 1
    assert len((await waiting.changes(Wanted(), after=0, limit=5)).annotations) == 1
    assert len((await waiting.history(new.id, after=0, limit=5)).annotations) == 1
    assert len(await waiting.slides([new.content.slide_id])) == 1


async def test_the_event_loop_and_readers_go_on_while_the_disk_is_slow(waiting, monkeypatch):
    held = Held(waiting, monkeypatch)
    writing = asyncio.ensure_future(save(waiting))
    await asyncio.to_thread(held.begun.wait, 20)
    page = await asyncio.wait_for(waiting.listing(Wanted(), after=0, limit=5), 5)
    assert page.annotations == ()
    held.go.set()
    assert (await writing)[0].revision == 1


async def test_a_change_whose_caller_is_gone_is_made(waiting, monkeypatch):
    held, new = Held(waiting, monkeypatch), draft()
    writing = asyncio.ensure_future(save(waiting, new))
    await asyncio.to_thread(held.begun.wait, 20)
    writing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await writing
    held.go.set()
    stamp = waiting.stamp
    while waiting.stamp == stamp:
        await waiting.stir(stamp)
    assert (await waiting.get(new.id)).revision == 1


async def test_a_refused_change_whose_caller_is_gone_is_nobodys_error(waiting, monkeypatch, caplog):
    new = draft()
    await save(waiting, new)
    held = Held(waiting, monkeypatch)
    writing = asyncio.ensure_future(save(waiting, draft(new.id, name="another")))
    await asyncio.to_thread(held.begun.wait, 20)
    writing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await writing
    stamp = waiting.stamp
    held.go.set()
    while waiting.stamp == stamp:
        await waiting.stir(stamp)
    del writing
    gc.collect()
    await asyncio.sleep(0)
    assert (await waiting.get(new.id)).revision == 1
    assert [record.getMessage() for record in caplog.records if record.name == "asyncio"] == []


async def test_too_many_waiting_changes_are_refused_at_once(waiting, monkeypatch):
    held = Held(waiting, monkeypatch)
    writing = [asyncio.ensure_future(save(waiting)) for _ in range(4)]
    await asyncio.to_thread(held.begun.wait, 20)
    with pytest.raises(WsiSamServerError) as caught:
        await save(waiting)
    assert caught.value.reason is Reason.STORE_BUSY
    held.go.set()
    assert sorted([saved.revision for (saved,) in await asyncio.gather(*writing)]) == [1, 2, 3, 4]
    await save(waiting)


async def test_who_waits_is_woken_by_a_change_and_never_sleeps_over_one(waiting):
    stamp = waiting.stamp
    started = time.monotonic()
    await asyncio.gather(waiting.stir(stamp), save(waiting))
    await waiting.stir(stamp)  # the change came before the waiting
    assert time.monotonic() - started < POLL_SECONDS
    stamp, started = waiting.stamp, time.monotonic()
    await waiting.stir(stamp)
    assert time.monotonic() - started >= POLL_SECONDS * 0.9


async def test_closing_lets_a_running_change_end(store, where, monkeypatch):
    waiting, new = AsyncStore(store, waiting_writes=4), draft()
    held = Held(waiting, monkeypatch)
    writing = asyncio.ensure_future(save(waiting, new))
    await asyncio.to_thread(held.begun.wait, 20)
    asyncio.get_running_loop().call_later(0.2, held.go.set)
    await waiting.close()
    assert (await writing)[0].revision == 1
    with open_store(where) as again:
        assert again.get(new.id).revision == 1


async def test_changes_for_which_there_was_no_thread_are_not_counted_for_ever(waiting, monkeypatch):
    class NoThread(threading.Thread):
        def start(self):
            raise RuntimeError("can't start new thread")

    with monkeypatch.context() as full:
        full.setattr("wsisam_server.annotations.store.threads.threading.Thread", NoThread)
        for _ in range(5):  # one more than may wait
            with pytest.raises(RuntimeError, match="new thread"):
                await save(waiting)
    (saved,) = await save(waiting)
    assert saved.revision
