"""The pool with real models on disk: what is loaded when, what goes, and what others notice of it."""

import asyncio
import gc
import threading
import weakref

import numpy as np
import pytest
import torch

from support.models import add_plain, mib, two_models
from support.one_window import one_window
from support.waiting import turns
from wsisam_server.core.errors import Reason, WsiSamServerError
from wsisam_server.core.geometry import Box, FieldPair, Window
from wsisam_server.core.prompt import SlidePrompt
from wsisam_server.core.settings import MIB
from wsisam_server.inference.scheduler import Device, Job, LocalEngine, ModelPool, Priority, QueueEntry, WorkItem
from wsisam_server.inference.weights import ServedModels


class Watched(ServedModels):
    """The real source, with loads that are counted and can be held."""

    def __init__(self, folder):
        super().__init__(folder)
        self.loads = []
        self.begun, self.go = threading.Event(), threading.Event()
        self.go.set()
        self.failures = []
        self.models = []

    def load(self, info):
        self.loads.append(info.name)
        self.begun.set()
        self.go.wait(60)
        if self.failures:
            raise self.failures.pop(0)
        model = super().load(info)
        self.models.append(weakref.ref(model))
        return model

    def hold(self):
        self.begun.clear()
        self.go.clear()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return two_models(tmp_path_factory.mktemp("weights"))


@pytest.fixture(scope="module")
def one(folder):
    """MiB with room for one model, whichever: "trained" and the default are the same weights."""
    return mib(folder, "trained")


@pytest.fixture(scope="module")
def default():
    return one_window()


@pytest.fixture
def source(folder):
    return Watched(folder)


@pytest.fixture(autouse=True)
def _no_warm_up(monkeypatch):
    async def nothing(engine):
        """Costs an encoder run a test, and is tested with the engine."""

    monkeypatch.setattr(LocalEngine, "warm_up", nothing)


@pytest.fixture
async def make_pool(default, source):
    pools = []

    async def make(limit_mib=1024, load=lambda: default, **more):
        pool = ModelPool(Device(128 * MIB), limit_mib * MIB, source, **more)
        pools.append(pool)
        await pool.start(load)
        return pool

    yield make
    for pool in pools:
        await pool.close()


def pixels(window):
    image = np.full((window.size, window.size, 3), 230, np.uint8)
    image[70:180, 70:180] = (120, 60, 130)
    return image


def job():
    return Job("slide", pixels, FieldPair(Window(0.0, 0.0, 1.0, 256)), SlidePrompt(box=Box(60, 60, 190, 190)))


async def ask(pool, name):
    async with pool.lease(pool.info(name)) as engine:
        return await engine.predict(job())


async def use(pool, name):
    async with pool.lease(pool.info(name)):
        pass


def loaded(pool):
    return {listed.available.info.name for listed in pool.listed() if listed.loaded}


async def test_a_model_is_loaded_when_first_asked_and_stays(make_pool, source):
    pool = await make_pool()
    assert [listed.available.info.name for listed in pool.listed()] == ["wsisam-lite", "plain", "trained"]
    assert loaded(pool) == {"wsisam-lite"}
    told = []
    for _ in range(2):
        async with pool.lease(pool.info("plain"), lambda: told.append(1)) as engine:
            assert engine.info == pool.info("plain")
    assert source.loads == ["plain"]
    assert told == [1]
    assert loaded(pool) == {"wsisam-lite", "plain"}


async def test_what_is_listed_is_what_is_loaded(make_pool):
    pool = await make_pool()
    expected = {listed.available.info: listed.nbytes for listed in pool.listed()}
    for name in ("plain", "trained"):
        await use(pool, name)
    assert {listed.available.info: listed.nbytes for listed in pool.listed()} == expected
    assert pool.nbytes == sum(expected.values())


async def test_many_who_wait_share_one_load(make_pool, source):
    pool = await make_pool()
    source.hold()
    waiting = [asyncio.ensure_future(ask(pool, "plain")) for _ in range(5)]
    await asyncio.to_thread(source.begun.wait, 60)
    source.go.set()
    answers = await asyncio.gather(*waiting)
    assert source.loads == ["plain"]
    assert all(np.array_equal(answer.logits, answers[0].logits) for answer in answers)
    assert pool.device.cache.counters.computed == 1


