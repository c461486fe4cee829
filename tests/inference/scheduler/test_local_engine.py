"""The local engine: what runs, how often, and what happens when memory ends."""

import asyncio
import threading
from dataclasses import replace

import pytest
import torch

from support.dark_parts import DarkParts
from support.engine_contract import EngineContract, job, pixels, slide
from support.one_window import one_window
from support.waiting import until_soon
from wsisam_server.core.errors import Reason, WsiSamServerError
from wsisam_server.core.settings import MIB
from wsisam_server.inference.scheduler import Device, LocalEngine, Priority

__all__ = ["slide"]  # a fixture of the contract


@pytest.fixture(scope="module")
def model():
    return DarkParts()


@pytest.fixture(scope="module")
def real():
    return one_window()


@pytest.fixture
async def device():
    device = Device(128 * MIB)
    yield device
    await device.close()


@pytest.fixture
async def engine(model, device):
    return LocalEngine(model, device)


@pytest.fixture
def cache(device):
    return device.cache


@pytest.fixture
async def reference(model):
    one_thread = Device(64 * MIB, threads=1)
    yield LocalEngine(model, one_thread)
    await one_thread.close()


class TestContract(EngineContract):
    pass


class TestRealModel:
    """On one thread, as the reference is: how many there are shows in the last bits."""

    @pytest.fixture
    def model(self, real):
        return real

    @pytest.fixture
    async def device(self):
        device = Device(128 * MIB, threads=1)
        yield device
        await device.close()

    test_answers_are_those_of_the_reference = EngineContract.test_answers_are_those_of_the_reference


async def test_the_cache_stays_within_its_limit(model, engine, device):
    await engine.predict(job())
    one = device.cache.nbytes
    small = Device(int(2.5 * one))
    engine = LocalEngine(model, small)
    for number in range(4):
        await engine.predict(job(1000.0 * number))
    assert small.cache.nbytes == small.cache.counters.peak_bytes == 2 * one
    assert small.cache.counters.evicted == 2
    await small.close()


async def test_what_is_cancelled_while_it_waits_never_reaches_the_model(engine, device, model, monkeypatch):
    begun, gate, encodes = threading.Event(), threading.Event(), []
    encode = model.encode

    def slow(image, **more):
        encodes.append(1)
        begun.set()
        gate.wait(20)
        return encode(image, **more)

    monkeypatch.setattr(model, "encode", slow)
    running = asyncio.ensure_future(engine.predict(job(0.0)))
    await asyncio.to_thread(begun.wait, 20)
    waiting = [asyncio.ensure_future(engine.predict(job(1000.0 * n))) for n in range(1, 6)]
    await until_soon(lambda: sum(device.waiting().values()) == len(waiting))
    for task in waiting:
        task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    gate.set()
    await running
    await engine.warm_up()
    assert len(encodes) == 2  # the running one and the warm-up


async def test_a_click_raises_the_priority_of_what_a_batch_of_another_began(engine, device, model, monkeypatch):
    real, order, gate, begun = model.encode, [], threading.Event(), threading.Event()

    def encode(image, **more):
        order.append(int(image[0, 0, 0]))
        if len(order) == 1:
            begun.set()
            gate.wait(30)
        return real(image, **more)

    def marked(number, **more):
        def read(window):
            image = pixels(window)
            image[0, 0, 0] = number
            return image

        return replace(job(1000.0 * number), read=read, **more)

    monkeypatch.setattr(model, "encode", encode)
    batch = [asyncio.ensure_future(engine.predict(marked(n, interactive=False, principal="a"))) for n in range(6)]
    await asyncio.to_thread(begun.wait, 30)
    first = order[0]
    last = 5 if first != 5 else 4
    click = asyncio.ensure_future(engine.predict(marked(last, principal="b")))
    await until_soon(lambda: device.waiting()[Priority.INTERACTIVE_ENCODE])
    gate.set()
    await click
    assert order[1] == last
    await asyncio.gather(*batch)
    assert sorted(order) == list(range(6))


@pytest.mark.parametrize(
    "error",
    [
        torch.cuda.OutOfMemoryError("CUDA out of memory"),
        RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes."),
        MemoryError(),
    ],
)
@pytest.mark.parametrize("step", ["encode", "decode"])
async def test_out_of_memory_frees_the_cache_and_tries_once_more(engine, model, monkeypatch, error, step):
    await engine.predict(job(5000.0))
    real, calls = getattr(model, step), []

    def tight(*args, **more):
        calls.append(1)
        if len(calls) == 1:
            raise error
        return real(*args, **more)

    monkeypatch.setattr(model, step, tight)
    answer = await engine.predict(job())
    assert (answer.logits > 0).any()
    assert engine.missing_windows(job(5000.0))


async def test_out_of_memory_that_persists_is_said_and_the_engine_lives(engine, model, monkeypatch):
    def full(*args, **more):
        raise torch.cuda.OutOfMemoryError("CUDA out of memory")

    with monkeypatch.context() as patch:
        patch.setattr(model, "encode", full)
        with pytest.raises(WsiSamServerError) as caught:
            await engine.predict(job())
    assert caught.value.reason is Reason.OUT_OF_DEVICE_MEMORY
    assert (await engine.predict(job())).times.encoder_runs == 1


async def test_an_error_of_the_model_is_not_taken_for_memory(engine, model, monkeypatch):
    def broken(*args, **more):
        raise RuntimeError("shape mismatch")

    with monkeypatch.context() as patch:
        patch.setattr(model, "decode", broken)
        with pytest.raises(RuntimeError, match="shape"):
            await engine.predict(job())
    await engine.predict(job())


async def test_a_batch_of_separate_windows_is_answered_as_they_are_encoded(engine, model, monkeypatch):
    """Not when all of those under way are: each answer is there after at most two windows more than it needs."""
    steps = []
    real_encode, real_decode = model.encode, model.decode

    def encode(image, **more):
        steps.append("encode")
        return real_encode(image, **more)

    def decode(*arguments, **more):
        steps.append("decode")
        return real_decode(*arguments, **more)

    monkeypatch.setattr(model, "encode", encode)
    monkeypatch.setattr(model, "decode", decode)
    batch = (engine.predict(job(1000.0 * number, interactive=False, principal="a")) for number in range(12))
    await asyncio.gather(*batch)
    assert steps.count("decode") == steps.count("encode") == 12
    for number in range(1, 12):
        until = [at for at, step in enumerate(steps) if step == "decode"][number - 1]
        assert steps[:until].count("encode") <= number + 2
