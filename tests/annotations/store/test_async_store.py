"""The store for a server: it does not block, it does not forget, and it says when there is something new."""

import asyncio
import gc
import threading
import time

import pytest

from annotations.store.examples import draft, request
from support.waiting import turns, until_soon
from wsisam_server.annotations.store import AnnotationFilter, AsyncStore, StoreError, open_store
from wsisam_server.annotations.store import async_store as async_store_module
from wsisam_server.annotations.store.async_store import POLL_SECONDS
from wsisam_server.annotations.store.executors import READERS, WORKERS
from wsisam_server.core.errors import Reason, WsiSamServerError
from wsisam_server.core.settings import Limits


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

    def __init__(self, store, monkeypatch):
        self.begun, self.go = threading.Event(), threading.Event()
        save = store.save

        def slow(*arguments, **more):
            self.begun.set()
            assert self.go.wait(20)
            return save(*arguments, **more)

        monkeypatch.setattr(store, "save", slow)


async def save(waiting, new=None):
    return await waiting.save([new or draft()], author="a", request_id=request())


async def test_all_calls_pass_through(waiting):
    new = draft()
    (saved,) = await save(waiting, new)
    assert saved.revision == 1
    assert (await waiting.get(new.id)).id == new.id
    assert len((await waiting.listing(AnnotationFilter(), after=0, limit=5)).annotations) == 1
    assert len((await waiting.changes(AnnotationFilter(), after=0, limit=5)).annotations) == 1
    assert len((await waiting.history(new.id, after=0, limit=5)).annotations) == 1
    assert len(await waiting.slides([new.content.slide_id])) == 1


async def test_the_event_loop_and_readers_go_on_while_the_disk_is_slow(store, waiting, monkeypatch):
    held = Held(store, monkeypatch)
    writing = asyncio.ensure_future(save(waiting))
    await asyncio.to_thread(held.begun.wait, 20)
    page = await asyncio.wait_for(waiting.listing(AnnotationFilter(), after=0, limit=5), 5)
    assert page.annotations == ()
    held.go.set()
    assert (await writing)[0].revision == 1


async def test_a_change_whose_caller_is_gone_is_made(store, waiting, monkeypatch):
    held, new = Held(store, monkeypatch), draft()
    writing = asyncio.ensure_future(save(waiting, new))
    await asyncio.to_thread(held.begun.wait, 20)
    writing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await writing
    held.go.set()
    version = waiting.version
    while waiting.version == version:
        await waiting.wait_for_change(version)
    assert (await waiting.get(new.id)).revision == 1


async def test_a_refused_change_whose_caller_is_gone_is_nobodys_error(store, waiting, monkeypatch, caplog):
    new = draft()
    await save(waiting, new)
    held = Held(store, monkeypatch)
    writing = asyncio.ensure_future(save(waiting, draft(new.id, name="another")))
    await asyncio.to_thread(held.begun.wait, 20)
    writing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await writing
    version = waiting.version
    held.go.set()
    while waiting.version == version:
        await waiting.wait_for_change(version)
    del writing
    gc.collect()
    await turns()
    assert (await waiting.get(new.id)).revision == 1
    assert [record.getMessage() for record in caplog.records if record.name == "asyncio"] == []


async def test_too_many_waiting_changes_are_refused_at_once(store, waiting, monkeypatch):
    held = Held(store, monkeypatch)
    writing = [asyncio.ensure_future(save(waiting)) for _ in range(4)]
    await asyncio.to_thread(held.begun.wait, 20)
    with pytest.raises(WsiSamServerError) as caught:
        await save(waiting)
    assert caught.value.reason is Reason.STORE_BUSY
    held.go.set()
    assert sorted([saved.revision for (saved,) in await asyncio.gather(*writing)]) == [1, 2, 3, 4]
    await save(waiting)


async def test_who_waits_is_woken_by_a_change_and_never_sleeps_over_one(waiting):
    version = waiting.version
    started = time.monotonic()
    await asyncio.gather(waiting.wait_for_change(version), save(waiting))
    await waiting.wait_for_change(version)  # the change came before the waiting
    assert time.monotonic() - started < POLL_SECONDS
    version, started = waiting.version, time.monotonic()
    await waiting.wait_for_change(version)
    assert time.monotonic() - started >= POLL_SECONDS * 0.9


async def test_closing_lets_a_running_change_end(store, where, monkeypatch):
    waiting, new = AsyncStore(store, waiting_writes=4), draft()
    held = Held(store, monkeypatch)
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