async def test_others_are_answered_while_a_model_is_loaded(make_pool, source):
    pool = await make_pool()
    source.hold()
    waiting = asyncio.ensure_future(ask(pool, "plain"))
    await asyncio.to_thread(source.begun.wait, 60)
    await asyncio.wait_for(ask(pool, ""), 60)
    assert not waiting.done()
    source.go.set()
    await waiting


async def test_models_never_share_an_embedding(make_pool):
    pool = await make_pool()
    plain, first = await ask(pool, "plain"), await ask(pool, "")
    assert (plain.times.encoder_runs, first.times.encoder_runs) == (1, 1)
    assert (await ask(pool, "plain")).times.encoder_runs == 0


async def test_the_one_not_used_for_longest_makes_room(make_pool, source, folder):
    limit = mib(folder, "trained", "plain")
    pool = await make_pool(limit)
    await use(pool, "plain")
    await use(pool, "")
    await use(pool, "trained")
    assert loaded(pool) <= {"wsisam-lite", "trained"}
    assert "plain" not in loaded(pool)
    assert pool.nbytes <= limit * MIB


async def test_a_model_that_was_unloaded_is_gone_from_memory_and_comes_back_to_its_embeddings(make_pool, source, one):
    pool = await make_pool(one)
    gc.disable()  # nothing but the last reference may be needed
    try:
        first = await ask(pool, "plain")
        await ask(pool, "trained")
        assert loaded(pool) == {"trained"}
        assert source.models[0]() is None
    finally:
        gc.enable()
    again = await ask(pool, "plain")
    assert source.loads == ["plain", "trained", "plain"]
    assert again.times.encoder_runs == 0
    assert np.array_equal(again.logits, first.logits)


async def test_the_default_comes_back_too(make_pool, one):
    loads = []

    def load():
        loads.append(1)
        return one_window()

    pool = await make_pool(one, load)
    first = await ask(pool, "")
    await ask(pool, "plain")
    assert loaded(pool) == {"plain"}
    assert np.array_equal((await ask(pool, "")).logits, first.logits)
    assert loads == [1, 1]


async def test_a_default_that_cannot_be_loaded_again_is_said_to_be_damaged(make_pool, one):
    loads = []

    def load():
        loads.append(1)
        if len(loads) > 1:
            raise OSError("its file is gone")
        return one_window()

    pool = await make_pool(one, load)
    await use(pool, "plain")
    with pytest.raises(WsiSamServerError) as caught:
        await use(pool, "")
    assert caught.value.reason is Reason.MODEL_DAMAGED
    assert caught.value.private == "its file is gone"


async def test_a_model_in_use_is_never_unloaded(make_pool, source, one):
    pool = await make_pool(one, room_seconds=0.2)
    async with pool.lease(pool.info("")):
        with pytest.raises(WsiSamServerError) as caught:
            await use(pool, "plain")
        assert caught.value.reason is Reason.MODELS_BUSY
        assert loaded(pool) == {"wsisam-lite"}
        assert source.loads == []
    await use(pool, "plain")
    assert loaded(pool) == {"plain"}


async def test_a_load_waits_for_a_model_in_use_to_become_idle(make_pool, one):
    pool = await make_pool(one, room_seconds=60)
    async with pool.lease(pool.info("")):
        waiting = asyncio.ensure_future(use(pool, "plain"))
        await asyncio.sleep(0.1)
        assert not waiting.done()
    await waiting
    assert loaded(pool) == {"plain"}


async def test_a_model_over_the_limit_is_refused_before_it_is_read(make_pool, source, folder, one):
    small = ModelPool(Device(MIB), (one - 1) * MIB, source)
    await small.start(lambda: source.load(ServedModels(folder).available_models()["plain"].info))
    source.loads.clear()
    with pytest.raises(WsiSamServerError) as caught:
        await use(small, "trained")
    assert caught.value.reason is Reason.MODEL_TOO_LARGE
    assert caught.value.details == {"model": "trained", "needed_mib": str(one), "limit_mib": str(one - 1)}
    assert source.loads == []
    await use(small, "plain")
    await small.close()


async def test_a_default_over_the_limit_does_not_start(make_pool, one):
    with pytest.raises(WsiSamServerError) as caught:
        await make_pool(one - 1)
    assert caught.value.reason is Reason.MODEL_TOO_LARGE


