"""The engine whose model is elsewhere, on a real replica without Ray: the contract, losses, and what is asked when."""

import asyncio
import threading

import numpy as np
import pytest

from support.engine_contract import EngineContract, job, slide
from support.models import add_plain
from support.replicas import InThisProcess, equipment, make
from wsisam_model import WsiSam
from wsisam_server.cluster import ClusterError, remote
from wsisam_server.cluster.engine import ClusterEngine
from wsisam_server.cluster.remote import RemoteDevice
from wsisam_server.config import MIB
from wsisam_server.errors import Code, Reason, WsiSamServerError
from wsisam_server.scheduler import Device, LocalEngine, ModelInfo, Priority
from wsisam_server.weights import ServedModels, WeightsFolder

__all__ = ["slide"]  # a fixture of the contract


@pytest.fixture(scope="module")
def model():
    return WsiSam.from_name("wsisam-lite")


@pytest.fixture(autouse=True)
def _no_warm_up(monkeypatch):
    async def nothing(engine):
        """Costs an encoder run a test."""

    monkeypatch.setattr(LocalEngine, "warm_up", nothing)


@pytest.fixture
async def replicas(model, tmp_path):
    replica = await make(equipment(tmp_path, model))
    yield InThisProcess(replica)
    await replica.close()


@pytest.fixture
async def device(replicas, monkeypatch):
    monkeypatch.setattr(remote, "PAUSE_SECONDS", 0.01)
    device = RemoteDevice(replicas, 8, 256 * MIB)
    yield device
    await device.close()


@pytest.fixture
def engine(model, device):
    return ClusterEngine(ModelInfo.of(model), device)


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


async def test_a_call_that_was_lost_once_is_asked_again(engine, replicas):
    replicas.failing = 1
    answer = await engine.predict(job())
    assert (answer.logits > 0).any()
    assert [name for name, _ in replicas.calls] == ["encode", "encode", "predict"]


async def test_a_call_that_was_lost_twice_is_unavailable_with_a_hint(engine, replicas):
    replicas.failing = 2
    with pytest.raises(WsiSamServerError) as caught:
        await engine.predict(job())
    assert caught.value.reason is Reason.ENGINE_UNAVAILABLE
    assert caught.value.code is Code.UNAVAILABLE
    assert caught.value.retry_seconds
    assert (await engine.predict(job())).times.encoder_runs == 1


async def test_embeddings_that_are_gone_are_computed_again(engine, replicas):
    first = await engine.predict(job())
    replicas.forget()
    assert engine.lacking(job()) == []  # as far as is known here
    again = await engine.predict(job())
    assert again.times.encoder_runs == 1
    assert np.array_equal(again.logits, first.logits)
    assert [name for name, _ in replicas.calls] == ["encode", "predict", "predict", "encode", "predict"]


async def test_a_cache_that_holds_nothing_ends_in_a_hint(model, tmp_path, device, engine, replicas):
    await replicas.replica.close()
    replicas.replica = await make(equipment(tmp_path, model, cache_bytes=1))
    with pytest.raises(WsiSamServerError) as caught:
        await engine.predict(job())
    assert caught.value.reason is Reason.ENGINE_UNAVAILABLE


async def test_an_error_there_is_the_same_error_here(model, tmp_path, device, replicas):
    add_plain(WeightsFolder(tmp_path), "plain")
    source = ServedModels(WeightsFolder(tmp_path))
    info = source.offers()["plain"].info
    engine = ClusterEngine(info, device)
    assert (await engine.predict(job())).times.encoder_runs == 1  # the replica loads it when it is first asked
    WeightsFolder(tmp_path).remove("plain")
    replicas.replica._pool.info("")
    with pytest.raises(WsiSamServerError) as caught:
        await engine.predict(job(1000.0))
    assert caught.value.reason is Reason.UNKNOWN_MODEL
    assert caught.value.details["model"] == "plain"


async def test_a_click_hurries_what_a_batch_has_sent(engine, replicas, monkeypatch):
    model = replicas.replica._pool._slots.find(engine.info).engine._model
    real, begun, go = model.encode, threading.Event(), threading.Event()

    def slow(image, **more):
        begun.set()
        go.wait(60)
        return real(image, **more)

    monkeypatch.setattr(model, "encode", slow)
    first = asyncio.ensure_future(engine.predict(job(0.0, interactive=False)))
    await asyncio.to_thread(begun.wait, 60)
    second = asyncio.ensure_future(engine.predict(job(1000.0, interactive=False)))
    await replicas.asked(2)
    click = asyncio.ensure_future(engine.predict(job(1000.0)))
    await replicas.asked(3)
    go.set()
    await asyncio.gather(first, second, click)
    assert replicas.calls[:3] == [
        ("encode", Priority.BATCH),
        ("encode", Priority.BATCH),
        ("hurry", Priority.INTERACTIVE_ENCODE),
    ]


async def test_a_replica_with_other_weights_does_not_start(model, tmp_path):
    folder = WeightsFolder(tmp_path)
    add_plain(folder, "plain")
    plain = ServedModels(folder).offers()["plain"].info
    with pytest.raises(ClusterError, match="same weights on all of them"):
        await make(equipment(tmp_path, model, default=plain))


async def test_a_healthy_replica_says_nothing(replicas):
    await replicas.replica.check_health()