class Hanging:
    """A database that takes calls and ends none of some kind until it is let go."""

    def __init__(self, store, monkeypatch, *names):
        self.go, self.begun = threading.Event(), []
        for name in names:
            monkeypatch.setattr(store, name, self._hang(name, getattr(store, name)))

    def _hang(self, name, real):
        def call(*arguments, **more):
            self.begun.append(name)
            assert self.go.wait(20)
            return real(*arguments, **more)

        return call


async def unavailable(call):
    with pytest.raises(WsiSamServerError) as caught:
        await call
    return caught.value.reason is Reason.STORE_UNAVAILABLE


@pytest.fixture
async def impatient(store):
    waiting = AsyncStore(store, waiting_writes=9, seconds=0.2)
    yield waiting
    await waiting.close()


async def test_a_store_that_hangs_ends_no_call_late_and_is_not_asked_again_until_it_answers(
    store, impatient, monkeypatch
):
    first, second, new = draft(), draft(), draft()
    await save(impatient, first)
    hanging = Hanging(store, monkeypatch, "save", "get")
    key = request()
    writes = [
        impatient.save([second], author="a", request_id=key),  # begun
        save(impatient, new),  # waits
    ]
    calls = [
        asyncio.ensure_future(unavailable(call)) for call in (*writes, *(impatient.get(first.id) for _ in range(9)))
    ]
    assert await asyncio.wait_for(asyncio.gather(*calls), 5) == [True] * 11
    assert sorted(hanging.begun) == ["get"] * READERS + ["save"]
    started = time.monotonic()
    assert await unavailable(save(impatient))
    assert await unavailable(impatient.listing(AnnotationFilter(), after=0, limit=5))  # no thread is left for it
    assert time.monotonic() - started < 0.1
    hanging.go.set()
    await until_soon(lambda: not (impatient._executors.writer.is_stuck(0) or impatient._executors.readers.is_stuck(0)))
    (again,) = await impatient.save([second], author="a", request_id=key)
    assert again.revision == 2  # as it was made then
    assert {one.id for one in (await impatient.listing(AnnotationFilter(), after=0, limit=5)).annotations} == {
        first.id,
        second.id,
    }


async def test_long_work_ends_where_the_store_hangs_and_not_where_it_computes(store, impatient, monkeypatch):
    assert await impatient.work(lambda inner: time.sleep(0.6) or inner.classes()) == []
    hanging = Hanging(store, monkeypatch, "classes")
    calls = [
        asyncio.ensure_future(unavailable(impatient.work(lambda inner: inner.classes()))) for _ in range(WORKERS + 2)
    ]
    assert all(await asyncio.wait_for(asyncio.gather(*calls), 5))
    assert await unavailable(impatient.work(lambda inner: inner.classes()))
    assert len(hanging.begun) == WORKERS
    hanging.go.set()
    await until_soon(lambda: not impatient._executors.working)
    assert await impatient.work(lambda inner: inner.classes()) == []


@pytest.mark.parametrize(
    ("name", "call"),
    [
        ("standings", lambda inner: inner.standings("a" * 64)),
        ("some", lambda inner: inner.some([draft().id])),
        ("head", lambda inner: inner.head()),
        ("slides", lambda inner: inner.slides(["a" * 64])),
    ],
)
async def test_whatever_long_work_reads_ends_where_the_store_hangs(store, impatient, monkeypatch, name, call):
    hanging = Hanging(store, monkeypatch, name)
    assert await asyncio.wait_for(unavailable(impatient.work(call)), 5)
    assert hanging.begun == [name]
    hanging.go.set()
    await until_soon(lambda: not impatient._executors.working)


async def test_one_call_that_takes_long_is_waited_for_while_others_are_answered(store, impatient, monkeypatch):
    hanging = Hanging(store, monkeypatch, "classes")
    slow = asyncio.ensure_future(impatient.classes())
    for _ in range(10):
        await impatient.slides(["a" * 64])
        await asyncio.sleep(0.05)
    assert not slow.done()
    hanging.go.set()
    assert await slow == []


async def test_a_store_that_hangs_while_it_is_opened_is_an_error_in_time(where, monkeypatch):
    go = threading.Event()
    monkeypatch.setattr(async_store_module, "open_store", lambda *_: go.wait(20))
    with pytest.raises(StoreError, match=r"annotations.* did not answer within 0.2 s\. Check the drive"):
        await AsyncStore.opened(where, Limits(store_seconds=0.2))
    assert [one.daemon for one in threading.enumerate() if one.name.startswith("wsisam-store-opener")] == [True]
    go.set()