async def test_a_load_that_nobody_waits_for_is_dropped_before_it_begins_and_kept_after(make_pool, source):
    pool = await make_pool()
    source.hold()
    first = asyncio.ensure_future(use(pool, "plain"))
    await asyncio.to_thread(source.begun.wait, 60)
    second = asyncio.ensure_future(use(pool, "trained"))
    await turns()
    for task in (first, second):
        task.cancel()
    await asyncio.gather(first, second, return_exceptions=True)
    source.go.set()
    await use(pool, "plain")
    assert source.loads == ["plain"]
    assert loaded(pool) == {"wsisam-lite", "plain"}


async def test_an_error_reaches_all_who_wait_and_is_not_kept(make_pool, source):
    pool = await make_pool()
    source.failures = [WsiSamServerError(Reason.MODEL_DAMAGED, model="plain")]
    source.hold()
    waiting = [asyncio.ensure_future(use(pool, "plain")) for _ in range(3)]
    await asyncio.to_thread(source.begun.wait, 60)
    source.go.set()
    for task in waiting:
        with pytest.raises(WsiSamServerError) as caught:
            await task
        assert caught.value.reason is Reason.MODEL_DAMAGED
    before = pool.nbytes
    assert loaded(pool) == {"wsisam-lite"}
    await use(pool, "plain")
    assert pool.nbytes > before


@pytest.mark.parametrize(
    "error",
    [
        torch.cuda.OutOfMemoryError("CUDA out of memory"),
        RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes."),
        MemoryError(),
    ],
)
async def test_out_of_memory_lets_go_of_what_is_idle_and_tries_once_more(make_pool, source, error):
    pool = await make_pool()
    await ask(pool, "trained")
    source.failures = [error]
    await use(pool, "plain")
    assert loaded(pool) == {"plain"}
    assert source.loads == ["trained", "plain", "plain"]
    assert pool.device.cache.counters.evicted >= 1


async def test_out_of_memory_that_persists_is_said(make_pool, source):
    pool = await make_pool()
    source.failures = [MemoryError(), MemoryError()]
    with pytest.raises(WsiSamServerError) as caught:
        await use(pool, "plain")
    assert caught.value.reason is Reason.OUT_OF_DEVICE_MEMORY
    await use(pool, "")


async def test_what_is_added_and_removed_is_seen_at_once(make_pool, folder):
    pool = await make_pool()
    with pytest.raises(WsiSamServerError) as caught:
        pool.info("newcomer")
    assert caught.value.reason is Reason.UNKNOWN_MODEL
    assert caught.value.details["available"] == "wsisam-lite, plain, trained"
    add_plain(folder, "newcomer")
    await use(pool, "newcomer")
    async with pool.lease(pool.info("newcomer")) as engine:
        folder.remove("newcomer")
        with pytest.raises(WsiSamServerError):
            pool.info("newcomer")
        assert (await engine.predict(job())).score > 0, "it is in use"
        before = pool.nbytes
    assert pool.nbytes < before


async def test_a_model_that_was_replaced_under_its_name(make_pool, folder, one):
    pool = await make_pool()
    add_plain(folder, "changing")
    old = pool.info("changing")
    await use(pool, "changing")
    folder.remove("changing")
    add_plain(folder, "changing", settings={"multimask": True})
    new = pool.info("changing")
    assert new != old
    with pytest.raises(WsiSamServerError) as caught:
        async with pool.lease(old):
            pytest.fail("the old one is gone")
    assert caught.value.reason is Reason.UNKNOWN_MODEL
    async with pool.lease(new) as engine:
        assert engine.info.settings.multimask
    folder.remove("changing")


async def test_a_name_that_is_known_and_has_no_weights_here(make_pool):
    pool = await make_pool(known=["wsisam-tiny"])
    with pytest.raises(WsiSamServerError) as caught:
        pool.info("wsisam-tiny")
    assert caught.value.reason is Reason.MODEL_UNAVAILABLE


async def test_each_thread_keeps_its_number_of_cpu_threads(default):
    before = torch.get_num_threads()
    device = Device(MIB, threads=2)
    assert await device.load(torch.get_num_threads) == 1
    assert (await device.run(WorkItem([QueueEntry(Priority.BATCH, "")]), torch.get_num_threads))[0] == 2
    assert await device.load(torch.get_num_threads) == 1
    await device.close()
    assert torch.get_num_threads() == before
